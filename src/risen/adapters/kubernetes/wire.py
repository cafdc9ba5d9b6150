"""The few fields of Kubernetes objects that Risen reads, and what an answer's status means. Pure.

Everything else in an object is skipped by the decoder. Source: Kubernetes API reference, `meta/v1`, `core/v1`,
`coordination/v1`, `policy/v1`, `storage/v1`; API conventions for the meaning of status codes.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

import msgspec

from risen.interfaces.errors import (
    Conflict,
    Denied,
    InterfaceError,
    Invalid,
    Later,
    NotFound,
    OutcomeUnknown,
    Unreachable,
)
from risen.transport.faults import retry_after_seconds
from risen.transport.session import Answer


class Struct(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Field names are camelCase on the wire; objects hold no cycles, so the collector may skip them."""


class OwnerReference(Struct, frozen=True):
    """Who made an object."""

    kind: str = ""
    name: str = ""
    controller: bool = False


class Metadata(Struct, frozen=True):
    """Of every object and, without a name, of bookmarks."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    deletion_timestamp: str | None = None
    owner_references: list[OwnerReference] = []


class Condition(Struct, frozen=True):
    """`status` is True, False or Unknown, as text."""

    type: str
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    last_transition_time: datetime.datetime | None = None


class NodeTaint(Struct, frozen=True):
    """A taint as the API has it."""

    key: str
    effect: str
    value: str = ""
    time_added: str | None = None


class NodeSpec(Struct, frozen=True):
    """Of a Node."""

    provider_id: str = msgspec.field(name="providerID", default="")
    unschedulable: bool = False
    taints: list[NodeTaint] = []


class NodeStatus(Struct, frozen=True):
    """Of a Node."""

    conditions: list[Condition] = []


class Node(Struct, frozen=True):
    """`v1/Node`."""

    metadata: Metadata = Metadata()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Source(Struct, frozen=True):
    """A volume's source, of which only the presence counts."""


class Claim(Struct, frozen=True):
    """The claim on storage that a volume names."""

    claim_name: str = ""


class Volume(Struct, frozen=True):
    """Only whether a volume is a claim on storage; an ephemeral one's claim is called `POD-VOLUME`."""

    name: str = ""
    persistent_volume_claim: Claim | None = None
    ephemeral: Source | None = None


class Probe(Struct, frozen=True):
    """When the kubelet asks a container first, and how often in vain."""

    initial_delay_seconds: int = 0
    period_seconds: int = 10
    failure_threshold: int = 3


class Container(Struct, frozen=True):
    """Of a Pod: only what its probes say of its start."""

    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None


class PodSpec(Struct, frozen=True):
    """Of a Pod. `containers` are a list of `Container`, decoded only where a pod is not Ready."""

    node_name: str = ""
    volumes: list[Volume] = []
    priority: int | None = None
    containers: msgspec.Raw = msgspec.Raw(b"[]")


class Waiting(Struct, frozen=True):
    """Why a container does not run yet."""

    reason: str = ""


class ContainerState(Struct, frozen=True):
    """Only whether it waits."""

    waiting: Waiting | None = None


class ContainerStatus(Struct, frozen=True):
    """Of one container of a Pod."""

    state: ContainerState = ContainerState()


class PodStatus(Struct, frozen=True):
    """Of a Pod."""

    phase: str = ""
    conditions: list[Condition] = []
    init_container_statuses: list[ContainerStatus] | None = None
    container_statuses: list[ContainerStatus] | None = None


class Pod(Struct, frozen=True):
    """`v1/Pod`."""

    metadata: Metadata = Metadata()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class LeaseSpec(Struct, frozen=True):
    """Of a Lease."""

    holder_identity: str | None = None
    renew_time: datetime.datetime | None = None
    lease_duration_seconds: int = 0


class Lease(Struct, frozen=True):
    """`coordination.k8s.io/v1/Lease`."""

    metadata: Metadata = Metadata()
    spec: LeaseSpec = LeaseSpec()


class Selector(Struct, frozen=True):
    """Which pods a budget counts. Only whether there are expressions is of interest, not what they say."""

    match_labels: dict[str, str] = {}
    match_expressions: list[Source] = []


class BudgetSpec(Struct, frozen=True):
    """Of a PodDisruptionBudget."""

    selector: Selector | None = None


class BudgetStatus(Struct, frozen=True):
    """Of a PodDisruptionBudget."""

    observed_generation: int = 0
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0


class Budget(Struct, frozen=True):
    """`policy/v1/PodDisruptionBudget`."""

    metadata: Metadata = Metadata()
    spec: BudgetSpec = BudgetSpec()
    status: BudgetStatus = BudgetStatus()


