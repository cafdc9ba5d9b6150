"""From an object of the API to what the cache keeps of it. Pure but for texts shared between entries.

Source: Kubernetes API reference, `core/v1`, `policy/v1`, `storage/v1`, `coordination/v1`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from risen.adapters.kubernetes import wire
from risen.adapters.kubernetes.bodies import OUR_CORDON, OUR_LABELS, OUR_TAINTS, keys_in
from risen.adapters.kubernetes.cache import Attachment, ClaimingPod, LeaseHolder, LocalVolume, NodeLease
from risen.adapters.kubernetes.wire import Condition, Lease, Node, Pod
from risen.core.names import InstanceName
from risen.core.picture import BudgetSeen, NodeSeen, PodSeen, Start
from risen.core.spec import Taint

CONTROLLER_LEASES = frozenset({"kube-controller-manager", "kube-scheduler"})
CLOUD_TAINT = "node.cloudprovider.kubernetes.io/uninitialized"
NETWORK_REASONS = ("NetworkPluginNotReady", "cni config uninitialized", "cni plugin not initialized")
PROTECTED = "risen/do-not-disrupt"
"""Annotation of a pod whose instance is not taken by anything planned while its value is `true`."""
SYSTEM_CRITICAL = 2_000_000_000
"""Priority of `system-cluster-critical`, above which users' own classes may not be."""
ON_THE_WAY = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Why a container waits that has nothing wrong with it."""
FINISHED = frozenset({"Succeeded", "Failed"})
"""Phases that a pod does not leave."""
HOSTNAME = "kubernetes.io/hostname"
MOST_SHARED = 50_000
"""So many texts and labels are shared; then sharing begins anew, so that jobs' labels do not pile up."""


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
        ready_since_unix=_since(ready),
        our_cordon=OUR_CORDON in node.metadata.annotations,
    )


def _waiting_for_addons(ready: Condition | None, taints: Iterable[Taint]) -> bool:
    """NotReady because the network plugin has not been set up, or the cloud's controller has not come yet."""
    if any(taint.key == CLOUD_TAINT for taint in taints):
        return True
    if ready is None or ready.status != "False":
        return False
    return any(reason in ready.message or reason == ready.reason for reason in NETWORK_REASONS)


class Pods:
    """Boils Pods down. Equal names and labels of 150,000 pods are one object each: a cluster has
    far fewer of them than of pods."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._labels: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}

    def seen(self, pod: Pod) -> PodSeen | ClaimingPod | None:
        """A Pod boiled down; None while it is not bound to a node."""
        if not pod.spec.node_name:
            return None
        owner = next((owner for owner in pod.metadata.owner_references if owner.controller), None)
        kind = owner.kind if owner is not None else ""
        claims = _claims(pod)
        ready = _condition(pod.status, "Ready")
        serves = ready is not None and ready.status == "True"
        seen = PodSeen(
            namespace=self._text(pod.metadata.namespace),
            name=pod.metadata.name,
            uid=pod.metadata.uid,
            node=InstanceName(self._text(pod.spec.node_name)),
            ready=serves,
            daemon=kind == "DaemonSet",
            mirror="kubernetes.io/config.mirror" in pod.metadata.annotations,
            terminating=pod.metadata.deletion_timestamp is not None,
            stateful=kind == "StatefulSet" or bool(claims),
            owner=self._text(f"{kind}/{owner.name}") if owner is not None else "",
            labels=self._label(pod.metadata.labels),
            ready_since_unix=_since(ready),
            failing=self._text(_failing(pod.status)),
            protected=pod.metadata.annotations.get(PROTECTED) == "true",
            finished=pod.status.phase in FINISHED,
            critical=(pod.spec.priority or 0) >= SYSTEM_CRITICAL,
        )
        if not serves and not seen.finished:
            seen = _with_start(seen, pod)
        return ClaimingPod(seen, claims) if claims else seen

    def _text(self, text: str) -> str:
        if len(self._texts) >= MOST_SHARED:
            self._texts = {}
        return self._texts.setdefault(text, text)

    def _label(self, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        if len(self._labels) >= MOST_SHARED:
            self._labels = {}
        pairs = tuple(sorted(labels.items()))
        return self._labels.setdefault(pairs, pairs)


def _claims(pod: Pod) -> tuple[str, ...]:
    """Names of the claims of its volumes; an ephemeral volume's is made for the pod (KEP-1698)."""
    found = []
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            found.append(volume.persistent_volume_claim.claim_name)
        elif volume.ephemeral is not None:
            found.append(f"{pod.metadata.name}-{volume.name}")
    return tuple(found)


