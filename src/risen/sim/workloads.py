"""What users run on the simulated cluster, and the small controllers, scheduler and budgets that keep it.

It knows the API's objects alone; what a kubelet makes of a pod is `kubelets.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from risen.core.names import IMAGE_LABEL, InstanceName
from risen.core.picture import BudgetSeen, PodSeen

if TYPE_CHECKING:
    from risen.sim.kubernetes_api import KubernetesTruth, NodeTruth

EVICTION_AFTER_SECONDS = 300.0
"""Stock tolerance of pods for a node that is not ready."""
FORCED_DETACH_SECONDS = 360.0
"""After so long a volume of a node that is lost is taken from it."""
DETACH_SECONDS = (0.5, 3.0)
CRON_SECONDS = 60.0
CRON_KEPT = 3
"""A minutely CronJob, and how many of its finished Jobs are kept: Kubernetes' `successfulJobsHistoryLimit`."""
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


class Kind(StrEnum):
    """What makes a workload's pods again."""

    REPLICA_SET = "ReplicaSet"
    STATEFUL_SET = "StatefulSet"
    """Each of its pods has a name for ever and a volume that one node at a time may hold."""
    DAEMON_SET = "DaemonSet"
    BARE = "Bare"
    """Nothing: once it is gone it is gone."""
    JOB = "Job"
    """Each of its pods runs once and stays as an object: one a minute of a workload, which is a CronJob then."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Pods wanted. `tolerates` lets them onto tainted nodes; `min_available` is a disruption budget."""

    namespace: str
    name: str
    replicas: int
    tolerates: bool = False
    min_available: int = 0
    budgets: int = 1
    """Disruption budgets that select its pods."""
    kind: Kind = Kind.REPLICA_SET
    end_seconds: tuple[float, float] = (0.5, 2.0)
    """Bounds of what preStop and grace take once a pod is told to end."""
    protected: bool = False
    """Its pods are made with the annotation."""
    local_volume: bool = False
    images: frozenset[str] = frozenset()
    """Nodes that its pods may be on, by the label that says of which image they are; empty: any."""
    critical: bool = False
    spread: bool = False
    """No two of its pods on one node, however few nodes there are."""

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """What its pods carry and its budget selects."""
        return (("app", self.name),)


PENDING = InstanceName("")


@dataclass(slots=True)
class PodTruth:
    """One pod; `node` is empty while it is pending."""

    deployment: Deployment
    name: str
    uid: str
    node: InstanceName = PENDING
    ready: bool = False
    terminating: bool = False
    ready_since: float | None = None
    unready_since: float = 0.0
    """Where it is not ready: since when, or since when it has its node."""
    failing: str = ""
    finished: bool = False
    protected: bool = False
    """Annotated not to be disrupted."""
    asks_since: float = 0.0
    """Where it is so: since when, or since when it has its node."""

    @property
    def owner(self) -> str:
        """As its controller reference says it. Each Job makes one pod here, of the same name."""
        wanted = self.deployment
        name = self.name if wanted.kind is Kind.JOB else wanted.name
        return "" if wanted.kind is Kind.BARE else f"{wanted.kind.value}/{name}"

    def finish(self, now: float) -> None:
        """Its work is done."""
        self.set_unready(now)
        self.finished = True

    def set_ready(self, now: float) -> None:
        """Serving since `now`."""
        if not self.ready:
            self.ready, self.ready_since, self.failing = True, now, ""

    def set_unready(self, now: float) -> None:
        """Not serving since `now`."""
        if self.ready:
            self.ready, self.ready_since, self.unready_since = False, None, now


def seen(api: KubernetesTruth, pod: PodTruth) -> PodSeen:
    """As the API shows it."""
    wanted = pod.deployment
    since = api.world.unix(pod.ready_since) if pod.ready_since is not None else None
    return PodSeen(
        wanted.namespace, pod.name, pod.uid, pod.node, pod.ready,
        daemon=wanted.kind is Kind.DAEMON_SET, terminating=pod.terminating,
        stateful=wanted.kind is Kind.STATEFUL_SET, owner=pod.owner, labels=wanted.labels,
        ready_since_unix=since, failing=pod.failing, protected=pod.protected,
        local_volume=wanted.local_volume, finished=pod.finished, critical=wanted.critical,
        unready_since_unix=None if pod.ready else api.world.unix(pod.unready_since),
    )  # fmt: skip


