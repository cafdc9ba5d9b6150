"""What may never happen, judged on the world's truth.

It is told of each write as it is carried out, so a fault of the engine is named with the write that did it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from risen.core.history import History
from risen.core.judge.facts import look
from risen.core.names import InstanceName, ProviderId
from risen.core.picture import EtcdSeen, KubernetesSeen, Picture, ProviderSeen, Seen, Unseen
from risen.core.plan import Now
from risen.core.safety.invariants import Violation, violations
from risen.core.step import Step
from risen.interfaces.errors import NotFound, Unreachable
from risen.sim.planned import PATIENCE_SECONDS, Planned
from risen.sim.pools import Pools
from risen.sim.truths import Truth
from risen.sim.world import World

HARM = frozenset({"provider.destroy", "provider.press_power_button"})
NODE_HARM = frozenset({"kubernetes.delete_node", "kubernetes.cordon", "kubernetes.taint_out_of_service"})
NODE_TOUCHED = frozenset({"kubernetes.patch_node", "kubernetes.uncordon"})
NO_HARM_TO_QUORUM = frozenset({"store.append", "store.put", "store.delete"})
TAKES = frozenset(
    {
        "kubernetes.cordon", "kubernetes.evict", "kubernetes.delete_pod", "endpoint.drain",
        "provider.press_power_button", "provider.destroy",
    }
)  # fmt: skip
JUDGED_WITH_PATIENCE = frozenset({Truth.POOL_BUDGET_KEPT, Truth.DO_NOT_DISRUPT_KEPT})
STORE_SECONDS = 22.0
"""That a store can be written is known for 10 s; a step may be carried out 10 s after it was sent."""


@dataclass(slots=True)
class Checker:
    """Judges one run. Told by the line before and after each write, and by the timeline after each event."""

    world: World
    founded: int = 0
    _safe: tuple[bool, bool, int] = (False, False, 0)
    names: set[InstanceName] = field(default_factory=set)
    planned: Planned = field(init=False)
    pools: Pools = field(init=False)
    writable_at: float = 0.0
    """When the store was last seen to take writes."""

    def __post_init__(self) -> None:
        self.planned, self.pools = Planned(self.world), Pools(self.world)
        self.writable_at = self.world.timeline.now

    def before(self, operation: str, subject: str) -> None:
        """What must hold for this write to be sent at all."""
        etcd = self.world.etcd
        if operation not in NO_HARM_TO_QUORUM:
            self._safe = (etcd.has_quorum(), etcd.disks_safe(), len(etcd.voters))
        if operation == "provider.launch":
            self._before_launch(InstanceName(subject))
            self.planned.before_launch(InstanceName(subject))
        elif operation in HARM or operation == "provider.power_on":
            self._before_harm(operation, ProviderId(subject))
        elif operation == "etcd.remove":
            member = etcd.members.get(subject)
            if member is not None and member.name:
                self._need_entry(operation, InstanceName(member.name), self.world.history())
                self.planned.before_removal(subject)
        elif operation == "etcd.remove_endpoint_lease":
            self._before_lease_removal(operation, subject)
        elif operation in NODE_HARM:
            self._before_node_harm(operation, InstanceName(subject))
        elif operation in NODE_TOUCHED:
            self._need_our_node(operation, InstanceName(subject))
        elif operation in ("kubernetes.evict", "kubernetes.delete_pod"):
            self.planned.before_eviction(subject, operation == "kubernetes.delete_pod")
        elif operation in ("endpoint.drain", "endpoint.remove"):
            self._before_endpoint(operation, InstanceName(subject))
        elif operation == "store.put":
            self.pools.before_put(subject)
        if operation in TAKES and self.world.timeline.now > self.writable_at + STORE_SECONDS:
            self.world.violation(
                Truth.STORE_BEFORE_HARM, f"{operation} {subject}: the store takes no writes for long"
            )

    def after(self, operation: str, subject: str) -> None:
        """What this write may not have done."""
        if operation == "provider.launch" and InstanceName(subject) in self.world.instances.all:
            self.names.add(InstanceName(subject))
        if operation == "store.append":
            self.planned.after_record()
            self.pools.after_record()
        if operation in NO_HARM_TO_QUORUM:
            return
        if operation == "kubernetes.apply":
            self.planned.after_apply(subject)
        if operation in HARM:
            self.planned.after_harm(operation, subject)
        etcd = self.world.etcd
        quorum, disks, voters = self._safe
        if quorum and not etcd.has_quorum():
            self.world.violation(
                Truth.QUORUM_KEPT,
                f"{operation} {subject}: etcd had a quorum of {voters} voters and has none now",
            )
        if disks and not etcd.disks_safe():
            self.world.violation(
                Truth.DATA_BEFORE_CATTLE,
                f"{operation} {subject}: a majority of {voters} voters' disks is not left",
            )

    def after_event(self) -> None:
        """What no event may have brought about; and what the next writes are judged by."""
        self.pools.look()
        if self.world.store.takes_writes:
            self.writable_at = self.world.timeline.now
        count = len(self.world.etcd.foundings)
        if count > 1 and count != self.founded:
            self.world.violation(
                Truth.BOOTSTRAP_ONCE, f"etcd was founded {count} times: {self.world.etcd.foundings}"
            )
        self.founded = count

    def _before_launch(self, name: InstanceName) -> None:
        if not self.world.born(name):
            self.world.violation(Truth.BIRTH_BEFORE_LAUNCH, f"launch of {name}: there is no birth record")
        if name in self.names and name not in self.world.instances.all and self._was_told(name):
            self.world.violation(
                Truth.BIRTH_BEFORE_LAUNCH, f"launch of {name}: the name was used before and is gone"
            )

    def _was_told(self, name: InstanceName) -> bool:
        """Whether any controller was told of a launch. Of one that was not, nobody can know that it was there: it has
        not joined, for a join is recorded before it is answered."""
        life = self.world.history().lives.get(name)
        return life is not None and (life.launched_at_unix is not None or life.joined_at_unix is not None)

    def _before_harm(self, operation: str, provider_id: ProviderId) -> None:
        try:
            item = self.world.instances.by_id(provider_id)
        except NotFound:
            return
        if item.cluster != self.world.uid or not self.world.born(item.name):
            self.world.violation(Truth.FOREIGN_UNTOUCHED, f"{operation} {item.name}: it is not ours")
        if operation in HARM:
            self._need_entry(operation, item.name, self.world.history())
            self.planned.before_harm(operation, item)

    def _before_lease_removal(self, operation: str, address: str) -> None:
        for item in self.world.instances.all.values():
            if item.address == address and item.apiserver:
                self.world.violation(
                    Truth.ENDPOINT_OF_THE_LIVING_KEPT, f"{operation} {address}: {item.name}'s apiserver lives"
                )

    def _before_node_harm(self, operation: str, name: InstanceName) -> None:
        self._need_our_node(operation, name)
        node = self.world.kubernetes.nodes.get(name)
        if node is None or node.foreign:
            return
        history = self.world.history()
        if operation == "kubernetes.delete_node" and self._was_ended(name, history):
            return
        self._need_entry(operation, name, history)

    def _was_ended(self, name: InstanceName, history: History) -> bool:
        """Whether it is gone and an entry, open or closed, named it: a kubelet may register at its last moment."""
        return name not in self.world.instances.all and any(
            entry.subject == name for entry in history.entries.values()
        )

    def _need_our_node(self, operation: str, name: InstanceName) -> None:
        node = self.world.kubernetes.nodes.get(name)
        if node is not None and node.foreign:
            self.world.violation(Truth.FOREIGN_UNTOUCHED, f"{operation} {name}: the Node is not ours")

    def _before_endpoint(self, operation: str, name: InstanceName) -> None:
        """What requests are still sent to is taken from the endpoint by its entry; what is gone is only forgotten. A
        drain that was sent before its entry was closed is taken back by whoever sees it."""
        item, backend = self.world.instances.all.get(name), self.world.endpoint.backends.get(name)
        if item is None or backend is None or item.address != backend.address:
            return
        history, since = self.world.history(), self.world.unix() - PATIENCE_SECONDS
        closed = [entry.closed_unix for entry in history.entries.values() if entry.subject == name]
        if operation == "endpoint.drain" and any(at is not None and at >= since for at in closed):
            return
        self._need_entry(operation, name, history)

    def _need_entry(self, operation: str, name: InstanceName, history: History) -> None:
        if not any(entry.subject == name for entry in history.open_entries):
            self.world.violation(
                Truth.ENTRY_BEFORE_HARM, f"{operation} {name}: no ledger entry is open for it"
            )


def untrue(world: World, step: Step) -> tuple[Violation, ...]:
    """The core's invariants that this step breaks on the truth. What cannot be seen is no fault of a step; what came
    about a moment ago is none either: that is judged with patience, by `pools.py` and `planned.py`."""
    facts = look(true_picture(world), world.history(), Now(world.timeline.now, world.unix()))
    return tuple(
        broken
        for broken in violations(step, facts)
        if broken.blocked.name != "cannot-see" and broken.invariant not in JUDGED_WITH_PATIENCE
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
