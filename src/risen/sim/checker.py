"""What may never happen, judged on the world's truth, and what must be so in the end.

It is told of each write as it is carried out, so a fault of the engine is named with the write that did it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from risen.core.history import History
from risen.core.judge.facts import look
from risen.core.names import InstanceName, ProviderId
from risen.core.picture import EtcdSeen, KubernetesSeen, Picture, ProviderSeen, Seen, Unseen
from risen.core.plan import Now
from risen.core.safety.invariants import violations
from risen.core.spec import Revision
from risen.core.step import Step
from risen.interfaces.errors import NotFound, Unreachable
from risen.sim.instances import Instance, Power
from risen.sim.world import World

HARM = frozenset({"provider.destroy", "provider.press_power_button"})
NODE_HARM = frozenset({"kubernetes.delete_node", "kubernetes.cordon", "kubernetes.taint_out_of_service"})
NO_HARM_TO_QUORUM = frozenset({"store.append", "store.put", "store.delete"})


@dataclass(slots=True)
class Checker:
    """Judges one run. Told by the line before and after each write, and by the timeline after each event."""

    world: World
    founded: int = 0
    _safe: tuple[bool, bool, int] = (False, False, 0)
    names: set[InstanceName] = field(default_factory=set)

    def before(self, operation: str, subject: str) -> None:
        """What must hold for this write to be sent at all."""
        etcd = self.world.etcd
        if operation not in NO_HARM_TO_QUORUM:
            self._safe = (etcd.has_quorum(), etcd.disks_safe(), len(etcd.voters))
        if operation == "provider.launch":
            self._before_launch(InstanceName(subject))
        elif operation in HARM or operation == "provider.power_on":
            self._before_harm(operation, ProviderId(subject))
        elif operation == "etcd.remove":
            member = etcd.members.get(subject)
            if member is not None and member.name:
                self._need_entry(operation, InstanceName(member.name), self.world.history())
        elif operation in NODE_HARM:
            self._before_node_harm(operation, InstanceName(subject))
        elif operation == "kubernetes.free_pod":
            self._before_freeing(subject)

    def after(self, operation: str, subject: str) -> None:
        """What this write may not have done."""
        if operation == "provider.launch" and InstanceName(subject) in self.world.instances.all:
            self.names.add(InstanceName(subject))
        if operation in NO_HARM_TO_QUORUM:
            return
        etcd = self.world.etcd
        quorum, disks, voters = self._safe
        if quorum and not etcd.has_quorum():
            self.world.violation(
                f"{operation} {subject}: etcd had a quorum of {voters} voters and has none now"
            )
        if disks and not etcd.disks_safe():
            self.world.violation(f"{operation} {subject}: a majority of {voters} voters' disks is not left")

    def after_event(self) -> None:
        """What no event may have brought about."""
        count = len(self.world.etcd.foundings)
        if count > 1 and count != self.founded:
            self.world.violation(f"etcd was founded {count} times: {self.world.etcd.foundings}")
        self.founded = count

    def _before_launch(self, name: InstanceName) -> None:
        if not self.world.born(name):
            self.world.violation(f"launch of {name}: there is no birth record")
        if name in self.names and name not in self.world.instances.all:
            self.world.violation(f"launch of {name}: the name was used before and is gone")

    def _before_harm(self, operation: str, provider_id: ProviderId) -> None:
        try:
            item = self.world.instances.by_id(provider_id)
        except NotFound:
            return
        if item.cluster != self.world.uid or not self.world.born(item.name):
            self.world.violation(f"{operation} {item.name}: it is not ours")
        if operation in HARM:
            self._need_entry(operation, item.name, self.world.history())

    def _before_node_harm(self, operation: str, name: InstanceName) -> None:
        node = self.world.kubernetes.nodes.get(name)
        if node is not None and node.foreign:
            self.world.violation(f"{operation} {name}: the Node is not ours")
        elif node is not None:
            self._need_entry(operation, name, self.world.history())

    def _before_freeing(self, name: str) -> None:
        """A pod goes only from a fenced instance, whose Node takes no pod any more."""
        for pod in self.world.kubernetes.pods.values():
            if pod.name != name:
                continue
            if pod.node in self.world.instances.all:
                self.world.violation(f"free_pod {name}: its instance {pod.node} is not gone")
            node = self.world.kubernetes.nodes.get(pod.node)
            if node is not None and not any(taint.effect == "NoExecute" for taint in node.taints):
                self.world.violation(f"free_pod {name}: Node {pod.node} still takes pods")

    def _need_entry(self, operation: str, name: InstanceName, history: History) -> None:
        if not any(entry.subject == name for entry in history.open_entries):
            self.world.violation(f"{operation} {name}: no ledger entry is open for it")


def untrue(world: World, step: Step) -> tuple[str, ...]:
    """The core's invariants that this step breaks on the truth. What cannot be seen is no fault of a step."""
    facts = look(true_picture(world), world.history(), Now(world.timeline.now, world.unix()))
    return tuple(
        f"{broken.invariant}: {broken.blocked.why}"
        for broken in violations(step, facts)
        if broken.blocked.name != "cannot-see"
    )