class AttachmentSpec(Struct, frozen=True):
    """Of a VolumeAttachment."""

    node_name: str = ""


class Attachment(Struct, frozen=True):
    """`storage.k8s.io/v1/VolumeAttachment`."""

    metadata: Metadata = Metadata()
    spec: AttachmentSpec = AttachmentSpec()


class Reference(Struct, frozen=True):
    """An object by namespace and name."""

    namespace: str = ""
    name: str = ""


class Requirement(Struct, frozen=True):
    """Of a node selector's term."""

    key: str = ""


class Term(Struct, frozen=True):
    """Of a node selector."""

    match_expressions: list[Requirement] = []


class NodeSelector(Struct, frozen=True):
    """Any one of its terms must hold."""

    node_selector_terms: list[Term] = []


class VolumeAffinity(Struct, frozen=True):
    """From where a volume can be used."""

    required: NodeSelector | None = None


class PersistentVolumeSpec(Struct, frozen=True):
    """Of a PersistentVolume."""

    claim_ref: Reference | None = None
    local: Source | None = None
    host_path: Source | None = None
    node_affinity: VolumeAffinity | None = None


class PersistentVolume(Struct, frozen=True):
    """`v1/PersistentVolume`."""

    metadata: Metadata = Metadata()
    spec: PersistentVolumeSpec = PersistentVolumeSpec()


class Partial(Struct, frozen=True):
    """Any object, metadata only (`PartialObjectMetadata`)."""

    metadata: Metadata = Metadata()


class ListMetadata(Struct, frozen=True):
    """`continue_` is the token of the next page, empty on the last."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


Item = TypeVar("Item")


class ObjectList(Struct, Generic[Item], frozen=True):
    """One page of a list."""

    items: list[Item] | None = None
    metadata: ListMetadata = ListMetadata()


class WatchLine(msgspec.Struct, frozen=True):
    """One line of a watch; the object's type depends on `type` (ERROR carries a Status)."""

    type: str
    object: msgspec.Raw


class StatusDetails(Struct, frozen=True):
    """Of a Status."""

    retry_after_seconds: int = 0


class Status(Struct, frozen=True):
    """`meta/v1/Status`: how the API server refuses."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None


class Expired(Unreachable):
    """410: the version or continue token named is no longer kept; list again from the beginning."""


_BY_STATUS: Mapping[int, type[InterfaceError]] = MappingProxyType(
    {
        400: Invalid,
        401: Denied,
        403: Denied,
        404: NotFound,
        405: Invalid,
        406: Invalid,
        409: Conflict,
        410: Expired,
        413: Invalid,
        415: Invalid,
        422: Invalid,
    }
)


_BY_TEXT: tuple[tuple[int, str, type[InterfaceError]], ...] = (
    (422, "metadata.uid: Invalid value", Conflict),
    (500, "failed to create typed patch object", Invalid),
    (500, "more than one PodDisruptionBudget", Later),
)
"""Answers whose status says something else than they mean; seen of 1.36, each held by a contract test."""


def containers(spec: PodSpec) -> list[Container]:
    """The containers of a pod."""
    return msgspec.json.decode(spec.containers, type=list[Container])


def refusal(answer: Answer, *, read: bool) -> InterfaceError:
    """The error of an answer that is no success.

    503 without a Status comes from the endpoint, which had no API server to send it to: Unreachable. Other
    5xx may have been carried out (etcd timed out after the write was sent): OutcomeUnknown, unless a read.
    """
    status = decode_status(answer.body)
    text = f"{answer.what}: {status.message or status.reason or 'no text'} (HTTP {answer.status})"
    for code, words, meant in _BY_TEXT:
        if answer.status == code and words in status.message:
            return meant(text)
    kind = _BY_STATUS.get(answer.status)
    if kind is not None:
        return kind(text)
    wish = retry_after_seconds(answer.headers)
    if wish is None and status.details is not None and status.details.retry_after_seconds:
        wish = float(status.details.retry_after_seconds)
    if answer.status == 429 or (answer.status == 503 and status.kind == "Status" and wish is not None):
        return Later(text, wish)
    if read or (answer.status == 503 and status.kind != "Status"):
        return Unreachable(text)
    return OutcomeUnknown(text)


def decode_status(body: bytes) -> Status:
    """The Status in an answer, or an empty one for what is none (a proxy's page)."""
    try:
        return msgspec.json.decode(body, type=Status)
    except msgspec.DecodeError:
        return Status(message=body[:200].decode(errors="replace"))
