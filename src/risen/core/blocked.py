"""Refusals and waits as values: said once, shown alike in CLI, log, metric and event."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Blocked:
    """A refusal. `name` is one of a closed list (quorum, quorum-lost, cannot-see, budget, storm, foreign,
    empty-store, accept-data-loss, revoked, capacity); `why` carries its arithmetic."""

    name: str
    subject: str
    why: str


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """Something that goes on by itself: who waits, for what, since when, and when it is given up (or None)."""

    subject: str
    for_what: str
    since: float
    give_up_at: float | None = None