def _condition(status: wire.PodStatus, kind: str) -> Condition | None:
    return next((item for item in status.conditions if item.type == kind), None)


def _with_start(seen: PodSeen, pod: Pod) -> PodSeen:
    """What is told of a pod that is not Ready: since when, how far its start is, and what its probes give it."""
    unready = _condition(pod.status, "Ready") or _condition(pod.status, "PodScheduled")
    since = unready.last_transition_time if unready is not None else None
    return replace(
        seen,
        unready_since_unix=since.timestamp() if since is not None else None,
        start=_start(pod.status),
        probe_delay_seconds=max(map(_probe_delay, wire.containers(pod.spec)), default=0.0),
    )


def _start(status: wire.PodStatus) -> Start:
    """Whether its network and volumes are there the kubelet says by a condition of its own (KEP-3085), since 1.36
    before it pulls an image; where it says nothing of it, that they are is assumed."""
    waits = any(item.state.waiting is not None for item in status.container_statuses or ())
    if not waits and status.container_statuses:
        return Start.DONE
    sandbox = _condition(status, "PodReadyToStartContainers")
    return Start.SANDBOX if sandbox is not None and sandbox.status == "False" else Start.CONTAINERS


def _probe_delay(container: wire.Container) -> float:
    readiness, startup = container.readiness_probe, container.startup_probe
    delay = readiness.initial_delay_seconds if readiness is not None else 0
    if startup is not None:
        delay += startup.initial_delay_seconds + startup.period_seconds * startup.failure_threshold
    return float(delay)


def _failing(status: wire.PodStatus) -> str:
    """The first waiting reason of a container that is no stage of a start; initial containers first. What has
    finished waits for nothing, whatever its containers said last."""
    if status.phase in FINISHED:
        return ""
    containers: Sequence[wire.ContainerStatus] = (
        *(status.init_container_statuses or ()),
        *(status.container_statuses or ()),
    )
    reasons = (item.state.waiting.reason for item in containers if item.state.waiting is not None)
    return next((reason for reason in reasons if reason not in ON_THE_WAY), "")


def _since(condition: Condition | None) -> float | None:
    """Last transition of a condition that holds."""
    if condition is None or condition.status != "True" or condition.last_transition_time is None:
        return None
    return condition.last_transition_time.timestamp()


def budget_seen(budget: wire.Budget) -> BudgetSeen | None:
    """A budget boiled down; None where it has no selector, which covers no pod. Until the disruption controller
    has seen its newest text it allows nothing: the API server refuses evictions then, too."""
    selector, status, metadata = budget.spec.selector, budget.status, budget.metadata
    if selector is None:
        return None
    stale = status.observed_generation < metadata.generation
    return BudgetSeen(
        namespace=metadata.namespace,
        name=metadata.name,
        allowed=0 if stale else status.disruptions_allowed,
        healthy=status.current_healthy,
        desired_healthy=status.desired_healthy,
        selector=None if selector.match_expressions else tuple(sorted(selector.match_labels.items())),
    )


def attachment(seen: wire.Attachment) -> Attachment:
    """A VolumeAttachment boiled down."""
    return Attachment(seen.metadata.name, seen.spec.node_name)


def local_volume(volume: wire.PersistentVolume) -> LocalVolume | None:
    """A bound volume that only one node can use: its kind is `local` or `hostPath`, or its affinity names hosts.

    A CSI driver that ties a volume to a node by a topology key of its own is not recognised."""
    spec = volume.spec
    if spec.claim_ref is None:
        return None
    terms = spec.node_affinity.required if spec.node_affinity is not None else None
    hosts = terms is not None and any(
        item.key == HOSTNAME for term in terms.node_selector_terms for item in term.match_expressions
    )
    if spec.local is None and spec.host_path is None and not hosts:
        return None
    return LocalVolume(f"{spec.claim_ref.namespace}/{spec.claim_ref.name}")


def node_lease(lease: Lease) -> NodeLease | None:
    """A kubelet's lease, in kube-node-lease; None before its first renewal."""
    if lease.spec.renew_time is None:
        return None
    return NodeLease(lease.metadata.name, lease.spec.renew_time.timestamp())


def lease_holder(lease: Lease) -> LeaseHolder | None:
    """A leader's lease, in kube-system; None for leases of others."""
    if lease.metadata.name not in CONTROLLER_LEASES:
        return None
    spec = lease.spec
    until = spec.renew_time.timestamp() + spec.lease_duration_seconds if spec.renew_time is not None else 0.0
    return LeaseHolder(lease.metadata.name, spec.holder_identity or "", until)
