"""The truth about Kubernetes: Nodes, pods, add-ons, leases, and which apiserver answers.

It is kept in the simulated etcd: with no quorum there, nothing here answers or changes. What kubelets do is
`kubelets.py`'s, what controllers make of workloads `workloads.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from risen.core.names import InstanceName
from risen.core.picture import KubernetesSeen, NodeSeen
from risen.core.spec import Taint
from risen.interfaces.errors import Conflict, Later, NotFound, Unreachable
from risen.sim.truths import Truth
from risen.sim.workloads import (
    Deployment,
    PodTruth,
    budget_allows,
    budgets,
    detach,
    keep_replicas,
    schedule,
    seen,
)

if TYPE_CHECKING:
    from risen.sim.world import World

TICK_SECONDS = 1.0
GRACE_SECONDS = 50.0
"""Without a renewed lease for so long, a node's condition becomes Unknown."""
CACHE_LAG_SECONDS = 0.4
GAP_SHARE = 0.01
GAP_SECONDS = (1.0, 4.0)
"""How often a watch breaks and is not in sync again for so long, without anybody noticing: 410, list anew."""
HOLDER_SECONDS = 15.0
ENDPOINT_LEASE_SECONDS = 15.0
UNINITIALIZED = Taint("risen/uninitialized", "", "NoSchedule")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")


@dataclass(slots=True)
class NodeTruth:
    """A Node object."""

    name: InstanceName
    uid: str
    provider_id: str
    lease: float
    ready: bool | None = False
    unschedulable: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = (UNINITIALIZED,)
    our_labels: tuple[str, ...] = ()
    our_taints: tuple[str, ...] = ()
    """Keys set by the engine: annotations of the Node."""
    our_cordon: bool = False
    waiting_for_addons: bool = False
    foreign: bool = False
    ready_since: float | None = None

    def set_ready(self, ready: bool | None, now: float) -> None:
        """Its Ready condition; when it becomes True is the condition's last transition."""
        self.ready_since = now if ready else None
        self.ready = ready


@dataclass(slots=True)
class Holder:
    """Who holds a leader lease in kube-system: an instance's component."""

    identity: str = ""
    renewed: float = 0.0

    @property
    def instance(self) -> InstanceName:
        """The instance of the holder."""
        return InstanceName(self.identity.rsplit("_", 1)[0])


