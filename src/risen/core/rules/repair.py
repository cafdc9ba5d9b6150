"""Repair: what is gone, stopped, never joined or asked to be killed gets a ledger entry, then its end.

A stopped instance may be powered on instead (`power.py`). The replacement is born by `births.py` as soon as
the entry is open. With `repair.mode: observe` it only says what it would do; a person's kill still goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from risen.core.blocked import Blocked, Waiting
from risen.core.history import Life
from risen.core.judge.verdict import Judgement, Verdict
from risen.core.names import InstanceName, PoolName, may_hold_etcd
from risen.core.picture import InstanceState
from risen.core.reasons import KILL, NEVER_JOINED, PLANNED, REPAIR, SCALE_DOWN
from risen.core.rules.power import JudgeLater, Outages, PowerOnBecause, outages, what_stop_means
from risen.core.rules.view import RuleOutput, View, gather
from risen.core.safety.budget import storm
from risen.core.safety.invariants import accepts_data_loss
from risen.core.step import Destroy, OpenEntry, PowerOn

ENDS_RUNNING = (KILL, NEVER_JOINED)
"""Entries that end a running instance; a repaired one that came back by itself is let live if it can serve."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is counted once for all instances."""

    view: View
    outages: Outages
    storms: Mapping[PoolName, Blocked]


def propose(view: View) -> RuleOutput:
    """OpenEntry, PowerOn, Destroy."""
    unseen = view.cannot_see("provider")
    if unseen is not None:
        return unseen
    scene = _Scene(view, outages(view), _storms(view))
    outputs = [_without_entry(scene, life) for life in view.facts.lives.values()]
    outputs += [_with_entry(scene, life) for life in view.facts.lives.values()]
    return gather(*outputs)


def _storms(view: View) -> Mapping[PoolName, Blocked]:
    pools = sorted({life.birth.pool for life in view.facts.lives.values()})
    found = ((pool, storm(view.revision.spec, view.facts, view.verdicts, pool)) for pool in pools)
    return {pool: blocked for pool, blocked in found if blocked is not None}


def entry_id(view: View, subject: InstanceName) -> str:
    """`SUBJECT-N`: one more than the last entry of this subject. Deterministic, so that a retry meets its own. Earlier
    ones may be forgotten."""
    ids = (entry.id for entry in view.facts.history.entries.values() if entry.subject == subject)
    numbers = (text for one in ids if (text := one.rpartition("-")[2]).isdecimal())
    return f"{subject}-{max(map(int, numbers), default=0) + 1}"


def open_entry(view: View, name: InstanceName, reason: str, *evidence: str) -> OpenEntry:
    """The step that opens an entry."""
    leaves, seconds = _left(view, name, reason) if reason in PLANNED else (0, 0.0)
    return OpenEntry(entry_id(view, name), name, reason, evidence, leaves, seconds)


def _left(view: View, name: InstanceName, reason: str) -> tuple[int, float]:
    """What a planned change leaves of a pool: so many, that have been Ready for so long."""
    life = view.facts.lives.get(name)
    pool = view.pool(life.birth.pool) if life is not None else None
    if pool is None:
        return 0, 0.0
    if may_hold_etcd(pool.role):
        return pool.replicas, 0.0
    unavailable = pool.strategy.max_unavailable.of(pool.replicas)
    seconds = 0.0 if reason == SCALE_DOWN else pool.strategy.min_ready_seconds
    return max(0, pool.replicas - unavailable), seconds


def wanted_without(view: View, name: InstanceName) -> int:
    """How many voters are wanted once a control-plane instance is gone by plan; 0 for others."""
    life = view.facts.lives.get(name)
    pool = view.pool(life.birth.pool) if life is not None and may_hold_etcd(life.birth.role) else None
    return pool.replicas if pool is not None else 0


def _without_entry(scene: _Scene, life: Life) -> RuleOutput:
    view, facts, name = scene.view, scene.view.facts, life.birth.instance
    if name in facts.entries:
        return RuleOutput()
    kill = next((k for k in sorted(facts.history.kills, key=lambda k: k.id) if k.instance == name), None)
    if kill is not None:
        return RuleOutput(steps=(open_entry(view, name, KILL, f"asked: {kill.reason}"),))
    judged = view.verdicts[name]
    match judged.verdict:
        case Verdict.DEAD:
            return _open_repair(scene, life, judged)
        case Verdict.STOPPED:
            return _stopped(scene, life, judged)
        case Verdict.SICK if judged.never_joined:
            return _observed(view, open_entry(view, name, _reason_to_end(life), *judged.evidence), judged)
        case _:
            return RuleOutput()


