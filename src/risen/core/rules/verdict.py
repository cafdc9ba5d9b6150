"""Verdicts on releases into the ledger: passed, revoked, and a revision that every instance is on.

A release that has not passed is tried by one instance; this rule says what became of it. A revoked release is
gone back from by `target.py`.
"""

from __future__ import annotations

from risen.core.blocked import Blocked, Waiting
from risen.core.history import Life
from risen.core.judge.release import judge_release
from risen.core.judge.trial import Bad, Halted, NotYet, ReleaseVerdict, Served, Soaking, Trial
from risen.core.names import InstanceName, Role
from risen.core.ports import programs_told
from risen.core.reasons import ROLLING
from risen.core.rules.drainable import drains_until, is_put_off, is_stuck, protected
from risen.core.rules.gates import gates_of
from risen.core.rules.standing import complete, stands_whole
from risen.core.rules.target import (
    going_back,
    has_passed,
    leaving,
    lost_in_trial,
    outdated,
    unpassed,
)
from risen.core.rules.view import RuleOutput, View, gather
from risen.core.spec import PoolRelease
from risen.core.step import HaltRelease, PassRelease, RevokeRelease

MOST_NAMED = 3


def propose(view: View) -> RuleOutput:
    """PassRelease, HaltRelease, RevokeRelease, CompleteRevision."""
    if going_back(view) is not None or stands_whole(view):
        return RuleOutput()
    waiting = [release for release in unpassed(view) if _has_places(view, release)]
    trials = [(release, life) for release in waiting if (life := _tried_by(view, release)) is not None]
    unseen = view.cannot_see("provider", "kubernetes")
    if unseen is not None:
        return unseen if trials else RuleOutput()
    if waiting:
        return gather(*(_judge(view, release, life) for release, life in trials))
    return complete(view)


def _has_places(view: View, release: PoolRelease) -> bool:
    """Whether there is anybody to try it: a pool that is wanted empty, and is, tries nothing."""
    pool = view.pool(release.pool)
    return pool is None or pool.replicas > 0 or bool(view.of_pool(pool.name))


def _tried_by(view: View, release: PoolRelease) -> Life | None:
    """The instance that tries a release: the one that lives, else one that repair took."""
    history = view.facts.history
    lives = [life for life in history.lives.values() if life.birth.release == release.release]
    living = [
        life for life in lives if life.birth.instance in view.facts.lives and not view.facts.is_gone(life)
    ]
    if living:
        return min(living, key=lambda life: (life.birth.born_unix, life.birth.instance))
    return max(
        lost_in_trial(view, release.release),
        key=lambda life: (life.birth.born_unix, life.birth.instance),
        default=None,
    )


def is_doubtful(view: View, release: PoolRelease) -> bool:
    """Whether a release that is being tried looks bad, or cannot be judged: nothing more is taken for it."""
    life = _tried_by(view, release)
    if life is None:
        return False
    verdict = _with_gates(view, life)
    return isinstance(verdict, Bad | Halted) or (isinstance(verdict, NotYet) and verdict.holds)


def is_halted(view: View, release: PoolRelease) -> bool:
    """Whether nothing can be concluded of a release that is being tried."""
    life = None if has_passed(view, release.release) else _tried_by(view, release)
    return life is not None and isinstance(_with_gates(view, life), Halted)


def _verdict(view: View, life: Life) -> ReleaseVerdict:
    pool = view.pool(life.birth.pool)
    soak = pool.strategy.min_ready_seconds if pool is not None else 0.0
    trial = Trial(
        life,
        soak,
        _takes_over(view, life),
        _took_over_unix(view, life),
        gone_past=view.facts.history.gone_past.get(view.revision.number, ()),
        served_before=_served_before(view, life),
        programs=programs_told(view.revision.spec, life.birth.role),
        applied_unix=view.revision.applied_unix,
    )
    return judge_release(view.facts, view.verdicts, trial)


def _with_gates(view: View, life: Life) -> ReleaseVerdict:
    """The verdict, or for what gates halt that would be asked now."""
    found = _verdict(view, life)
    halted = gates_of(view, life.birth.release).halted if isinstance(found, Served) else None
    return found if halted is None else halted


def halts(view: View) -> tuple[Halted, ...]:
    """What the rollout is halted for now. Nothing while it cannot be seen: no rule concludes anything then."""
    if going_back(view) is not None or view.cannot_see("provider", "kubernetes") is not None:
        return ()
    trials = (_tried_by(view, release) for release in unpassed(view))
    found = (_with_gates(view, life) for life in trials if life is not None)
    return tuple(verdict for verdict in found if isinstance(verdict, Halted))


