"""Budgets of pools on the world's truth: who is out, who is taken by plan, and how many there are.

It is asked at every write of the ledger and looks twice a second. It has patience: what went out a moment ago is no
fault of whoever looked before, so an instance counts as available while it was so within the last seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from risen.codec import records
from risen.core.history import Entry, History, Life
from risen.core.names import InstanceName, PoolName, may_hold_etcd
from risen.core.reasons import LET_LIVE, PLANNED, ROLLING, SCALE_DOWN
from risen.core.spec import PoolSpec
from risen.sim.instances import Power
from risen.sim.truths import Truth
from risen.sim.world import World

LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 5.0
"""What is read after a write may be 2 s old, a watch lags, and between the look and the write lies a moment."""
LEASE_SECONDS = 12.0
"""A kubelet that renewed its lease so lately is silent to nobody."""


@dataclass(slots=True)
class Pools:
    """Judges entries and births of one run."""

    world: World
    entries: set[str] = field(default_factory=set)
    """Open ones that were judged."""
    ready: dict[InstanceName, float] = field(default_factory=dict)
    """When a worker last ran and was Ready, as whoever looks could see it."""
    served: dict[InstanceName, float] = field(default_factory=dict)
    """When it last had been so for `minReadySeconds`."""
    next_look: float = 0.0

    def __post_init__(self) -> None:
        self.entries = {entry.id for entry in self.world.history().open_entries}

    def look(self) -> None:
        """Note who is available, if it is time."""
        if self.world.timeline.now >= self.next_look:
            self.next_look = self.world.timeline.now + LOOK_SECONDS
            self._look()

    def _look(self) -> None:
        now, nodes = self.world.timeline.now, self.world.kubernetes.nodes
        seconds = {
            pool.name: pool.strategy.min_ready_seconds for pool in self.world.newest_revision().spec.pools
        }
        for name, item in self.world.instances.all.items():
            node = nodes.get(name)
            if item.holds_etcd or item.power is not Power.RUNNING or node is None or node.ready_since is None:
                continue
            self.ready[name] = now
            if now >= node.ready_since + seconds.get(item.request.pool, 0.0):
                self.served[name] = now

    # --- maxUnavailable -----------------------------------------------------------------------------------
    def after_record(self) -> None:
        """An entry that has just been opened by plan left the pool what it wants."""
        history = self.world.history()
        opened = [entry for entry in history.open_entries if entry.id not in self.entries]
        for entry in opened:
            self.entries.add(entry.id)
            life = history.lives.get(entry.subject)
            if entry.reason in PLANNED and life is not None and not may_hold_etcd(life.birth.role):
                self._look()
                self._judge(history, entry, life.birth.pool)

    def _judge(self, history: History, entry: Entry, name: PoolName) -> None:
        pool = self._wanted(history, name)
        if pool is None or not self._is_available(entry.subject, pool):
            return
        scaled = entry.reason == SCALE_DOWN
        out = {one.subject for one in history.open_entries}
        since = self.world.timeline.now - PATIENCE_SECONDS
        left = [
            other
            for other, at in (self.ready if scaled else self.served).items()
            if at >= since and other not in out and history.lives[other].birth.pool == name
        ]
        needed = pool.replicas - pool.strategy.max_unavailable.of(pool.replicas)
        if len(left) < needed:
            self.world.violation(
                Truth.POOL_BUDGET_KEPT,
                f"entry {entry.id} ({entry.reason}): {len(left)} of {name} are left available of {needed} needed",
            )

    def _is_available(self, name: InstanceName, pool: PoolSpec) -> bool:
        """Whether it serves beyond doubt: it costs something of the budget whoever looks and however late."""
        node, now = self.world.kubernetes.nodes.get(name), self.world.timeline.now
        if node is None or node.ready_since is None or not self.world.kubelets.serves(name):
            return False
        long = now >= node.ready_since + pool.strategy.min_ready_seconds + PATIENCE_SECONDS
        return long and now < node.lease + LEASE_SECONDS

    def _wanted(self, history: History, name: PoolName) -> PoolSpec | None:
        """The pool with the number wanted of it, where an autoscaler owns that too."""
        spec = self.world.newest_revision().spec.pool(name)
        asked = history.scaled.get(name)
        if spec is None or spec.max_replicas is None or asked is None:
            return spec
        return PoolSpec(
            name, spec.role, min(max(asked, spec.replicas), spec.max_replicas), strategy=spec.strategy
        )

    # --- maxSurge -----------------------------------------------------------------------------------------
    def before_put(self, key: str) -> None:
        """A birth leaves its pool no larger than it may be."""
        if not key.startswith(records.BIRTHS) or self.world.store.get(key) is not None:
            return
        born = InstanceName(key.removeprefix(records.BIRTHS))
        name = PoolName(born.rpartition("-")[0])
        history = self.world.history()
        pool = self._wanted(history, name)
        if pool is None:
            return
        surge = 1 if may_hold_etcd(pool.role) else pool.strategy.max_surge.of(pool.replicas)
        taken = {entry.subject for entry in history.open_entries if entry.reason not in ROLLING}
        over = {
            entry.subject
            for entry in history.entries.values()
            if entry.closed_unix is not None and entry.outcome not in LET_LIVE
        }
        there = [
            other
            for other, life in history.lives.items()
            if life.birth.pool == name and other not in taken | over and self._is_there(life)
        ]
        if len(there) >= pool.replicas + surge:
            self.world.violation(
                Truth.SURGE_KEPT,
                f"birth of {born}: {name} has {sorted(there)} already, {pool.replicas} and {surge} more are wanted",
            )

    def _is_there(self, life: Life) -> bool:
        """What was launched and is no more counts for nothing, whether or not that is in the ledger yet."""
        launched = life.launched_at_unix is not None or life.gone_at_unix is not None
        return life.birth.instance in self.world.instances.all or not launched