@dataclass(slots=True)
class KubernetesTruth:
    """One cluster's API as if seen from above."""

    world: World
    nodes: dict[InstanceName, NodeTruth] = field(default_factory=dict)
    pods: dict[str, PodTruth] = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    replica_sets: dict[tuple[str, str], dict[frozenset[str], int]] = field(default_factory=dict)
    """By namespace and name of a Deployment: how many pods each of its templates is to have."""
    addons: dict[str, str] = field(default_factory=dict)
    holders: dict[str, Holder] = field(default_factory=lambda: {name: Holder() for name in CONTROLLERS})
    unserved: set[str] = field(default_factory=set)
    """apiVersions and namespaces that are not there yet."""
    attachments: dict[str, tuple[InstanceName, float | None]] = field(default_factory=dict)
    """Volumes by pod: the node that holds it, and when the pod was seen to have left that node."""
    made: int = 0
    cache: tuple[float, KubernetesSeen | None] = (0.0, None)
    lag: float = 0.0

    # --- who answers --------------------------------------------------------------------------------------
    def apiserver_serves(self, name: str) -> bool:
        """Whether the apiserver of this instance is ready: its own member votes and etcd works."""
        item = self.world.instances.all.get(InstanceName(name))
        return item is not None and item.apiserver and item.etcd_since is not None and self.world.etcd.works()

    def reachable_from(self, name: str) -> bool:
        """A control-plane instance uses its own apiserver, every other the endpoint."""
        item = self.world.instances.all[InstanceName(name)]
        return self.apiserver_serves(name) if item.holds_etcd else self.world.endpoint.serves()

    def need_api(self) -> None:
        """Raises Unreachable unless somebody answers through the endpoint."""
        if not self.world.endpoint.serves():
            raise Unreachable("no apiserver answers through the endpoint")

    def wrote(self) -> None:
        """Something was written: it is in etcd."""
        self.world.etcd.commit()

    def uid(self) -> str:
        """A uid that is never used again."""
        self.made += 1
        return f"uid-{self.made}"

    # --- what the engine asks -----------------------------------------------------------------------------
    def observe(self) -> KubernetesSeen:
        """What the cache of a watcher holds: up to CACHE_LAG_SECONDS old, or a gap. Raises Unreachable."""
        self.need_api()
        line = self.world.timeline
        at, cached = self.cache
        if cached is None or line.now - at >= self.lag:
            cached = self.seen()
            self.cache = (line.now, cached)
            self.lag = (
                line.draw(*GAP_SECONDS) if line.chance(GAP_SHARE) else line.draw(0.0, CACHE_LAG_SECONDS)
            )
        return cached

    def falls_behind(self, seconds: float) -> None:
        """The cache stays as it is for so long: what is written from here on is not seen until then."""
        now = self.world.timeline.now
        if now - self.cache[0] >= self.lag:
            self.cache = (now, self.seen())
        self.lag = max(self.lag, now - self.cache[0] + seconds)

    def seen(self) -> KubernetesSeen:
        """What is there now."""
        nodes = [
            NodeSeen(
                node.name, node.uid, node.provider_id, node.ready, node.unschedulable,
                tuple(sorted(node.labels.items())), node.taints, self.world.unix(node.lease),
                node.waiting_for_addons, node.our_labels, node.our_taints,
                self.world.unix(node.ready_since) if node.ready_since is not None else None,
                node.our_cordon,
            )
            for node in self.nodes.values()
        ]  # fmt: skip
        return KubernetesSeen(
            tuple(nodes), tuple(seen(self, pod) for pod in self.pods.values() if pod.node),
            tuple(sorted(self.addons.items())),
            tuple((name, holder.identity) for name, holder in self.holders.items()),
            budgets(self),
            tuple(sorted((volume, node) for volume, (node, _) in self.attachments.items())),
            tuple(
                (name, self.world.unix(holder.renewed) + HOLDER_SECONDS) for name, holder in self.holders.items()
            ),
        )  # fmt: skip

    def apply(self, key: str, digest: str) -> None:
        """Server-side apply; a Deployment brings its pods. Later for what is not there yet."""
        self.need_api()
        version, _, namespace, _ = key.rsplit("/", 3)
        if version in self.unserved:
            raise Later(f"the API does not serve {version} (yet)")
        if namespace in self.unserved:
            raise Later(f"its namespace or kind is not there yet: {namespace}")
        self.addons[key] = digest
        for deployment in self.world.addon_deployments(key, digest):
            others = [one for one in self.deployments if one.name != deployment.name]
            self.deployments = [*others, deployment]
        self.wrote()

    def node(self, name: str, uid: str) -> NodeTruth:
        """Raises Unreachable, NotFound, Conflict for another uid."""
        self.need_api()
        node = self.nodes.get(InstanceName(name))
        if node is None:
            raise NotFound(f"nodes {name} not found")
        if node.uid != uid:
            raise Conflict(f"nodes {name}: uid is {node.uid}, not {uid}")
        return node

    def pod(self, name: str, uid: str) -> PodTruth:
        """Raises Unreachable, NotFound, Conflict for another uid."""
        self.need_api()
        pod = self.pods.get(uid)
        if pod is not None:
            return pod
        if any(other.name == name for other in self.pods.values()):
            raise Conflict(f"pods {name}: another uid than {uid}")
        raise NotFound(f"no pod with uid {uid}")

    def mark(self, name: str, uid: str, labels: dict[str, str], taints: tuple[Taint, ...]) -> None:
        """Set labels and taints; what we set before and do not want any more goes, what others set stays."""
        node = self.node(name, uid)
        for key in set(node.our_labels) - labels.keys():
            node.labels.pop(key, None)
        node.labels.update(labels)
        ours = {UNINITIALIZED.key, *node.our_taints, *(taint.key for taint in taints)}
        node.taints = tuple(taint for taint in node.taints if taint.key not in ours) + taints
        node.our_labels = tuple(sorted(labels))
        node.our_taints = tuple(sorted({taint.key for taint in taints}))
        self.wrote()

    def cordon(self, name: str, uid: str, on: bool) -> None:
        """Make it unschedulable, or schedulable again."""
        node = self.node(name, uid)
        node.unschedulable = node.our_cordon = on
        self.wrote()

    def taint_out_of_service(self, name: str, uid: str) -> None:
        """Let its volumes detach."""
        node = self.node(name, uid)
        taint = Taint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute")
        if taint not in node.taints:
            node.taints = (*node.taints, taint)
        self.wrote()

    def evict(self, name: str, uid: str, past_budgets: bool) -> None:
        """Voluntary: refused (Later) by a budget, and by two always. What has finished goes at once."""
        pod = self.pod(name, uid)
        if pod.finished:
            self.forget_pod(uid)
            return
        if not past_budgets and pod.deployment.budgets > 1:
            raise Later(
                "This pod has more than one PodDisruptionBudget, which the eviction does not support."
            )
        if not past_budgets and not budget_allows(self, pod):
            raise Later("Cannot evict pod as it would violate the pod's disruption budget.")
        self.end_pod(pod)
        self.wrote()

    def end_pod(self, pod: PodTruth) -> None:
        """Its kubelet ends it in its own time; one that is on no node is gone at once."""
        if pod.terminating:
            return
        pod.terminating = True
        line = self.world.timeline
        if pod.node:
            line.after(line.draw(*pod.deployment.end_seconds), self.world.kubelets.pod_ended, pod.uid)
        else:
            self.forget_pod(pod.uid)

    def free_pod(self, name: str, uid: str) -> None:
        """Failed, then deleted with grace 0: only of a fenced instance, whose Node takes no pod any more."""
        pod = self.pod(name, uid)
        if pod.node in self.world.instances.all:
            self.world.violation(
                Truth.FENCED_BEFORE_FREED, f"free_pod {name}: its instance {pod.node} is not gone"
            )
        node = self.nodes.get(pod.node)
        if node is not None and not any(taint.effect == "NoExecute" for taint in node.taints):
            self.world.violation(
                Truth.FENCED_BEFORE_FREED, f"free_pod {name}: Node {pod.node} still takes pods"
            )
        self.forget_pod(pod.uid)

    def delete_node(self, name: str, uid: str) -> None:
        """Its pods become garbage. NotFound is done."""
        self.need_api()
        if InstanceName(name) not in self.nodes:
            return
        del self.nodes[self.node(name, uid).name]
        self.wrote()

    def release_lease(self, lease: str, holder: str) -> None:
        """Empty the holder if it is still this one."""
        self.need_api()
        held = self.holders.get(lease)
        if held is None:
            raise NotFound(f"no lease {lease}")
        if held.identity != holder:
            raise Conflict(f"lease {lease} is held by {held.identity}")
        held.identity = ""
        self.wrote()

    # --- what happens by itself ---------------------------------------------------------------------------
    def tick(self) -> None:
        """kube-controller-manager and kube-scheduler, as far as one of each leads."""
        self.world.timeline.after(TICK_SECONDS, self.tick)
        if not self.world.etcd.works():
            return
        self._renew_endpoint_leases()
        if self._led("kube-controller-manager"):
            self._watch_nodes()
            keep_replicas(self)
            detach(self)
        if self._led("kube-scheduler"):
            schedule(self)
        self.wrote()

    def _renew_endpoint_leases(self) -> None:
        """Each apiserver its own, by which it is an endpoint of the Service `kubernetes`."""
        for item in self.world.instances.all.values():
            if self.apiserver_serves(item.name):
                self.world.etcd.endpoint_leases[item.address] = (
                    self.world.timeline.now + ENDPOINT_LEASE_SECONDS
                )

    def _led(self, lease: str) -> bool:
        """Renew a leader lease, or take it over once it is empty or has expired."""
        held, now = self.holders[lease], self.world.timeline.now
        if held.identity and self.apiserver_serves(held.instance):
            held.renewed = now
            return True
        if held.identity and now - held.renewed < HOLDER_SECONDS:
            return False
        takers = [item.name for item in self.world.instances.all.values() if self.apiserver_serves(item.name)]
        if not takers:
            return False
        held.identity, held.renewed = f"{self.world.timeline.random.choice(takers)}_{self.uid()}", now
        return True

    def _watch_nodes(self) -> None:
        now = self.world.timeline.now
        for node in self.nodes.values():
            if not node.foreign and node.ready and now - node.lease > GRACE_SECONDS:
                node.set_ready(None, now)
                for pod in self.pods.values():
                    if pod.node == node.name:
                        pod.set_unready(now)

    def create_pod(self, deployment: Deployment, name: str = "") -> PodTruth:
        """A new pod, pending."""
        uid = self.uid()
        pod = PodTruth(
            deployment, name or f"{deployment.name}-{uid[4:]}", uid, protected=deployment.protected
        )
        self.pods[uid] = pod
        return pod

    def protect(self, pod: PodTruth, on: bool) -> None:
        """Its owner asks that it be not disrupted, or no longer."""
        pod.protected, pod.asks_since = on, self.world.timeline.now
        self.wrote()

    def bind(self, pod: PodTruth, node: InstanceName) -> None:
        """The kubelet there will start it."""
        line = self.world.timeline
        pod.node, pod.unready_since, pod.asks_since = node, line.now, line.now
        line.after(line.draw(0.3, 1.2), self.world.kubelets.pod_started, pod.uid)

    def forget_pod(self, uid: str) -> None:
        """Delete the object."""
        self.pods.pop(uid, None)
        self.wrote()
