"""Births: as many instances of a pool as are wanted and do not exist, all at once. The only rule that names any.

An instance counts until its ledger entry is open, so nothing is born before the loss is in the ledger; a
birth in flight counts as born. What replaces the dead is of the last good release; a release that has not passed
is launched once. For a rollout as many more are born as the strategy allows. Control-plane instances are born beside a healthy quorum only, and not
before the one they replace is proven gone: it may still come back with its data.
"""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.blocked import Blocked, Waiting
from risen.core.history import Entry
from risen.core.judge.joining import pool_of_name
from risen.core.names import InstanceName, PoolName, Role
from risen.core.reasons import NEVER_JOINED, REPAIR, ROLLING, SCALE_DOWN
from risen.core.rules.bringup import lacks_founder
from risen.core.rules.names import fresh_names
from risen.core.rules.rollout import most_surge, surge
from risen.core.rules.target import exposed, has_passed, launch_release, leaving, may_expose, target
from risen.core.rules.view import RuleOutput, View
from risen.core.safety.quorum import quorum_lost
from risen.core.spec import PoolRelease, PoolSpec
from risen.core.step import Birth, Step, WriteBirth, WriteBootstrap

FIRST_BACK_OFF_SECONDS = 5.0
LONGEST_BACK_OFF_SECONDS = 300.0


@dataclass(slots=True)
class _Draw:
    """How many suffixes and nonces earlier pools took, and whether one of them tries a release that has not passed."""

    used: int = 0
    tries: bool = False


def propose(view: View) -> RuleOutput:
    """WriteBirth."""
    unseen = view.cannot_see("provider")
    if unseen is not None:
        return unseen
    if lacks_founder(view.facts) or any(isinstance(step, WriteBootstrap) for step in view.facts.steps):
        return RuleOutput()
    steps: list[Step] = []
    waiting: list[Waiting] = []
    blocked: list[Blocked] = []
    draw = _Draw()
    for pool in view.pools:
        owed, more = max(0, missing(view, pool)), surge(view, pool)
        if owed + more <= 0:
            continue
        held = _held_back(view, pool)
        if isinstance(held, Blocked):
            blocked.append(held)
        elif isinstance(held, Waiting):
            waiting.append(held)
        else:
            births, refused = _births(view, pool, _wanted(view, pool, owed, more), draw)
            steps += births
            blocked += refused
    return RuleOutput(tuple(steps), tuple(waiting), tuple(blocked))


def missing(view: View, pool: PoolSpec) -> int:
    """How many instances of a pool are wanted and neither exist nor are being born.

    What is replaced by plan takes its place until it is gone: a host without room for a surge has none for both.
    """
    there = len(view.staying(pool.name)) + len(view.births_in_flight(pool.name))
    if pool.role is Role.CONTROL_PLANE:
        there += sum(
            1
            for life in view.of_pool(pool.name)
            if life.birth.instance in view.facts.entries and not view.facts.is_gone(life)
        )
        return pool.replicas - there
    room = pool.replicas + most_surge(pool) - there - len(leaving(view, pool.name))
    return min(pool.replicas - there, room)


def _held_back(view: View, pool: PoolSpec) -> Blocked | Waiting | None:
    if pool.role is Role.CONTROL_PLANE:
        lost = quorum_lost(view.facts)
        if lost is not None:
            return lost
    return _back_off(view, pool.name)


def _back_off(view: View, pool: PoolName) -> Waiting | None:
    """Exponential from 5 s to 5 min in the number of instances that failed before they ever were Ready, since one
    last got Ready."""
    facts = view.facts
    ready = [
        life.ready_at_unix
        for life in facts.history.lives.values()
        if life.birth.pool == pool and life.ready_at_unix is not None
    ]
    last_ready = max(ready, default=0.0)
    failed = sorted(
        entry.opened_unix
        for entry in facts.history.entries.values()
        if pool_of_name(entry.subject) == pool
        and entry.opened_unix > last_ready
        and _failed_to_rise(view, entry)
    )
    if not failed:
        return None
    pause = min(FIRST_BACK_OFF_SECONDS * 2.0 ** min(len(failed) - 1, 16), LONGEST_BACK_OFF_SECONDS)
    if facts.now.unix >= failed[-1] + pause:
        return None
    since = facts.boot_of(failed[-1])
    return Waiting(pool, f"back-off of {pause:.0f} s: {len(failed)} were never Ready", since, since + pause)


