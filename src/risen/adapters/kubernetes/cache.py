"""What the API server has told so far, and how one more word changes it: `apply(cache, event) -> cache`.

Pure. It keeps only what a `KubernetesSeen` holds; objects are boiled down when they come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from risen.adapters.kubernetes.bodies import OUR_LABELS, OUR_TAINTS, keys_in
from risen.adapters.kubernetes.wire import Condition, Lease, Node, Pod
from risen.core.names import InstanceName
from risen.core.picture import KubernetesSeen, NodeSeen, PodSeen
from risen.core.spec import Taint

CONTROLLER_LEASES = frozenset({"kube-controller-manager", "kube-scheduler"})
CLOUD_TAINT = "node.cloudprovider.kubernetes.io/uninitialized"
NETWORK_REASONS = ("NetworkPluginNotReady", "cni config uninitialized", "cni plugin not initialized")


@dataclass(frozen=True, slots=True)
class NodeLease:
    """When a kubelet last said that it lives, by its own wall clock."""

    node: str
    renewed_unix: float


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who leads in kube-system; `holder` is empty when nobody does."""

    lease: str
    holder: str


@dataclass(frozen=True, slots=True)
class Addon:
    """A managed object and the digest that its annotation carries."""

    key: str
    digest: str


Entry: TypeAlias = NodeSeen | PodSeen | NodeLease | LeaseHolder | Addon
Table: TypeAlias = Mapping[str, Entry]
Kept = TypeVar("Kept", NodeSeen, PodSeen, NodeLease, LeaseHolder, Addon)

_EMPTY: Table = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Cache:
    """Tables of entries by key; the name of a table is that of the watch that fills it."""

    tables: Mapping[str, Table] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A whole list: what it does not name is gone from that table."""

    table: str
    entries: tuple[tuple[str, Entry], ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What one piece of a watch said, in order; None for what is gone or no longer of interest."""

    table: str
    entries: tuple[tuple[str, Entry | None], ...]


Event: TypeAlias = Listed | Changes


def apply(cache: Cache, event: Event) -> Cache:
    """The cache after one more event. Gives the same cache object when nothing has changed."""
    before = cache.tables.get(event.table, _EMPTY)
    match event:
        case Listed(entries=entries):
            after: dict[str, Entry] = dict(entries)
            if after == before and event.table in cache.tables:
                return cache
        case Changes(entries=changes):
            if all(before.get(key) == entry for key, entry in changes):
                return cache
            after = dict(before)
            for key, entry in changes:
                if entry is None:
                    after.pop(key, None)
                else:
                    after[key] = entry
    return Cache({**cache.tables, event.table: after})


def kubernetes_seen(cache: Cache) -> KubernetesSeen:
    """The cache as a section of the picture, nodes sorted by name and each with its lease."""
    leases = {entry.node: entry.renewed_unix for entry in _entries(cache, NodeLease)}
    nodes = [replace(node, lease_renewed_unix=leases.get(node.name)) for node in _entries(cache, NodeSeen)]
    return KubernetesSeen(
        nodes=tuple(sorted(nodes, key=lambda node: node.name)),
        pods=tuple(_entries(cache, PodSeen)),
        addons=tuple(sorted((entry.key, entry.digest) for entry in _entries(cache, Addon))),
        lease_holders=tuple(sorted((entry.lease, entry.holder) for entry in _entries(cache, LeaseHolder))),
    )


def _entries(cache: Cache, kind: type[Kept]) -> Iterator[Kept]:
    """Everything of one kind. A table holds one kind only: its first entry tells which, so that 150,000 pods
    are not looked through for a lease."""
    for table in cache.tables.values():
        if isinstance(next(iter(table.values()), None), kind):
            yield from (entry for entry in table.values() if isinstance(entry, kind))


# --- from objects to entries --------------------------------------------------------------------------------
def node_seen(node: Node) -> NodeSeen:
    """A Node object boiled down; its lease comes from another watch."""
    ready = next((item for item in node.status.conditions if item.type == "Ready"), None)
    taints = tuple(sorted(Taint(item.key, item.value, item.effect) for item in node.spec.taints))
    return NodeSeen(
        name=InstanceName(node.metadata.name),
        uid=node.metadata.uid,
        provider_id=node.spec.provider_id,
        ready={"True": True, "False": False}.get(ready.status) if ready else None,
        unschedulable=node.spec.unschedulable,
        labels=tuple(sorted(node.metadata.labels.items())),
        taints=taints,
        waiting_for_addons=_waiting_for_addons(ready, taints),
        our_labels=tuple(sorted(keys_in(node.metadata.annotations.get(OUR_LABELS, "")))),
        our_taints=tuple(sorted(keys_in(node.metadata.annotations.get(OUR_TAINTS, "")))),
    )


def _waiting_for_addons(ready: Condition | None, taints: Iterable[Taint]) -> bool:
    """NotReady because the network plugin has not been set up, or the cloud's controller has not come yet."""
    if any(taint.key == CLOUD_TAINT for taint in taints):
        return True
    if ready is None or ready.status != "False":
        return False
    return any(reason in ready.message or reason == ready.reason for reason in NETWORK_REASONS)


def pod_seen(pod: Pod) -> PodSeen | None:
    """A Pod boiled down; None while it is not bound to a node."""
    if not pod.spec.node_name:
        return None
    owners = {owner.kind for owner in pod.metadata.owner_references if owner.controller}
    claims = any(
        volume.persistent_volume_claim is not None or volume.ephemeral is not None
        for volume in pod.spec.volumes
    )
    return PodSeen(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        node=InstanceName(pod.spec.node_name),
        ready=any(item.type == "Ready" and item.status == "True" for item in pod.status.conditions),
        daemon="DaemonSet" in owners,
        mirror="kubernetes.io/config.mirror" in pod.metadata.annotations,
        terminating=pod.metadata.deletion_timestamp is not None,
        stateful="StatefulSet" in owners or claims,
    )


def node_lease(lease: Lease) -> NodeLease | None:
    """A kubelet's lease, in kube-node-lease; None before its first renewal."""
    if lease.spec.renew_time is None:
        return None
    return NodeLease(lease.metadata.name, lease.spec.renew_time.timestamp())


def lease_holder(lease: Lease) -> LeaseHolder | None:
    """A leader's lease, in kube-system; None for leases of others."""
    if lease.metadata.name not in CONTROLLER_LEASES:
        return None
    return LeaseHolder(lease.metadata.name, lease.spec.holder_identity or "")