def keep_replicas(api: KubernetesTruth) -> None:
    """The workloads' controllers, pod garbage collection and taint eviction, in one look."""
    now = api.world.timeline.now
    for pod in list(api.pods.values()):
        node = api.nodes.get(pod.node)
        if pod.node and node is None:
            api.forget_pod(pod.uid)
        elif node is not None and node.ready is None and now - node.lease > EVICTION_AFTER_SECONDS:
            pod.terminating = pod.deployment.kind is not Kind.DAEMON_SET or pod.terminating
    for deployment in api.deployments:
        match deployment.kind:
            case Kind.DAEMON_SET:
                _one_a_node(api, deployment)
            case Kind.STATEFUL_SET:
                _each_by_name(api, deployment)
            case Kind.REPLICA_SET:
                _each_set_its_size(api, deployment)
            case Kind.JOB:
                _one_a_minute(api, deployment)
            case Kind.BARE:
                pass


def of(api: KubernetesTruth, deployment: Deployment) -> list[PodTruth]:
    """The pods of a workload, whichever template they were made from."""
    where = (deployment.namespace, deployment.name)
    return [pod for pod in api.pods.values() if (pod.deployment.namespace, pod.deployment.name) == where]


def _each_set_its_size(api: KubernetesTruth, deployment: Deployment) -> None:
    """The Deployment's controller, with maxSurge 1 and maxUnavailable 0, and its replica sets: one per template."""
    sizes = api.replica_sets.setdefault((deployment.namespace, deployment.name), {})
    pods: dict[frozenset[str], list[PodTruth]] = {template: [] for template in (*sizes, deployment.images)}
    for pod in of(api, deployment):
        if not pod.terminating:
            pods.setdefault(pod.deployment.images, []).append(pod)
    for template, size in resized(deployment, sizes, pods).items():
        living = sorted(pods[template], key=lambda pod: pod.ready)
        sizes[template] = size
        for pod in living[: max(0, len(living) - size)]:
            api.end_pod(pod)
        for _ in range(size - len(living)):
            api.create_pod(replace(deployment, images=template))


def resized(
    deployment: Deployment, sizes: Mapping[frozenset[str], int], pods: Mapping[frozenset[str], list[PodTruth]]
) -> dict[frozenset[str], int]:
    """How many pods each template is to have: the new one grows by one above all, an old one shrinks by what is not
    ready and then by what is ready too many."""
    wanted, new = deployment.replicas, deployment.images
    if not any(size for template, size in sizes.items() if template != new):
        return {new: wanted}
    after = dict(sizes) | {new: sizes.get(new, 0)}
    ready = {template: sum(pod.ready for pod in pods.get(template, ())) for template in after}
    after[new] += max(0, min(wanted - after[new], wanted + 1 - sum(after.values())))
    unready_new = max(0, after[new] - ready[new])
    most = sum(after.values()) - wanted - unready_new
    for old in sorted(after.keys() - {new}, key=sorted):
        broken = max(0, min(most, after[old] - ready[old]))
        after[old], most = after[old] - broken, most - broken
    spare = min(most, sum(ready.values()) - wanted)
    for old in sorted(after.keys() - {new}, key=sorted):
        gone = max(0, min(spare, after[old]))
        after[old], spare = after[old] - gone, spare - gone
    return after


def _one_a_node(api: KubernetesTruth, deployment: Deployment) -> None:
    has = {pod.node for pod in of(api, deployment)}
    for node in api.nodes.values():
        if node.name not in has and not node.foreign:
            api.bind(api.create_pod(deployment), node.name)


def _each_by_name(api: KubernetesTruth, deployment: Deployment) -> None:
    """A pod of that name is made again only once the one before is no object any more."""
    there = {pod.name for pod in of(api, deployment)}
    for number in range(deployment.replicas):
        if (name := f"{deployment.name}-{number}") not in there:
            api.create_pod(deployment, name)


