"""What is asked of the first instance of a release, and what may be concluded of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from risen.core.history import Life
from risen.core.judge.verdict import Judgement
from risen.core.names import InstanceName
from risen.core.picture import PodSeen

SETTLE_SECONDS = 30.0
"""What turns bad on a living instance may turn back; for so long beyond its soak it is waited for."""


@dataclass(frozen=True, slots=True)
class Bad:
    """The release is at fault, with the evidence."""

    evidence: tuple[str, ...]


NOTHING_TO_COMPARE = "no other release is healthy"
"""Cause of a halt: what goes wrong on the first instance may go wrong on any."""


@dataclass(frozen=True, slots=True)
class Halted:
    """Nothing can be concluded, and it is not the release's fault as far as can be seen. `cause` stays the same while
    the words change; `lasts` where no person can go past it: nothing can be judged before it has ended; `awaits` what
    would end it by itself, where that is to be given a while first."""

    why: str
    cause: str
    lasts: bool = False
    awaits: str = ""


@dataclass(frozen=True, slots=True)
class Soaking:
    """It serves; passed at `until_unix` if that lasts."""

    since_unix: float
    until_unix: float


@dataclass(frozen=True, slots=True)
class NotYet:
    """What the instance is awaited for, and until when (unix seconds; None without bound). `holds`: it looks bad so
    far, and nobody's place is taken for it."""

    for_what: str
    until_unix: float | None = None
    holds: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """It served through its soak."""

    evidence: tuple[str, ...]


ReleaseVerdict: TypeAlias = Bad | Halted | Soaking | NotYet | Served
Verdicts = Mapping[InstanceName, Judgement]


@dataclass(frozen=True, slots=True)
class Trial:
    """The first instance of a release and what is asked of it. `takes_over`: the instance whose pods it takes is
    still to go; `took_over_unix` when it went; `gone_past`: causes that do not halt it, by a person's word;
    `served_before`: whose pods were Ready on the one before, as in `Entry`; `programs`: those that have to answer at
    their ports; `applied_unix`: when its revision was."""

    life: Life
    soak_seconds: float
    takes_over: bool
    took_over_unix: float = 0.0
    gone_past: tuple[str, ...] = ()
    served_before: frozenset[str] = frozenset()
    programs: tuple[str, ...] = ()
    applied_unix: float = 0.0

    def counts(self, pod: PodSeen) -> bool:
        """Whether a pod has to be Ready: nobody said that the rollout goes on past the failing of its like."""
        return not {failing_cause(pod), pulling_cause(pod), late_cause(pod)} & set(self.gone_past)


def failing_cause(pod: PodSeen) -> str:
    """The cause of a halt for which pods of one owner are one: each of them has a name of its own."""
    return f"{pod.of_owner} fails"


def pulling_cause(pod: PodSeen) -> str:
    """The same where its image cannot be pulled."""
    return f"{pod.of_owner} cannot pull its image"


def late_cause(pod: PodSeen) -> str:
    """The same where it is not Ready in its time."""
    return f"{pod.of_owner} is not Ready in time"
