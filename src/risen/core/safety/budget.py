"""How many of a pool may be out: the budget for planned harm and the storm rate for repair.

Used budget = |instances seen unavailable, and subjects of open entries|, never a counter. A step costs the
*available* instances it takes: the dead cost nothing of the budget and count against the storm rate. What a person
asks to kill is asked for, and is not counted here either.
"""

from __future__ import annotations

from collections.abc import Mapping

from risen.core.blocked import Blocked
from risen.core.history import Life
from risen.core.judge.facts import Facts
from risen.core.judge.verdict import Judgement, Verdict, has_served, judge_all
from risen.core.names import InstanceName, PoolName, may_hold_etcd
from risen.core.reasons import PLANNED, REPAIR
from risen.core.spec import ClusterSpec, PoolSpec
from risen.core.step import Destroy, OpenEntry, PressPowerButton

Verdicts = Mapping[InstanceName, Judgement]


def _of_pool(facts: Facts, pool: PoolName) -> tuple[Life, ...]:
    return tuple(life for life in facts.lives.values() if life.birth.pool == pool)


def used_budget(facts: Facts, verdicts: Verdicts, pool: PoolName) -> frozenset[InstanceName]:
    """Who of a pool is out, or about to be."""
    return frozenset(
        life.birth.instance
        for life in _of_pool(facts, pool)
        if life.birth.instance in facts.entries
        or verdicts[life.birth.instance].verdict is not Verdict.HEALTHY
    )


def budget_blocks(
    pool: PoolSpec, facts: Facts, verdicts: Verdicts, taking: frozenset[InstanceName]
) -> Blocked | None:
    """Whether taking these, beside who is out already, goes below as many available ones as its
    strategy asks for."""
    used = used_budget(facts, verdicts, pool.name)
    cost = len(taking - used)
    surplus = max(0, len(_of_pool(facts, pool.name)) - pool.replicas)
    unavailable = pool.strategy.max_unavailable.of(pool.replicas)
    allowed = surplus + unavailable
    if cost == 0 or len(used) + cost <= allowed:
        return None
    return Blocked(
        "budget",
        pool.name,
        f"{len(used)} out and {cost} more to take: more than {allowed} ({surplus} surplus + {unavailable} unavailable)",
    )


def blocks_taking(facts: Facts, step: OpenEntry) -> Blocked | None:
    """Whether a planned change takes an available worker of a pool that has none to spare now.

    Those with an entry, or that steps in flight take, are out already. The control plane is kept by its quorum.
    """
    life = facts.lives.get(step.subject)
    if step.reason not in PLANNED or life is None or may_hold_etcd(life.birth.role):
        return None
    if facts.provider is None or facts.kubernetes is None:
        return Blocked("cannot-see", step.subject, "who of its pool is available is not seen")
    served = _served(facts, life.birth.pool, step.min_ready_seconds)
    left = served - facts.entries.keys() - _taken(facts)
    if step.subject not in left or len(left) > step.leaves:
        return None
    return Blocked(
        "budget",
        step.subject,
        f"{len(left)} of {life.birth.pool} are available: taking it leaves {len(left) - 1} of {step.leaves} needed",
    )


def _served(facts: Facts, pool: PoolName, seconds: float) -> frozenset[InstanceName]:
    """Who of a pool is healthy and has been Ready for so long; counted once for all steps of a plan."""
    known = facts.memo.get(("served", pool, seconds))
    if known is None:
        lives = _of_pool(facts, pool)
        verdicts = judge_all(facts, lives)
        served = (
            one for one in lives if has_served(facts, one, verdicts[one.birth.instance].verdict, seconds)
        )
        known = facts.memo["served", pool, seconds] = frozenset(one.birth.instance for one in served)
    return known


def _taken(facts: Facts) -> frozenset[InstanceName]:
    taken: set[InstanceName] = set()
    for step in facts.steps:
        match step:
            case OpenEntry(subject=name) | Destroy(instance=name) | PressPowerButton(instance=name):
                taken.add(name)
            case _:
                pass
    return frozenset(taken)


def storm(spec: ClusterSpec, facts: Facts, verdicts: Verdicts, name: PoolName) -> Blocked | None:
    """Whether more of a pool died at once than is ever repaired without a person.

    Places of the pool are counted, not instances: one that is gone and the replacement born for it are one
    place, so the death of that replacement is no second one. A place counts as dead until a replacement serves.
    Those that never joined have their own back-off, and those that a person asked to kill were asked for.
    """
    places = {life.birth.instance: _place(facts, life) for life in _of_pool(facts, name)}
    dead = {places[life.birth.instance] for life in _of_pool(facts, name) if _is_dead(facts, verdicts, life)}
    pool = spec.pool(name)
    size = max(pool.replicas if pool is not None else 0, len(set(places.values())))
    allowed = max(1, spec.repair.max_unhealthy_percent * size // 100)
    if len(dead) <= allowed:
        return None
    return Blocked(
        "storm",
        name,
        f"{len(dead)} of {size} are dead at once, at most {allowed} "
        f"({spec.repair.max_unhealthy_percent} %) are repaired unasked: `kill` names one",
    )


def _is_dead(facts: Facts, verdicts: Verdicts, life: Life) -> bool:
    name = life.birth.instance
    entry = facts.entries.get(name)
    if entry is not None:
        return entry.reason == REPAIR
    return verdicts[name].verdict in (Verdict.DEAD, Verdict.STOPPED)


def _place(facts: Facts, life: Life) -> InstanceName:
    """The first of those that were born one for the other, as long as the earlier is gone and not closed yet."""
    entry = facts.history.entries.get(life.birth.entry)
    if entry is None or entry.closed_unix is not None:
        return life.birth.instance
    before = facts.lives.get(entry.subject)
    if before is None or not facts.is_gone(before):
        return life.birth.instance
    return _place(facts, before)
