"""Births: as many instances of a pool as are wanted and do not exist, all at once. The only rule that names any.

An instance counts until its ledger entry is open, so nothing is born before the loss is in the ledger; a
birth in flight counts as born. Control-plane instances are born beside a healthy quorum only, and not
before the one they replace is proven gone: it may still come back with its data.
"""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.blocked import Blocked, Waiting
from risen.core.history import Entry
from risen.core.judge.joining import NEVER_JOINED, pool_of_name
from risen.core.names import InstanceName, PoolName, Role
from risen.core.rules.bringup import lacks_founder
from risen.core.rules.names import fresh_names
from risen.core.rules.view import RuleOutput, View
from risen.core.safety.quorum import quorum_lost
from risen.core.spec import PoolSpec
from risen.core.step import Birth, Step, WriteBirth, WriteBootstrap

FIRST_BACK_OFF_SECONDS = 5.0
LONGEST_BACK_OFF_SECONDS = 300.0


@dataclass(slots=True)
class _Draw:
    """How many suffixes and nonces earlier pools took."""

    used: int = 0


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
        wanted = missing(view, pool)
        if wanted <= 0:
            continue
        held = _held_back(view, pool)
        if isinstance(held, Blocked):
            blocked.append(held)
        elif isinstance(held, Waiting):
            waiting.append(held)
        else:
            steps += _births(view, pool, wanted, draw)
    return RuleOutput(tuple(steps), tuple(waiting), tuple(blocked))


def missing(view: View, pool: PoolSpec) -> int:
    """How many instances of a pool are wanted and neither exist nor are being born."""
    there = len(view.staying(pool.name)) + len(view.births_in_flight(pool.name))
    if pool.role is Role.CONTROL_PLANE:
        there += sum(
            1
            for life in view.of_pool(pool.name)
            if life.birth.instance in view.facts.entries and not view.facts.is_gone(life)
        )
    return pool.replicas - there


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
    died_young = entry.reason == "repair" and life is not None and life.ready_at_unix is None
    return died_young or entry.reason == NEVER_JOINED


def _births(view: View, pool: PoolSpec, wanted: int, draw: _Draw) -> list[Step]:
    """Founder first; then what replaces, oldest entry first; then what is new."""
    entries = _unreplaced(view, pool.name)
    release = view.revision.release_of(pool.name)
    steps: list[Step] = []
    names: list[InstanceName] = []
    founder = _unborn_founder(view, pool)
    if founder is not None:
        names.append(founder)
    fresh = fresh_names(view, pool.name, draw.used)
    for number in range(wanted):
        name = names.pop() if names else next(fresh, None)
        if name is None or draw.used >= len(view.supplies.nonces):
            break
        entry = entries[number] if number < len(entries) else None
        nonce = view.supplies.nonces[draw.used]
        draw.used += 1
        reason = f"replace {entry.subject}" if entry is not None else _reason(view)
        steps.append(
            WriteBirth(
                Birth(
                    instance=name,
                    pool=pool.name,
                    role=pool.role,
                    release=release.release,
                    image=release.image,
                    nonce=nonce,
                    reason=reason,
                    born_unix=view.facts.now.unix,
                    entry=entry.id if entry is not None else "",
                )
            )
        )
    return steps


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
        if entry.reason != "scale-down" and entry.id not in born and pool_of_name(entry.subject) == pool
    ]
    return sorted(entries, key=lambda entry: (entry.opened_unix, entry.id))