def _failed_to_rise(view: View, entry: Entry) -> bool:
    """Whether it never joined, or died before it was Ready: an image that dies at once is not born at full speed."""
    life = view.facts.history.lives.get(entry.subject)
    died_young = entry.reason == REPAIR and life is not None and life.ready_at_unix is None
    return died_young or entry.reason == NEVER_JOINED


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One instance to be born: in whose place, why, and of which release (None where there is none to launch)."""

    entry: Entry | None
    reason: str
    release: PoolRelease | None


def _wanted(view: View, pool: PoolSpec, owed: int, more: int) -> list[_Wanted]:
    """What replaces, oldest entry first; then what is new; then what a rollout launches ahead."""
    entries = _unreplaced(view, pool.name)
    found: list[_Wanted] = []
    for number in range(owed):
        entry = entries[number] if number < len(entries) else None
        reason = f"replace {entry.subject}" if entry is not None else _reason(view)
        rolls = entry is not None and entry.reason in ROLLING
        release = _rolled_release(view, pool.name) if rolls else launch_release(view, pool.name)
        if release is not None and not has_passed(view, release.release) and _takes(found, release):
            release = view.facts.history.settled_release(pool.name)
        found.append(_Wanted(entry, reason, release))
    ahead = target(view, pool.name)
    if ahead is not None:
        found += [_Wanted(None, f"roll to {ahead.release}", ahead)] * more
    return found


def _takes(found: list[_Wanted], release: PoolRelease) -> bool:
    """Whether an unpassed release has its one instance in this list already."""
    return any(one.release is not None and one.release.release == release.release for one in found)


def _rolled_release(view: View, pool: PoolName) -> PoolRelease | None:
    """What takes the place of one that a rollout took first: the release headed for, if it may be exposed."""
    wanted = target(view, pool)
    if wanted is not None and may_expose(view, wanted.release):
        return wanted
    return launch_release(view, pool)


def _births(
    view: View, pool: PoolSpec, wanted: list[_Wanted], draw: _Draw
) -> tuple[list[Step], list[Blocked]]:
    """The founder's name goes first."""
    steps: list[Step] = []
    names: list[InstanceName] = []
    founder = _unborn_founder(view, pool)
    if founder is not None:
        names.append(founder)
    fresh = fresh_names(view, pool.name, draw.used)
    for one in wanted:
        if one.release is None:
            return steps, [_nothing_to_launch(view, pool)]
        if not has_passed(view, one.release.release):
            if draw.tries:
                continue
            draw.tries = True
        name = names.pop() if names else next(fresh, None)
        if name is None or draw.used >= len(view.supplies.nonces):
            break
        nonce = view.supplies.nonces[draw.used]
        draw.used += 1
        steps.append(
            WriteBirth(
                Birth(
                    instance=name,
                    pool=pool.name,
                    role=pool.role,
                    release=one.release.release,
                    image=one.release.image,
                    nonce=nonce,
                    reason=one.reason,
                    born_unix=view.facts.now.unix,
                    entry=one.entry.id if one.entry is not None else "",
                )
            )
        )
    return steps, []


def _nothing_to_launch(view: View, pool: PoolSpec) -> Blocked:
    """A pool whose only release is revoked, or is being tried by its first instance."""
    wanted = view.revision.release_of(pool.name).release
    revoked = view.facts.history.revoked.get(wanted)
    if revoked is not None:
        why = (
            f"{wanted} is revoked and no other release of this pool ever stood: {'; '.join(revoked.evidence)}"
        )
        return Blocked("revoked", pool.name, why)
    first = ", ".join(exposed(view, wanted)) or "an instance of another pool"
    return Blocked("halted", pool.name, f"{wanted} has not passed: {first} goes first")


def _reason(view: View) -> str:
    return "scale-up" if view.facts.history.etcd_cluster_id else "bring-up"


def _unborn_founder(view: View, pool: PoolSpec) -> InstanceName | None:
    newest = view.facts.founder
    if pool.role is not Role.CONTROL_PLANE or newest is None or newest.founder in view.facts.history.lives:
        return None
    if any(birth.instance == newest.founder for birth in view.births_in_flight(pool.name)):
        return None
    return newest.founder


def _unreplaced(view: View, pool: PoolName) -> list[Entry]:
    """Open entries that want a replacement and have none, oldest first."""
    born = {life.birth.entry for life in view.facts.history.lives.values()}
    born |= {birth.entry for birth in view.births_in_flight(pool)}
    entries = [
        entry
        for entry in view.facts.entries.values()
        if entry.reason != SCALE_DOWN and entry.id not in born and pool_of_name(entry.subject) == pool
    ]
    return sorted(entries, key=lambda entry: (entry.opened_unix, entry.id))
