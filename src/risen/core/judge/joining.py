"""Until when a launched instance has to have joined. It ends nobody; it only says the moment.

Membership of etcd is granted one instance at a time, so the clock of one that waits for its turn starts when
its turn comes: when the one before joined, or was given up. While a join answer cannot be given at all
(nobody leads, etcd has no quorum) no clock runs.

How long is measured, not set: three times what the pool's own instances took, so that a fast host gives up
early what a slow one still waits for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from risen.core.history import Life
from risen.core.judge.facts import Facts
from risen.core.names import PoolName, Role
from risen.core.reasons import NEVER_JOINED

LEAST_BOUND_SECONDS = 60.0
"""However fast the others were: a host that starts many at once takes longer for each."""
MOST_BOUND_SECONDS = 600.0
"""Where no instance of the pool has done it yet. Never more: a record may hold a time that nobody led."""
TIMES_USUAL = 3.0
USUAL_SHARE = 0.99


@dataclass(frozen=True, slots=True)
class JoinDeadline:
    """The moment in unix seconds, and what is concluded from then on."""

    unix: float
    evidence: str


@dataclass(frozen=True, slots=True)
class JoinBounds:
    """Seconds by pool, of pools that have a record: from launch to the join answer, and from there to the Node."""

    answers: Mapping[PoolName, float]
    nodes: Mapping[PoolName, float]

    def to_answer(self, pool: PoolName) -> float:
        """From its launch, or from its turn."""
        return self.answers.get(pool, MOST_BOUND_SECONDS)

    def to_node(self, pool: PoolName) -> float:
        """From its join answer."""
        return self.nodes.get(pool, MOST_BOUND_SECONDS)


def join_bounds(facts: Facts) -> JoinBounds:
    """From the lives that are remembered, the gone included."""
    answers: dict[PoolName, list[float]] = {}
    nodes: dict[PoolName, list[float]] = {}
    last_joined: dict[PoolName, float] = {}
    first_ready = facts.ever_ready or 0.0
    for joined, life in _in_order_of_joining(facts.history.lives.values()):
        pool = life.birth.pool
        if life.launched_at_unix is not None:
            turn = last_joined.get(pool, 0.0) if life.birth.role is Role.CONTROL_PLANE else 0.0
            answers.setdefault(pool, []).append(joined - max(life.launched_at_unix, turn))
        last_joined[pool] = joined
        if life.ready_at_unix is not None:
            nodes.setdefault(pool, []).append(life.ready_at_unix - max(joined, first_ready))
    return JoinBounds(
        {pool: bound_from(times) for pool, times in answers.items()},
        {pool: bound_from(times) for pool, times in nodes.items()},
    )


def _in_order_of_joining(lives: Iterable[Life]) -> list[tuple[float, Life]]:
    joined = ((life.joined_at_unix, life) for life in lives if life.joined_at_unix is not None)
    return sorted(joined, key=lambda pair: (pair[0], pair[1].birth.instance))


def bound_from(times: list[float]) -> float:
    """Three times the 99th percentile (nearest rank), within the least and the most. `times` is not empty."""
    usual = sorted(times)[math.ceil(USUAL_SHARE * len(times)) - 1]
    return min(MOST_BOUND_SECONDS, max(LEAST_BOUND_SECONDS, TIMES_USUAL * usual))


def join_deadline(facts: Facts, bounds: JoinBounds, life: Life) -> JoinDeadline | None:
    """None while no clock runs, and once the instance has joined for good."""
    name = life.birth.instance
    if life.ready_at_unix is not None or name in facts.nodes:
        return None
    began = max(life.launched_at_unix or life.birth.born_unix, facts.now.leading_since_unix)
    answer, node = bounds.to_answer(life.birth.pool), bounds.to_node(life.birth.pool)
    member = facts.member_of(name)
    if life.joined_at_unix is None:
        if member is not None and member.name:
            return None
        turn = _turn_began(facts, life)
        if turn is None:
            return None
        return JoinDeadline(max(began, turn) + answer, f"join: not within {answer:.0f} s of its launch")
    if member is not None and member.learner and not member.name:
        began = max(began, life.joined_at_unix)
        return JoinDeadline(began + node, f"etcd: not started within {node:.0f} s of its join")
    if facts.kubernetes is None or facts.holds_data(life):
        return None
    began = max(began, life.joined_at_unix, facts.ever_ready or 0.0, facts.api_since_unix)
    node *= 2 if facts.ever_ready is None else 1
    return JoinDeadline(began + node, f"Kubernetes: no Node within {node:.0f} s of its join")


def _turn_began(facts: Facts, life: Life) -> float | None:
    """When this instance could first be given its answer, unix seconds; None if it cannot be yet."""
    if life.birth.role is not Role.CONTROL_PLANE:
        return 0.0
    founder = facts.founder
    if founder is not None and founder.founder == life.birth.instance:
        return 0.0
    if facts.member_of(life.birth.instance) is None:
        return None
    joins = [
        other.joined_at_unix or 0.0
        for other in facts.history.lives.values()
        if other.birth.pool == life.birth.pool
    ]
    given_up = [
        max(entry.opened_unix, entry.closed_unix or 0.0)
        for entry in facts.history.entries.values()
        if entry.reason == NEVER_JOINED and pool_of_name(entry.subject) == life.birth.pool
    ]
    return max([*joins, *given_up, 0.0])


def pool_of_name(name: str) -> PoolName:
    """The pool of `POOL-xxxxx`: names of forgotten instances still tell theirs."""
    return PoolName(name.rpartition("-")[0])