def _reason_to_end(life: Life) -> str:
    return NEVER_JOINED if life.ready_at_unix is None else KILL


def _stopped(scene: _Scene, life: Life, judged: Judgement) -> RuleOutput:
    match what_stop_means(scene.view, life, scene.outages):
        case PowerOnBecause(reason=reason):
            return _power_on(scene.view, life, reason)
        case JudgeLater(for_what=for_what, since=since, at=at):
            return RuleOutput(waiting=(Waiting(life.birth.instance, for_what, since, at),))
        case None:
            return _open_repair(scene, life, judged)


def _power_on(view: View, life: Life, reason: str) -> RuleOutput:
    name = life.birth.instance
    seen = view.facts.ours[name]
    if view.revision.spec.repair.mode == "observe":
        return RuleOutput(blocked=(Blocked("observe-only", name, f"would be powered on: {reason}"),))
    return RuleOutput(steps=(PowerOn(name, seen.provider_id),))


def _open_repair(scene: _Scene, life: Life, judged: Judgement) -> RuleOutput:
    raging = scene.storms.get(life.birth.pool)
    if raging is not None:
        return RuleOutput(blocked=(raging,))
    view = scene.view
    return _observed(view, open_entry(view, life.birth.instance, REPAIR, *judged.evidence), judged)


def _observed(view: View, step: OpenEntry, judged: Judgement) -> RuleOutput:
    if view.revision.spec.repair.mode != "observe":
        return RuleOutput(steps=(step,))
    why = f"would be replaced: {step.reason}, {'; '.join(judged.evidence)}"
    return RuleOutput(blocked=(Blocked("observe-only", step.subject, why),))


def _with_entry(scene: _Scene, life: Life) -> RuleOutput:
    """The fence: the instance ends, confirmed by the provider's GONE in a later picture."""
    view, facts, name = scene.view, scene.view.facts, life.birth.instance
    entry = facts.entries.get(name)
    if entry is None or entry.reason in PLANNED or facts.is_gone(life):
        return RuleOutput()
    state = facts.state(name)
    since = facts.boot_of(entry.opened_unix)
    reason = KILL if facts.is_asked_to_end(name) else entry.reason
    if state is InstanceState.STOPPED:
        return _stopped_with_entry(scene, life, reason)
    if state is InstanceState.UNFINISHED:
        return _end(view, life)
    if state in (InstanceState.STARTING, InstanceState.RUNNING):
        if reason in ENDS_RUNNING or _serves_never(view, life):
            return _end(view, life)
        return RuleOutput(waiting=(Waiting(name, "it came back: Ready, or its end", since),))
    if state is InstanceState.UNKNOWN:
        return RuleOutput(
            blocked=(Blocked("cannot-see", name, "the provider says unknown: that is not gone"),)
        )
    return RuleOutput(waiting=(Waiting(name, "the provider's word that it is gone", since),))


def _serves_never(view: View, life: Life) -> bool:
    """It did not join in its time, or is to hold etcd and does not vote: none is added or promoted that has an
    entry."""
    name, etcd = life.birth.instance, view.facts.etcd
    if view.verdicts[name].never_joined:
        return True
    if etcd is None or etcd.quorum_lost or not may_hold_etcd(life.birth.role):
        return False
    member = view.facts.member_of(name)
    return member is None or member.learner


def _stopped_with_entry(scene: _Scene, life: Life, reason: str) -> RuleOutput:
    """What was to be ended and is off: ended, unless it is wanted back after all."""
    view, name = scene.view, life.birth.instance
    if accepts_data_loss(view.facts, name) or (reason != REPAIR and not view.facts.holds_data(life)):
        return _end(view, life)
    match what_stop_means(scene.view, life, scene.outages):
        case PowerOnBecause(reason=why):
            return _power_on(view, life, why)
        case JudgeLater(for_what=for_what, since=since, at=at):
            return RuleOutput(waiting=(Waiting(name, for_what, since, at),))
        case None:
            return _end(view, life)


def _end(view: View, life: Life) -> RuleOutput:
    """Its member, while it is a learner, goes first (`membership.py`): a promotion that is still on its way would
    make a voter of it, and without a second one a solo voter has no quorum."""
    name, facts = life.birth.instance, view.facts
    member = facts.member_of(name)
    if member is not None and member.learner:
        since = facts.boot_of(facts.entries[name].opened_unix)
        return RuleOutput(waiting=(Waiting(name, "its learner to be removed from etcd", since),))
    return RuleOutput(steps=(Destroy(name, facts.ours[name].provider_id, facts.holds_data(life)),))
