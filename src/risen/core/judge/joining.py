"""Until when a launched instance has to have joined. It ends nobody; it only says the moment.

One bound holds for the whole way from launch to Ready, and it is measured, not set: three times what the last
instances of the role took, so that a fast host gives up early what a slow one still waits for. What is not Ready
yet is at one phase of that way: the evidence names the phase, and no phase has a shorter bound of its own.

Membership of etcd is granted one instance at a time, so the clock of one that waits for its turn starts when
its turn comes: when the one before joined, or was given up. While a join answer cannot be given at all
(nobody leads, etcd has no quorum) no clock runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from risen.core.history import Life
from risen.core.judge.facts import Facts
from risen.core.names import PoolName, Role
from risen.core.reasons import NEVER_JOINED

LEAST_BOUND_SECONDS = 60.0
"""However fast the others were: a host that starts many at once takes longer for each."""
BOUND_WITHOUT_RECORD_SECONDS = 600.0
"""Where no instance of the role has done it yet."""
LONGEST_BOOT_SECONDS = 600.0
"""No boot counts for more: a record may hold a time that nobody led."""
BOOTS_COUNTED = 20
TIMES_USUAL = 3.0
USUAL_SHARE = 0.99


@dataclass(frozen=True, slots=True)
class JoinDeadline:
    """The moment in unix seconds, and what is concluded from then on."""

    unix: float
    evidence: str


def ready_bound(facts: Facts, role: Role) -> float:
    """Seconds from launch within which an instance has to be Ready: max(60, 3 × p99 of the last boots, up to 20,
    of that role); 600 while there is no record of any. The gone are a record too, and so is the bring-up."""
    boots = sorted(
        (life.ready_at_unix, life.ready_at_unix - life.launched_at_unix)
        for life in facts.history.lives.values()
        if life.birth.role is role and life.ready_at_unix is not None and life.launched_at_unix is not None
    )
    seconds = sorted(min(spent, LONGEST_BOOT_SECONDS) for _, spent in boots[-BOOTS_COUNTED:])
    if not seconds:
        return BOUND_WITHOUT_RECORD_SECONDS
    usual = seconds[math.ceil(USUAL_SHARE * len(seconds)) - 1]
    return max(LEAST_BOUND_SECONDS, TIMES_USUAL * usual)


def join_deadline(facts: Facts, bound: float, life: Life) -> JoinDeadline | None:
    """None while no clock runs, and once the instance has joined for good. `bound`: that of its role."""
    name = life.birth.instance
    if life.ready_at_unix is not None or name in facts.nodes:
        return None
    began = max(life.launched_at_unix or life.birth.born_unix, facts.now.leading_since_unix)
    member = facts.member_of(name)
    if life.joined_at_unix is None:
        if member is not None and member.name:
            return None
        turn = _turn_began(facts, life)
        if turn is None:
            return None
        return JoinDeadline(max(began, turn) + bound, f"join: not within {bound:.0f} s of its launch")
    if member is not None and member.learner and not member.name:
        began = max(began, life.joined_at_unix)
        return JoinDeadline(began + bound, f"etcd: not started within {bound:.0f} s of its join")
    if facts.kubernetes is None or facts.holds_data(life):
        return None
    began = max(began, life.joined_at_unix, facts.ever_ready or 0.0, facts.api_since_unix)
    bound *= 2 if facts.ever_ready is None else 1
    return JoinDeadline(began + bound, f"Kubernetes: no Node within {bound:.0f} s of its join")


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
