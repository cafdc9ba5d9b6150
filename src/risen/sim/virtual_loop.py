"""An asyncio loop whose time jumps to whatever is due next. It opens no socket and never looks at a wall clock.

Two kinds of things are due: the loop's own timers, and events of the world, which are plain data so that a
world at rest can be copied. World events of one moment come before the loop's timers of that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol


class Timeline(Protocol):
    """Where the world's own events lie. `now` is written by the loop alone."""

    now: float

    def next_at(self) -> float | None: ...
    def fire_until(self, now: float) -> None: ...


class NothingDue(RuntimeError):
    """Every task waits and nothing will ever happen: a fault of the engine or of the simulator."""


class _Selector:
    """Stands where asyncio has its selector: waiting is moving the time."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def select(self, timeout: float | None) -> list[Any]:
        """Move to the next due thing, at most `timeout` seconds away."""
        line = self._timeline
        if timeout == 0:
            return []
        due = line.next_at()
        until = None if timeout is None else line.now + timeout
        if due is None and until is None:
            raise NothingDue("no timer and no event of the world is left")
        if due is not None and (until is None or due <= until):
            line.now = max(line.now, due)
            line.fire_until(line.now)
        elif until is not None:
            line.now = until
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs coroutines on a `Timeline`. For one thread; executors, sockets and signals do not exist here."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self._timeline = timeline
        self._selector = _Selector(timeline)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Virtual seconds since the world began."""
        return self._timeline.now

    def _process_events(self, event_list: list[Any]) -> None:
        """Nothing ever arrives from outside."""

    def _write_to_self(self) -> None:
        """Nobody else runs, so nobody needs waking."""


Callback = Callable[..., None]
