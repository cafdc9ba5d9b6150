"""The truth about Kubernetes: Nodes, pods, add-ons, leases, and which apiserver answers.

It is kept in the simulated etcd: with no quorum there, nothing here answers or changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from risen.core.names import InstanceName, Role
from risen.core.picture import KubernetesSeen, NodeSeen, PodSeen
from risen.core.spec import Taint
from risen.interfaces.errors import Conflict, Later, NotFound, Unreachable
from risen.sim.workloads import Deployment, PodTruth, budget_allows, keep_replicas, schedule

if TYPE_CHECKING:
    from risen.sim.world import World

TICK_SECONDS = 1.0
LEASE_SECONDS = 10.0
GRACE_SECONDS = 50.0
"""Without a renewed lease for so long, a node's condition becomes Unknown."""
CACHE_LAG_SECONDS = 0.4
HOLDER_SECONDS = 15.0
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
    waiting_for_addons: bool = False
    foreign: bool = False


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
    addons: dict[str, str] = field(default_factory=dict)
    holders: dict[str, Holder] = field(default_factory=lambda: {name: Holder() for name in CONTROLLERS})
    unserved: set[str] = field(default_factory=set)
    """apiVersions and namespaces that are not there yet."""
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
        """What the cache of a watcher holds: up to CACHE_LAG_SECONDS old. Raises Unreachable."""
        self.need_api()
        now = self.world.timeline.now
        at, cached = self.cache
        if cached is None or now - at >= self.lag:
            cached = self.seen()
            self.cache = (now, cached)
            self.lag = self.world.timeline.draw(0.0, CACHE_LAG_SECONDS)
        return cached

    def seen(self) -> KubernetesSeen:
        """What is there now."""
        nodes = [
            NodeSeen(
                node.name, node.uid, node.provider_id, node.ready, node.unschedulable,
                tuple(sorted(node.labels.items())), node.taints, self.world.unix(node.lease),
                node.waiting_for_addons, node.our_labels, node.our_taints,
            )
            for node in self.nodes.values()
        ]  # fmt: skip
        pods = [
            PodSeen(
                pod.deployment.namespace, pod.name, pod.uid, pod.node, pod.ready, terminating=pod.terminating
            )
            for pod in self.pods.values()
            if pod.node
        ]
        holders = tuple((name, holder.identity) for name, holder in self.holders.items())
        return KubernetesSeen(tuple(nodes), tuple(pods), tuple(sorted(self.addons.items())), holders)

    def apply(self, key: str, digest: str) -> None:
        """Server-side apply; a Deployment brings its pods. Later for what is not there yet."""
        self.need_api()
        version, _, namespace, _ = key.rsplit("/", 3)
        if version in self.unserved:
            raise Later(f"the API does not serve {version} (yet)")
        if namespace in self.unserved:
            raise Later(f"its namespace or kind is not there yet: {namespace}")
        self.addons[key] = digest
        for deployment in self.world.addon_deployments.get(key, ()):
            if deployment not in self.deployments:
                self.deployments.append(deployment)
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
        self.node(name, uid).unschedulable = on
        self.wrote()

    def taint_out_of_service(self, name: str, uid: str) -> None:
        """Let its volumes detach."""
        node = self.node(name, uid)
        taint = Taint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute")
        if taint not in node.taints:
            node.taints = (*node.taints, taint)
        self.wrote()

    def evict(self, name: str, uid: str, past_budgets: bool) -> None:
        """Voluntary: refused (Later) by a budget, and by two always."""
        pod = self.pod(name, uid)
        if not past_budgets and pod.deployment.budgets > 1:
            raise Later(
                "This pod has more than one PodDisruptionBudget, which the eviction does not support."
            )
        if not past_budgets and not budget_allows(self, pod):
            raise Later("Cannot evict pod as it would violate the pod's disruption budget.")
        if not pod.terminating:
            pod.terminating = True
            line = self.world.timeline
            line.after(line.draw(0.5, 2.0), self.pod_ended, uid)
        self.wrote()

    def free_pod(self, name: str, uid: str) -> None:
        """Failed, then deleted with grace 0."""
        self.forget_pod(self.pod(name, uid).uid)

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
    def start_apiserver(self, name: str, boot: int) -> None:
        """It comes up once its own etcd member votes and there is a leader."""
        item = self.world.instances.alive(name, boot)
        if item is None or item.stopping:
            return
        line, etcd = self.world.timeline, self.world.etcd
        member = etcd.members.get(item.member)
        if member is None or member.learner or not etcd.up(member) or not etcd.works():
            line.after(0.5, self.start_apiserver, name, boot)
            return
        line.after(line.draw(0.5, 2.5), self.apiserver_ready, name, boot)

    def apiserver_ready(self, name: str, boot: int) -> None:
        """/readyz says ok from here on, as long as etcd works."""
        item = self.world.instances.alive(name, boot)
        if item is not None and not item.stopping:
            item.apiserver = True
            self.world.endpoint.look_soon()

    def start_kubelet(self, name: str, boot: int) -> None:
        """Register the Node, or renew its lease; again and again."""
        item = self.world.instances.alive(name, boot)
        if item is None or item.cluster is None:
            return
        line = self.world.timeline
        if not self.reachable_from(name):
            line.after(1.0, self.start_kubelet, name, boot)
            return
        node = self.nodes.get(item.name)
        if node is None:
            node = NodeTruth(item.name, self.uid(), item.provider_id, line.now)
            self.nodes[item.name] = node
            self.wrote()
        node.lease = line.now
        for pod in self.pods.values():
            if pod.node == node.name:
                line.after(line.draw(0.3, 1.2), self.pod_started, pod.uid)
        line.after(line.draw(0.5, 2.0), self.become_ready, name, boot)
        line.after(LEASE_SECONDS, self.renew_lease, name, boot)

    def renew_lease(self, name: str, boot: int) -> None:
        """A kubelet whose Node was deleted under it does not create it again."""
        item = self.world.instances.alive(name, boot)
        if item is None:
            return
        node = self.nodes.get(item.name)
        if node is not None and self.reachable_from(name):
            node.lease = self.world.timeline.now
            if node.ready is None:
                self.become_ready(name, boot)
        self.world.timeline.after(LEASE_SECONDS, self.renew_lease, name, boot)

    def become_ready(self, name: str, boot: int) -> None:
        """Ready as soon as the network's add-ons are there."""
        item = self.world.instances.alive(name, boot)
        node = self.nodes.get(InstanceName(name))
        if item is None or node is None or node.ready:
            return
        lacking = any(key not in self.addons for key in self.world.network_addons)
        node.waiting_for_addons = lacking
        if lacking or not self.reachable_from(name):
            self.world.timeline.after(0.5, self.become_ready, name, boot)
            return
        node.ready = True
        for pod in self.pods.values():
            if pod.node == node.name:
                pod.ready = True

    def instance_down(self, name: InstanceName) -> None:
        """Nothing in the API changes by that: only its lease grows old."""

    def tick(self) -> None:
        """kube-controller-manager and kube-scheduler, as far as one of each leads."""
        self.world.timeline.after(TICK_SECONDS, self.tick)
        if not self.world.etcd.works():
            return
        if self._led("kube-controller-manager"):
            self._watch_nodes()
            keep_replicas(self)
        if self._led("kube-scheduler"):
            schedule(self)
        self.wrote()

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
                node.ready = None
                for pod in self.pods.values():
                    if pod.node == node.name:
                        pod.ready = False

    def create_pod(self, deployment: Deployment) -> None:
        """A new pod, pending."""
        uid = self.uid()
        self.pods[uid] = PodTruth(deployment, f"{deployment.name}-{uid[4:]}", uid)

    def bind(self, pod: PodTruth, node: InstanceName) -> None:
        """The kubelet there will start it."""
        pod.node = node
        line = self.world.timeline
        line.after(line.draw(0.3, 1.2), self.pod_started, pod.uid)

    def pod_started(self, uid: str) -> None:
        """Ready, if its instance runs."""
        pod = self.pods.get(uid)
        if pod is not None and self.serving(pod.node):
            pod.ready = True

    def pod_ended(self, uid: str) -> None:
        """An evicted pod has ended; on an instance that is off nobody says so."""
        pod = self.pods.get(uid)
        if pod is not None and self.serving(pod.node):
            self.forget_pod(uid)

    def forget_pod(self, uid: str) -> None:
        """Delete the object."""
        self.pods.pop(uid, None)
        self.wrote()

    def serving(self, name: InstanceName) -> bool:
        """Whether the instance of a node runs."""
        item = self.world.instances.all.get(name)
        return item is not None and item.power.value == "running"

    def role_of(self, name: InstanceName) -> Role | None:
        """The role of a node's instance."""
        item = self.world.instances.all.get(name)
        return item.request.role if item is not None else None