def _judge(view: View, release: PoolRelease, life: Life) -> RuleOutput:
    facts = view.facts
    match _verdict(view, life):
        case Bad(evidence=evidence):
            return RuleOutput(
                steps=(RevokeRelease(release.release, release.pool, view.revision.number, evidence),)
            )
        case Halted() as halted:
            return _halt(view, release, halted)
        case Soaking(since_unix=since, until_unix=until):
            at = facts.boot_of(until)
            text = f"{release.release} to serve for {until - since:.0f} s"
            return RuleOutput(
                waiting=(Waiting(life.birth.instance, text, facts.boot_of(since), at),), recheck_at=at
            )
        case NotYet(for_what=for_what, until_unix=until):
            bound = None if until is None else facts.boot_of(until)
            since = facts.boot_of(life.launched_at_unix or life.birth.born_unix)
            return RuleOutput(waiting=(Waiting(release.pool, for_what, since, bound),))
        case Served(evidence=evidence):
            return _through_gates(view, release, (*evidence, *_not_taken_over(view, life)))


def _halt(view: View, release: PoolRelease, halted: Halted) -> RuleOutput:
    """It is said while it lasts, and written down once for each cause."""
    number = view.revision.number
    said = Blocked("halted", release.pool, f"{release.release}: {halted.why}")
    known = (release.release, halted.cause) in view.facts.history.halts.get(number, ())
    step = HaltRelease(release.release, release.pool, number, halted.cause, halted.why)
    return RuleOutput(steps=() if known else (step,), blocked=(said,))


def _takes_over(view: View, life: Life) -> bool:
    """Whether it is still to take an instance's pods. What cannot be drained is not waited for: the release passes
    without it, else one blocked pod would hold up every other pool. A control plane's soaks beside all others."""
    pool = view.pool(life.birth.pool)
    if pool is None or life.birth.role is Role.CONTROL_PLANE:
        return False
    going = [view.facts.entries[life.birth.instance] for life in leaving(view, pool.name)]
    if going:
        return any(not is_stuck(view, entry) or is_put_off(view, entry) for entry in going)
    spare = len(view.staying(pool.name)) - pool.replicas
    old = outdated(view, pool.name)
    return spare > 0 and any(protected(view, one.life.birth.instance) is None for one in old)


def _not_taken_over(view: View, life: Life) -> tuple[str, ...]:
    """Who could not be drained, so that the first instance was not tried by its pods."""
    pool = view.pool(life.birth.pool)
    if pool is None or life.birth.role is Role.CONTROL_PLANE:
        return ()
    stuck = [
        one.birth.instance
        for one in leaving(view, pool.name)
        if is_stuck(view, view.facts.entries[one.birth.instance])
    ]
    kept: list[InstanceName] = []
    if not stuck and len(view.staying(pool.name)) > pool.replicas:
        kept = [one.life.birth.instance for one in outdated(view, pool.name)]
    found = [f"pods stayed on {name}: its drain took too long" for name in stuck]
    return (*found, *(f"pods stayed on {name}: one asks not to be disrupted" for name in kept[:MOST_NAMED]))


def _took_over_unix(view: View, life: Life) -> float:
    """When the last that was replaced by plan in its pool was gone, or waited for long enough; 0 where none was."""
    history = view.facts.history
    gone = [
        other.gone_at_unix or (drains_until(view, entry) if is_stuck(view, entry) else entry.opened_unix)
        for entry in history.entries.values()
        if entry.reason in ROLLING
        and (other := history.lives.get(entry.subject)) is not None
        and other.birth.pool == life.birth.pool
    ]
    return max(gone, default=0.0)


def _served_before(view: View, life: Life) -> frozenset[str]:
    """Whose pods were Ready on what was taken for it, of another release, since its revision was applied."""
    history = view.facts.history
    return frozenset(
        owner
        for entry in history.entries.values()
        if entry.served and entry.opened_unix >= view.revision.applied_unix
        if (other := history.lives.get(entry.subject)) is not None
        and other.birth.pool == life.birth.pool
        and other.birth.release != life.birth.release
        for owner in entry.served
    )


def _through_gates(view: View, release: PoolRelease, evidence: tuple[str, ...]) -> RuleOutput:
    """The user's gates, all at once; then it has passed."""
    gates = gates_of(view, release.release)
    if gates.failed:
        step = RevokeRelease(release.release, release.pool, view.revision.number, gates.failed)
        return RuleOutput(steps=(step,))
    if gates.unasked or gates.silent:
        now = view.facts.now.boot
        waits = tuple(
            Waiting(release.pool, f"gate {asked.gate.name} on {release.release}", now)
            for asked in gates.unasked
        )
        halt = RuleOutput() if gates.halted is None else _halt(view, release, gates.halted)
        return gather(halt, RuleOutput(waiting=waits, tasks=(*gates.unasked, *gates.silent)))
    return RuleOutput(steps=(PassRelease(release.release, release.pool, (*evidence, *gates.passed)),))
