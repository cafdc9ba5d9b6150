"""How long the parts of a replacement take: from what this cluster's own past says, else an assumption that says so.

A duration is a `Spread`: mean and variance add over what is done one after the other, so a long rollout is
forecast more closely than a short one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from risen.core.history import History, Life
from risen.core.names import Role
from risen.core.reasons import ROLLING

RECORDS_COUNTED = 20
BRING_UP = "bring-up"
"""Reason of a birth before the cluster stood."""
P90 = 1.2816
"""So many standard deviations above the mean nine of ten lie."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds: the mean, the variance, and the least ever recorded. `records` is 0 for an assumption."""

    mean: float
    variance: float
    least: float = 0.0
    records: int = 0

    @property
    def p90(self) -> float:
        """Nine of ten take at most so long, as far as the parts take their time independently."""
        return self.mean + P90 * math.sqrt(self.variance)

    def __add__(self, other: Spread) -> Spread:
        """One after the other. It stands on as many records as the weaker of both."""
        return Spread(
            self.mean + other.mean,
            self.variance + other.variance,
            self.least + other.least,
            min(self.records, other.records),
        )

    def times(self, count: int) -> Spread:
        """So many, one after the other."""
        return Spread(self.mean * count, self.variance * count, self.least * count, self.records)

    def less(self, spent: float) -> Spread:
        """What is left of it after so many seconds."""
        return Spread(max(0.0, self.mean - spent), self.variance, max(0.0, self.least - spent), self.records)


ASSUMED_BOOT = Spread(mean=60.0, variance=400.0)
ASSUMED_DRAIN = Spread(mean=30.0, variance=100.0)
"""While nothing of the kind is on record; their least is 0, for nothing is known."""


def certain(seconds: float) -> Spread:
    """What always takes so long."""
    return Spread(seconds, 0.0, seconds, RECORDS_COUNTED)


NOTHING = certain(0.0)


def of_records(seconds: Iterable[float], assumed: Spread) -> Spread:
    """The spread of what was recorded, or the assumption where nothing was."""
    found = list(seconds)
    if not found:
        return assumed
    mean = sum(found) / len(found)
    variance = sum((one - mean) ** 2 for one in found) / len(found)
    return Spread(mean, variance, min(found), len(found))


def boots(history: History, role: Role) -> Spread:
    """From launch to Ready: the last 20 instances of that role that were raised beside a standing cluster.

    Those of the bring-up waited for the control plane too: they count while there are no others, and the least of
    them is only their way to join.
    """
    lives = [life for life in history.lives.values() if life.birth.role is role]
    found = [one for life in lives if life.birth.reason != BRING_UP and (one := _boot(life)) is not None]
    if found:
        return of_records((seconds for _, seconds in sorted(found)[-RECORDS_COUNTED:]), ASSUMED_BOOT)
    raised = [one for life in lives if (one := _boot(life)) is not None]
    spread = of_records((seconds for _, seconds in sorted(raised)[-RECORDS_COUNTED:]), ASSUMED_BOOT)
    joins = [
        life.joined_at_unix - life.launched_at_unix
        for life in lives
        if life.joined_at_unix is not None and life.launched_at_unix is not None
    ]
    return replace(spread, least=min(joins, default=0.0))


def _boot(life: Life) -> tuple[float, float] | None:
    if life.ready_at_unix is None or life.launched_at_unix is None:
        return None
    return life.ready_at_unix, life.ready_at_unix - life.launched_at_unix


def drains(history: History, role: Role) -> Spread:
    """From the ledger entry to the instance seen gone: the last 20 of that role that were replaced by plan.

    For a control plane that is the whole handover: drain, power button, etcd's leadership and membership.
    """
    found = sorted(
        (life.gone_at_unix, life.gone_at_unix - entry.opened_unix)
        for entry in history.entries.values()
        if entry.reason in ROLLING
        and (life := history.lives.get(entry.subject)) is not None
        and life.birth.role is role
        and life.gone_at_unix is not None
        and life.gone_at_unix >= entry.opened_unix
    )
    return of_records((seconds for _, seconds in found[-RECORDS_COUNTED:]), ASSUMED_DRAIN)
