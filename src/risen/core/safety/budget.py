"""How many of a pool may be out: the budget for planned harm and the storm rate for repair.

Used budget = |instances seen unavailable, and subjects of open entries|, never a counter. A step costs the
*available* instances it takes: the dead cost nothing of the budget and count against the storm rate.
"""

from __future__ import annotations

from collections.abc import Mapping

from risen.core.blocked import Blocked
from risen.core.history import Life
from risen.core.judge.facts import Facts
from risen.core.judge.verdict import Judgement, Verdict
from risen.core.names import InstanceName, PoolName
from risen.core.spec import ClusterSpec, PoolSpec

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
        return entry.reason == "repair"
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
