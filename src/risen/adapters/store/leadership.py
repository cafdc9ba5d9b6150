"""Leadership on a directory store: flock(2) on `lead.lock`, which dies with its holder.

The file's text says who leads ("HOST PID since UNIX"); the lock alone decides. Looking takes the lock in shared
form for a moment, so taking it tries a few times.
"""

from __future__ import annotations

import asyncio
import math
import os
from pathlib import Path

from risen.adapters.store.files import faults, open_lock, read_whole, try_lock
from risen.interfaces.clock import Clock

_TRIES = 5
_BETWEEN_SECONDS = 0.01


class DirectoryLead:
    """Leadership held until it is released or its holder ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor

    @property
    def valid_until(self) -> float:
        """For ever while it is held: nobody else can take it. -inf once released, or when the lock file was
        removed, so that another may hold a new one."""
        held = self._descriptor is not None and is_the_file(self._path, self._descriptor)
        return math.inf if held else -math.inf

    async def release(self) -> None:
        """Let another lead."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


class DirectoryLeadership:
    """Implements `interfaces.store.Leadership` on `ROOT/lead.lock`."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._path = root / "lead.lock"
        self._clock = clock

    async def try_lead(self, holder: str) -> DirectoryLead | None:
        """See `interfaces.store.Leadership`. Raises Denied on a read-only store, which cannot lead."""
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(_BETWEEN_SECONDS)
            descriptor = open_lock(self._path)
            if try_lock(descriptor) and is_the_file(self._path, descriptor):
                self._sign(descriptor, holder)
                return DirectoryLead(self._path, descriptor)
            os.close(descriptor)
        return None

    async def leader(self) -> str | None:
        """See `interfaces.store.Leadership`. Works on a read-only store."""
        with faults(self._path):
            try:
                descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
        try:
            if try_lock(descriptor, shared=True):
                return None
            text = read_whole(self._path)
        finally:
            os.close(descriptor)
        return (text or b"").decode("utf-8", "replace").strip() or "somebody"

    def _sign(self, descriptor: int, holder: str) -> None:
        with faults(self._path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{holder} since {self._clock.unix():.0f}\n".encode(), 0)


def is_the_file(path: Path, descriptor: int) -> bool:
    """Whether an open file is still the one at `path`: a removed lock file locks nobody out."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
