"""Invariant: a release that has not passed is shown by one instance, and a revoked one by no new one.

Judges births and launches on what is remembered and seen; at bring-up there is no release to go back to, and
nothing to be careful of.
"""

from __future__ import annotations

from risen.core.blocked import Blocked
from risen.core.judge.facts import Facts
from risen.core.names import InstanceName, ReleaseId
from risen.core.step import Launch, Step, WriteBirth


def blocks_revoked(facts: Facts, step: Step) -> Blocked | None:
    """Whether a revoked release would be launched."""
    name, release = _shown_by(facts, step)
    revoked = facts.history.revoked.get(release) if release is not None else None
    if name is None or revoked is None:
        return None
    return Blocked("revoked", name, f"{release} is revoked: {'; '.join(revoked.evidence)}")


def blocks_exposure(facts: Facts, step: Step) -> Blocked | None:
    """Whether a second instance would show a release that has not passed."""
    name, release = _shown_by(facts, step)
    history = facts.history
    if name is None or release is None or release in history.passed or not history.settled:
        return None
    others = [
        other
        for other, life in facts.lives.items()
        if life.birth.release == release and other != name and not facts.is_gone(life)
    ]
    born = [one.birth for one in facts.steps if isinstance(one, WriteBirth)]
    others += [birth.instance for birth in born if birth.release == release and birth.instance != name]
    if not others:
        return None
    return Blocked("halted", name, f"{release} has not passed: {min(others)} tries it, alone")


def _shown_by(facts: Facts, step: Step) -> tuple[InstanceName | None, ReleaseId | None]:
    match step:
        case WriteBirth(birth=birth):
            return birth.instance, birth.release
        case Launch(instance=name) if name in facts.history.lives:
            return name, facts.history.lives[name].birth.release
        case _:
            return None, None