def true_picture(world: World) -> Picture:
    """What a perfect observer would see this moment."""
    now = world.timeline.now
    addresses = tuple(item.address for item in world.instances.all.values())
    try:
        world.kubernetes.need_api()
        kubernetes: Seen[KubernetesSeen] | Unseen = Seen(world.kubernetes.seen(), now)
    except Unreachable as error:
        kubernetes = Unseen(str(error), now)
    try:
        etcd: Seen[EtcdSeen] | Unseen = Seen(world.etcd.observe(addresses), now)
    except Unreachable as error:
        etcd = Unseen(str(error), now)
    listed = world.instances.whole()
    gone = tuple(
        world.instances.get(name) for name in world.history().lives if name not in world.instances.all
    )
    provider = ProviderSeen(listed.instances + gone, listed.host_boot)
    return Picture(Seen(provider, now), kubernetes, etcd, Seen(world.endpoint.list(), now))


def lacking(world: World, revision: Revision) -> str:
    """What is not yet as wanted; empty once the cluster has arrived. Cheap tests come first."""
    ours = [item for item in world.instances.all.values() if item.cluster == world.uid]
    for pool in revision.spec.pools:
        count = sum(item.request.pool == pool.name for item in ours)
        if count != pool.replicas:
            return f"pool {pool.name} has {count} of {pool.replicas} instances"
    for item in ours:
        if what := _instance_lacks(world, item):
            return what
    if set(world.kubernetes.nodes) - {item.name for item in ours} - _foreign_nodes(world):
        return "there are Nodes without an instance"
    return _etcd_lacks(world, ours) or _workload_lacks(world) or _records_lack(world, revision)


def _foreign_nodes(world: World) -> set[InstanceName]:
    return {node.name for node in world.kubernetes.nodes.values() if node.foreign}


def _instance_lacks(world: World, item: Instance) -> str:
    if item.power is not Power.RUNNING or not item.joined:
        return f"{item.name} is {item.power.value}, joined {item.joined!r}"
    node = world.kubernetes.nodes.get(item.name)
    if node is None or node.ready is not True:
        return f"Node {item.name} is not Ready"
    if node.unschedulable or any(taint.key.startswith("risen/") for taint in node.taints):
        return f"Node {item.name} is cordoned or not yet marked: {node.taints}"
    if item.holds_etcd:
        backend = world.endpoint.backends.get(item.name)
        if backend is None or not backend.up or backend.draining:
            return f"{item.name} is no backend of the endpoint that is up"
    return ""


def _etcd_lacks(world: World, ours: list[Instance]) -> str:
    etcd = world.etcd
    wanted = sorted(item.name for item in ours if item.holds_etcd)
    voters = sorted(member.name for member in etcd.members.values() if not member.learner)
    if voters != wanted or len(etcd.members) != len(voters):
        return f"etcd members {voters} of {len(etcd.members)}, wanted voters {wanted}"
    if not etcd.works() or not all(etcd.up(member) for member in etcd.members.values()):
        return "an etcd member is down"
    if set(world.endpoint.backends) != set(wanted):
        return f"backends {sorted(world.endpoint.backends)}, wanted {wanted}"
    return ""


def _workload_lacks(world: World) -> str:
    api = world.kubernetes
    for deployment in api.deployments:
        ready = sum(
            pod.deployment == deployment
            and pod.ready
            and not pod.terminating
            and world.kubelets.serves(pod.node)
            for pod in api.pods.values()
        )
        if ready < deployment.replicas:
            return f"{deployment.name}: {ready} of {deployment.replicas} pods serve"
    return ""


def _records_lack(world: World, revision: Revision) -> str:
    missing = [key for key, digest in revision.addons if world.kubernetes.addons.get(key) != digest]
    if missing:
        return f"add-ons missing: {missing}"
    if world.recorded_cluster_id() != world.etcd.cluster_id:
        return "the etcd cluster's id is not recorded"
    history = world.history()
    if history.open_entries:
        return f"open ledger entries: {[(entry.id, entry.subject) for entry in history.open_entries]}"
    if history.kills:
        return f"kills not done: {history.kills}"
    return ""


def end_state(world: World) -> tuple[str, ...]:
    """The cluster without its names: two runs that ended alike give equal values."""
    pools = sorted(
        f"{item.request.pool} {item.power.value} {'ours' if item.cluster == world.uid else 'foreign'}"
        for item in world.instances.all.values()
    )
    etcd = world.etcd
    nodes = sorted(
        f"node ready={node.ready} cordoned={node.unschedulable} {sorted(node.labels)} {node.taints}"
        for node in world.kubernetes.nodes.values()
    )
    return (
        *pools,
        *nodes,
        f"voters {len(etcd.voters)} of {len(etcd.members)}, founded {len(etcd.foundings)}",
        f"backends {len(world.endpoint.backends)}",
        *sorted(f"addon {key} {digest}" for key, digest in world.kubernetes.addons.items()),
    )
