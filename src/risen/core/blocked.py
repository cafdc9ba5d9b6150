"""Refusals and waits as values: said once, shown alike in CLI, log, metric and event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

BlockedName: TypeAlias = Literal[
    "accept-data-loss", "birth-before-launch", "bootstrap-once", "budget", "cannot-see", "claims",
    "do-not-disrupt", "drain-timeout", "empty-store", "entry-before-harm", "fault-tolerance", "foreign", "halted",
    "launch", "leadership", "observe-only", "paused", "quorum", "quorum-lost", "revoked", "snapshot", "store", "storm",
]  # fmt: skip
"""Every refusal there is: what people and their programs may look for."""


@dataclass(frozen=True, slots=True, order=True)
class Blocked:
    """A refusal. `name` is one of a closed list; `why` carries its arithmetic."""

    name: BlockedName
    subject: str
    why: str


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """Something that goes on by itself: who waits, for what, since when, and when it is given up (or None)."""

    subject: str
    for_what: str
    since: float
    give_up_at: float | None = None