def _one_a_minute(api: KubernetesTruth, deployment: Deployment) -> None:
    """The CronJob's controller: a Job by each minute's number, and of those that finished the oldest are deleted."""
    minute = int(api.world.timeline.now // CRON_SECONDS)
    there = of(api, deployment)
    if f"{deployment.name}-{minute}" not in {pod.name for pod in there}:
        api.create_pod(deployment, f"{deployment.name}-{minute}")
    for pod in [pod for pod in there if pod.finished][:-CRON_KEPT]:
        api.forget_pod(pod.uid)


def schedule(api: KubernetesTruth) -> None:
    """Bind pending pods to the emptiest node that may take them, of those that would rather not last."""
    used: dict[InstanceName, int] = {}
    for pod in api.pods.values():
        used[pod.node] = used.get(pod.node, 0) + 1
    for pod in list(api.pods.values()):
        if pod.node or pod.terminating:
            continue
        taken = {
            other.node
            for other in of(api, pod.deployment)
            if other.deployment == pod.deployment and not other.terminating
        }
        nodes = [
            node
            for node in api.nodes.values()
            if may_run(node, pod.deployment) and not (pod.deployment.spread and node.name in taken)
        ]
        if nodes:
            best = min(nodes, key=lambda node: (_unwilling(node), used.get(node.name, 0), node.name)).name
            used[best] = used.get(best, 0) + 1
            api.bind(pod, best)


def _unwilling(node: NodeTruth) -> int:
    return sum(taint.effect == "PreferNoSchedule" for taint in node.taints)


def may_run(node: NodeTruth, deployment: Deployment) -> bool:
    """Whether the scheduler would put a pod of it there."""
    if node.ready is not True or node.unschedulable or node.foreign:
        return False
    if deployment.images and node.labels.get(IMAGE_LABEL) not in deployment.images:
        return False
    keys = {taint.key for taint in node.taints if taint.effect != "PreferNoSchedule"}
    return not keys or (deployment.tolerates and not keys & {"risen/uninitialized", OUT_OF_SERVICE})


def budgets(api: KubernetesTruth) -> tuple[BudgetSeen, ...]:
    """The budgets of all workloads that have one, as the disruption controller counts them."""
    return tuple(
        BudgetSeen(
            wanted.namespace, f"{wanted.name}-budget", max(0, healthy(api, wanted) - wanted.min_available),
            healthy(api, wanted), wanted.min_available, wanted.labels,
        )
        for wanted in api.deployments
        if wanted.min_available
    )  # fmt: skip


def healthy(api: KubernetesTruth, deployment: Deployment) -> int:
    """How many of its pods are ready and not ending."""
    return sum(pod.ready and not pod.terminating for pod in of(api, deployment))


def budget_allows(api: KubernetesTruth, pod: PodTruth) -> bool:
    """Whether a voluntary eviction is granted: `IfHealthyBudget`, which guards the pods of a broken app too."""
    least = pod.deployment.min_available
    if pod.terminating or pod.finished or not pod.node or not least:
        return True
    return healthy(api, pod.deployment) - (1 if pod.ready else 0) >= least


def detach(api: KubernetesTruth) -> None:
    """The attach-detach controller: a volume leaves a node some time after its pod did, if that node lives."""
    line = api.world.timeline
    for volume, (node_name, left_at) in list(api.attachments.items()):
        holder = next((pod for pod in api.pods.values() if pod.name == volume), None)
        if holder is not None and holder.node == node_name:
            api.attachments[volume] = (node_name, None)
            continue
        if left_at is None:
            api.attachments[volume] = (node_name, line.now)
            continue
        node = api.nodes.get(node_name)
        clean = node is not None and (
            node.ready is True or any(taint.key == OUT_OF_SERVICE for taint in node.taints)
        )
        if line.now - left_at >= (line.draw(*DETACH_SECONDS) if clean else FORCED_DETACH_SECONDS):
            del api.attachments[volume]
