"""Until when a launched instance has to have joined. It ends nobody; it only says the moment.

Membership of etcd is granted one instance at a time, so the clock of one that waits for its turn starts when
its turn comes: when the one before joined, or was given up. While a join answer cannot be given at all
(nobody leads, etcd has no quorum) no clock runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.history import Life
from risen.core.judge.facts import Facts
from risen.core.names import PoolName, Role
from risen.core.reasons import NEVER_JOINED

JOIN_BOUND_SECONDS = 300.0
"""From launch to the join answer, and from the join answer to the Node."""


@dataclass(frozen=True, slots=True)
class JoinDeadline:
    """The moment in unix seconds, and what is concluded from then on."""

    unix: float
    evidence: str


def join_deadline(facts: Facts, life: Life) -> JoinDeadline | None:
    """None while no clock runs, and once the instance has joined for good."""
    name = life.birth.instance
    if life.ready_at_unix is not None or name in facts.nodes:
        return None
    began = max(life.launched_at_unix or life.birth.born_unix, facts.now.leading_since_unix)
    bound = f"{JOIN_BOUND_SECONDS:.0f} s"
    member = facts.member_of(name)
    if life.joined_at_unix is None:
        if member is not None and member.name:
            return None
        turn = _turn_began(facts, life)
        if turn is None:
            return None
        return JoinDeadline(max(began, turn) + JOIN_BOUND_SECONDS, f"join: not within {bound} of its launch")
    if member is not None and member.learner and not member.name:
        return JoinDeadline(
            max(began, life.joined_at_unix) + JOIN_BOUND_SECONDS,
            f"etcd: not started within {bound} of its join",
        )
    if facts.kubernetes is None or facts.holds_data(life):
        return None
    began = max(began, life.joined_at_unix, facts.ever_ready or 0.0)
    spare = JOIN_BOUND_SECONDS if facts.ever_ready is None else 0.0
    return JoinDeadline(began + spare + JOIN_BOUND_SECONDS, f"Kubernetes: no Node within {bound} of its join")


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
