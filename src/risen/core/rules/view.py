"""What a rule looks at and what it answers. The counts of a pool that more than one rule needs are here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from risen.core.blocked import Blocked, Waiting
from risen.core.history import Life
from risen.core.judge.back import why_gone_back
from risen.core.judge.facts import Facts
from risen.core.judge.verdict import Judgement, Verdict
from risen.core.names import InstanceName, PoolName, Role
from risen.core.picture import Unseen
from risen.core.plan import Supplies
from risen.core.spec import PoolSpec, Revision
from risen.core.step import Birth, Step, WriteBirth
from risen.core.task import Task

P = ParamSpec("P")
T = TypeVar("T")


def once(compute: Callable[Concatenate[View, P], T]) -> Callable[Concatenate[View, P], T]:
    """For what several rules ask of the same view: computed when it is first asked. Arguments must be hashable."""

    def remembered(view: View, /, *key: P.args, **named: P.kwargs) -> T:
        asked = (compute, key, *named.items())
        known = view.memo.get(asked)
        if known is None:
            known = view.memo[asked] = (compute(view, *key, **named),)
        answer: T = known[0]
        return answer

    functools.update_wrapper(remembered, compute)
    return remembered


@dataclass(frozen=True, slots=True)
class RuleOutput:
    """What one rule proposes, awaits, refuses and asks for outside the loop. `recheck_at` in boot seconds."""

    steps: tuple[Step, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    recheck_at: float | None = None
    tasks: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """Facts, what is wanted, and what was concluded of each instance."""

    revision: Revision
    facts: Facts
    verdicts: Mapping[InstanceName, Judgement]
    supplies: Supplies
    memo: dict[object, tuple[Any, ...]] = field(default_factory=dict, repr=False, compare=False)
    """What was computed of this view: see `once`."""

    @property
    def pools(self) -> tuple[PoolSpec, ...]:
        """Wanted pools with the number of instances wanted of each: control plane first, then by name."""
        pools = sorted(
            self.revision.spec.pools, key=lambda pool: (pool.role is not Role.CONTROL_PLANE, pool.name)
        )
        return tuple(self._scaled(pool) for pool in pools)

    def pool(self, name: PoolName) -> PoolSpec | None:
        """The pool of that name, with the number of instances wanted of it."""
        pool = self.revision.spec.pool(name)
        return self._scaled(pool) if pool is not None else None

    def _scaled(self, pool: PoolSpec) -> PoolSpec:
        """Where an autoscaler owns the number it is what was asked for last, between its bounds. A pool that came with a
        revision that is gone back from, and whose release did not pass, has nothing to go back to: none are wanted."""
        history = self.facts.history
        if why_gone_back(history, self.revision) and history.settled_release(pool.name) is None:
            brought = {one.release for one in self.revision.releases if one.pool == pool.name}
            if not brought & history.passed.keys():
                return replace(pool, replicas=0, max_replicas=None)
        asked = self.facts.history.scaled.get(pool.name)
        if pool.max_replicas is None or asked is None:
            return pool
        return replace(pool, replicas=min(max(asked, pool.replicas), pool.max_replicas))

    def verdict(self, name: InstanceName) -> Verdict:
        """The verdict on one of ours; Unknown for others."""
        judged = self.verdicts.get(name)
        return judged.verdict if judged is not None else Verdict.UNKNOWN

    @once
    def of_pool(self, pool: PoolName) -> tuple[Life, ...]:
        """Lives of a pool whose story is not over, by name."""
        return tuple(life for life in self.facts.lives.values() if life.birth.pool == pool)

    @once
    def staying(self, pool: PoolName) -> tuple[Life, ...]:
        """Those of them that no open entry takes. One that is gone stays until its entry is open."""
        return tuple(life for life in self.of_pool(pool) if life.birth.instance not in self.facts.entries)

    def births_in_flight(self, pool: PoolName) -> tuple[Birth, ...]:
        """Births on their way into the store: they count as born."""
        births = (step.birth for step in self.facts.steps if isinstance(step, WriteBirth))
        return tuple(b for b in births if b.pool == pool and b.instance not in self.facts.history.lives)

    def cannot_see(self, *sections: str) -> RuleOutput | None:
        """The answer of a rule whose sections are unseen. Before a section ever existed it is a wait."""
        for section in sections:
            seen = getattr(self.facts.picture, section)
            if isinstance(seen, Unseen):
                return self._unseen(section, seen)
        return None

    def _unseen(self, section: str, seen: Unseen) -> RuleOutput:
        rising = {
            "etcd": not self.facts.history.etcd_cluster_id,
            "kubernetes": self.facts.ever_ready is None,
        }.get(section, False)
        if rising:
            return RuleOutput(waiting=(Waiting(section, "its first answer", seen.since),))
        return RuleOutput(blocked=(Blocked("cannot-see", section, seen.error),))


def gather(*outputs: RuleOutput) -> RuleOutput:
    """Several outputs as one, in their order."""
    moments = [output.recheck_at for output in outputs if output.recheck_at is not None]
    return RuleOutput(
        steps=tuple(step for output in outputs for step in output.steps),
        waiting=tuple(item for output in outputs for item in output.waiting),
        blocked=tuple(item for output in outputs for item in output.blocked),
        recheck_at=min(moments, default=None),
        tasks=tuple(task for output in outputs for task in output.tasks),
    )
