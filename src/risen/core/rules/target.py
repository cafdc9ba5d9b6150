"""Which release a pool heads for, which of its instances are not what is wanted, and why. It proposes nothing.

A revision that was aborted, or whose release was revoked, is gone back from: to the releases of the last revision
that stood whole. Until a release has passed, only its first instance is launched from it, and no other release that
has not passed has an instance anywhere: a newer revision first sends away what an older one was still trying.
"""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.history import Entry, Life
from risen.core.judge.back import PAUSE, why_gone_back
from risen.core.names import InstanceName, PoolName, ReleaseId, Role
from risen.core.reasons import (
    CALLED_OFF,
    EXPIRY,
    NEVER_JOINED,
    PUT_OFF,
    REPAIR,
    REPLACE,
    ROLLBACK,
    ROLLING,
    ROLLOUT,
    SKIPPED,
)
from risen.core.rules.view import View, once
from risen.core.spec import PoolRelease, PoolSpec

HELD_BY_ORDER = frozenset({ROLLOUT, ROLLBACK})
"""Reasons that follow the order of pools; what people ask for and what expires does not wait for others."""


@once
def going_back(view: View) -> str | None:
    """Why the revision is gone back from; None while it is headed for."""
    return why_gone_back(view.facts.history, view.revision)


def is_backward(view: View) -> bool:
    """Whether the way is back: an undo, or what is gone back from. Giving up an undo is forward again."""
    return (going_back(view) is not None) != bool(view.revision.back_to)


def first_role(view: View) -> Role:
    """Who is rolled first: the control plane forward, the workers backward, since no kubelet may be newer than its API
    server."""
    return Role.WORKER if is_backward(view) else Role.CONTROL_PLANE


def is_paused(view: View) -> bool:
    """Whether a person holds the rollout of this revision."""
    order = view.facts.history.orders.get(view.revision.number)
    return order is not None and order.order == PAUSE


@once
def target(view: View, pool: PoolName) -> PoolRelease | None:
    """What every instance of a pool should be of; None for a pool that is not wanted or has no good release."""
    try:
        wanted = view.revision.release_of(pool)
    except KeyError:
        return None
    if going_back(view) is not None or _superseded(view, pool):
        wanted = view.facts.history.settled_release(pool) or wanted
    return None if wanted.release in view.facts.history.revoked else wanted


def has_passed(view: View, release: ReleaseId) -> bool:
    """Whether a release may be launched as often as wanted: at bring-up there is nothing to compare it with."""
    history = view.facts.history
    return release in history.passed or not history.settled


def exposed(view: View, release: ReleaseId) -> tuple[InstanceName, ...]:
    """Instances of a release that exist or are on their way, by name. One that is proven gone is none."""
    facts = view.facts
    lives = [
        name
        for name, life in facts.lives.items()
        if life.birth.release == release and not facts.is_gone(life)
    ]
    pools = {pool.name for pool in view.pools}
    born = [
        birth.instance for pool in pools for birth in view.births_in_flight(pool) if birth.release == release
    ]
    return tuple(sorted({*lives, *born}))


def is_tried(view: View, pool: PoolName) -> bool:
    """Whether an instance of a pool tries what it is headed for."""
    wanted = target(view, pool)
    return wanted is not None and not has_passed(view, wanted.release) and bool(exposed(view, wanted.release))


def lost_in_trial(view: View, release: ReleaseId) -> tuple[Life, ...]:
    """Instances of a release that repair took since its revision was applied."""
    history = view.facts.history
    taken = {
        entry.subject
        for entry in history.entries.values()
        if entry.reason in (REPAIR, NEVER_JOINED) and entry.opened_unix >= view.revision.applied_unix
    }
    return tuple(
        life
        for life in history.lives.values()
        if life.birth.release == release and life.birth.instance in taken
    )


def may_expose(view: View, release: ReleaseId) -> bool:
    """Whether one more instance of a release may be launched: an unpassed one is exposed once, and alone. One that
    was lost while it was tried is judged first: another beside it would hide that."""
    if has_passed(view, release):
        return True
    if any(_superseded(view, pool.name) for pool in view.pools):
        return False
    tried = [other.release for other in unpassed(view)]
    return not any(exposed(view, one) or lost_in_trial(view, one) for one in tried)


def is_sent_away(view: View, pool: PoolName) -> bool:
    """Whether this pool, in a revision that is headed for, first gets rid of what an older one was still trying."""
    return going_back(view) is None and _superseded(view, pool)


@once
def _superseded(view: View, pool: PoolName) -> bool:
    """Whether an instance is there of a release that never passed and is not of this revision any more. A pool that
    never stood has nothing else to head for: there the newer one just takes its place."""
    history, facts = view.facts.history, view.facts
    if history.settled_release(pool) is None:
        return False
    wanted = view.revision.release_of(pool).release
    known = {wanted, *history.passed, *history.revoked}
    return any(life.birth.release not in known and not facts.is_gone(life) for life in view.of_pool(pool))


