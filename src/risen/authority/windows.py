"""From when until when certificates are good. Signs nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from risen.core.names import InstanceName

EARLY_START = timedelta(hours=1)
"""Certificates start this much before they are made: clocks differ."""
YEAR = timedelta(days=365)
JITTER_DAYS = 36
"""A year is shortened by up to this much, by name: a fleet born together does not expire together."""


@dataclass(frozen=True, slots=True)
class Window:
    """Validity of a certificate."""

    start: datetime
    end: datetime


def instance_window(instance: InstanceName, now_unix: float) -> Window:
    """A year from an hour ago, less this instance's jitter (the same for all its certificates)."""
    start = datetime.fromtimestamp(int(now_unix), UTC) - EARLY_START
    seed = int.from_bytes(hashlib.sha256(b"jitter\0" + instance.encode()).digest()[:8], "big")
    return Window(start, start + YEAR - timedelta(seconds=seed % (JITTER_DAYS * 86400)))
