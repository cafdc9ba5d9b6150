"""The answer of the rules: what to do now, what is awaited, what is refused, when to look again."""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.blocked import Blocked, Waiting
from risen.core.step import Step
from risen.core.task import Task


@dataclass(frozen=True, slots=True)
class Plan:
    """A set of steps in a stable order. Equal for shuffled inputs."""

    steps: tuple[Step, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    recheck_at: float | None = None
    tasks: tuple[Task, ...] = ()
    """What takes longer and is done outside the loop. Asked for again until its result is in history."""


@dataclass(frozen=True, slots=True)
class Now:
    """The moment of a decision: `boot` on CLOCK_BOOTTIME (waits, bounds), `unix` for records."""

    boot: float
    unix: float
    leading_since_unix: float = 0.0
    """Since when this controller has led and answered joins: bounds on joining count from here at the earliest."""


@dataclass(frozen=True, slots=True)
class Supplies:
    """Randomness drawn before deciding, so that deciding is pure. Used from the front.

    `suffixes` are 5 characters of `bcdfghjklmnpqrstvwxz2456789`; `nonces` 32 hex characters.
    """

    suffixes: tuple[str, ...]
    nonces: tuple[str, ...]