@once
def unpassed(view: View) -> tuple[PoolRelease, ...]:
    """Targets of the pools that have not passed yet, in the pools' order, each release once."""
    found: dict[ReleaseId, PoolRelease] = {}
    for pool in view.pools:
        wanted = target(view, pool.name)
        if wanted is not None and not has_passed(view, wanted.release):
            found.setdefault(wanted.release, wanted)
    return tuple(found.values())


def launch_release(view: View, pool: PoolName) -> PoolRelease | None:
    """What repair and scale-up launch: the last good release, and what stands while it is not this pool's turn. None
    while there is none to launch."""
    wanted = target(view, pool)
    standing = _standing(view, pool)
    if standing is not None:
        return standing
    if wanted is None or has_passed(view, wanted.release):
        return wanted
    settled = view.facts.history.settled_release(pool)
    if settled is not None and settled.release not in view.facts.history.revoked:
        return settled
    return wanted if may_expose(view, wanted.release) else None


def _standing(view: View, pool: PoolName) -> PoolRelease | None:
    """What a pool that is rolled after others stays with until they are; None where it is its turn, or nothing good
    stands. A kubelet of its would else be newer than the API servers, or an API server older than the kubelets."""
    history, spec = view.facts.history, view.pool(pool)
    if spec is None or spec.role is first_role(view) or not unrolled(view, first_role(view)):
        return None
    back = going_back(view) is not None
    stands = view.revision.release_of(pool) if back else history.settled_release(pool)
    if stands is None or stands.release in history.revoked or not has_passed(view, stands.release):
        return None
    return stands


@dataclass(frozen=True, slots=True)
class Outdated:
    """An instance that stays so far and should not: why, as a ledger entry's reason, and the evidence."""

    life: Life
    reason: str
    evidence: str


@once
def outdated(view: View, pool: PoolName) -> tuple[Outdated, ...]:
    """Those of a pool that another is to be put in the place of, by name."""
    wanted = target(view, pool)
    spec = view.pool(pool)
    if wanted is None or spec is None:
        return ()
    back = going_back(view)
    asked = _asked(view)
    let_be = skipped(view) - asked.keys()
    found: list[Outdated] = []
    for life in view.staying(pool):
        name, release = life.birth.instance, life.birth.release
        if name in let_be:
            continue
        if release != wanted.release:
            change = f"{release} → {wanted.release}"
            reason, evidence = (ROLLOUT, change) if back is None else (ROLLBACK, f"{change}: {back}")
        elif name in asked:
            reason, evidence = REPLACE, asked[name]
        elif (age := _expired_age(view, life, spec)) is not None:
            reason, evidence = EXPIRY, age
        else:
            continue
        found.append(Outdated(life, reason, evidence))
    return tuple(found)


def _asked(view: View) -> dict[InstanceName, str]:
    """Those that people asked another for, with their words. What was put off or called off is asked for still."""
    history = view.facts.history
    last = {one.subject: one for one in sorted(history.entries.values(), key=lambda one: one.opened_unix)}
    stayed = (one for one in last.values() if one.reason == REPLACE and one.outcome in (PUT_OFF, CALLED_OFF))
    asked = {entry.subject: "; ".join(entry.evidence) for entry in stayed}
    for one in history.replaces:
        asked[one.instance] = f"asked by {one.by or 'somebody'}: {one.reason or 'no reason given'}"
    return asked


def wanted_again(view: View, entry: Entry) -> bool:
    """Whether what a rollout took is what is headed for after all: it was gone back from, or another was applied."""
    life = view.facts.lives.get(entry.subject)
    if life is None or entry.reason not in HELD_BY_ORDER:
        return False
    wanted = target(view, life.birth.pool)
    return wanted is not None and wanted.release == life.birth.release


def _expired_age(view: View, life: Life, pool: PoolSpec) -> str | None:
    age = view.facts.now.unix - life.birth.born_unix
    if pool.expire_after_seconds is None or age < pool.expire_after_seconds:
        return None
    return f"{age / 3600:.1f} h old, expireAfter is {pool.expire_after_seconds / 3600:.1f} h"


def skipped(view: View) -> frozenset[InstanceName]:
    """Those whose drain took too long in this revision, where the user said that they may then stay."""
    since = view.revision.applied_unix
    entries = view.facts.history.entries.values()
    return frozenset(e.subject for e in entries if e.outcome == SKIPPED and e.opened_unix >= since)


def unrolled(view: View, role: Role) -> tuple[str, ...]:
    """Pools of a role that are not rolled yet, or not back yet: some are to go, or going."""
    return tuple(
        pool.name
        for pool in view.pools
        if pool.role is role
        and (
            any(one.reason in HELD_BY_ORDER for one in outdated(view, pool.name))
            or any(
                view.facts.entries[life.birth.instance].reason in HELD_BY_ORDER
                for life in leaving(view, pool.name)
            )
        )
    )


@once
def leaving(view: View, pool: PoolName) -> tuple[Life, ...]:
    """Those of a pool that are being replaced by plan, and are not gone yet."""
    facts = view.facts
    return tuple(
        life
        for life in view.of_pool(pool)
        if (entry := facts.entries.get(life.birth.instance)) is not None
        and entry.reason in ROLLING
        and not facts.is_gone(life)
    )
