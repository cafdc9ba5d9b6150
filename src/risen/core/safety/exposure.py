"""Invariant: of all releases that have not passed one is shown, by one instance; a revoked one by no new one.

Judges births and launches on what is remembered and seen; at bring-up there is no release to go back to, and
nothing to be careful of.
"""

from __future__ import annotations

from risen.core.blocked import Blocked
from risen.core.history import History
from risen.core.judge.facts import Facts
from risen.core.names import InstanceName, ReleaseId
from risen.core.step import Birth, Launch, Step, WriteBirth


def blocks_revoked(facts: Facts, step: Step) -> Blocked | None:
    """Whether a revoked release would be launched."""
    name, release = _shown_by(facts, step)
    revoked = facts.history.revoked.get(release) if release is not None else None
    if name is None or revoked is None:
        return None
    return Blocked("revoked", name, f"{release} is revoked: {'; '.join(revoked.evidence)}")


def blocks_exposure(facts: Facts, step: Step) -> Blocked | None:
    """Whether a second instance would show a release that has not passed, this one or another."""
    name, release = _shown_by(facts, step)
    history = facts.history
    if name is None or release is None or release in history.passed or not history.settled:
        return None
    births = [life.birth for life in facts.lives.values() if not facts.is_gone(life)]
    births += [one.birth for one in facts.steps if isinstance(one, WriteBirth)]
    others = {
        birth.instance: birth.release
        for birth in births
        if birth.instance != name and (birth.release == release or _is_tried(history, birth))
    }
    if not others:
        return None
    other = min(others)
    tried = "it" if others[other] == release else others[other]
    return Blocked("halted", name, f"{release} has not passed: {other} tries {tried}, alone")


def _is_tried(history: History, birth: Birth) -> bool:
    """Whether an instance is there to show whether its release is good. In a pool that never stood it is no more
    than the first of its pool."""
    known = birth.release in history.passed or birth.release in history.revoked
    return not known and history.settled_release(birth.pool) is not None


def _shown_by(facts: Facts, step: Step) -> tuple[InstanceName | None, ReleaseId | None]:
    match step:
        case WriteBirth(birth=birth):
            return birth.instance, birth.release
        case Launch(instance=name) if name in facts.history.lives:
            return name, facts.history.lives[name].birth.release
        case _:
            return None, None
