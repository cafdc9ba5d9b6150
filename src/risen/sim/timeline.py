"""The world's own events and its randomness: plain data, so that a world at rest can be copied whole."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

Event = tuple[float, int, Callable[..., None], tuple[object, ...]]
"""(virtual seconds, sequence number, bound method of a part of the world, its arguments)."""


@dataclass(slots=True)
class WorldTimeline:
    """Events by time, equal times in the order they were planned."""

    random: Random
    now: float = 0.0
    events: list[Event] = field(default_factory=list)
    planned: int = 0
    after_event: Callable[[], None] | None = None
    """Told after each event: the checker."""

    def draw(self, least: float, most: float) -> float:
        """A duration in seconds, uniform."""
        return self.random.uniform(least, most)

    def chance(self, share: float) -> bool:
        """True in `share` of all cases (0 to 1). Draws nothing for 0, so that calm runs stay alike."""
        return share > 0 and self.random.random() < share

    def after(self, seconds: float, call: Callable[..., None], *arguments: object) -> None:
        """Plan `call(*arguments)`, a bound method of a part of the world, in so many seconds."""
        self.planned += 1
        heapq.heappush(self.events, (self.now + seconds, self.planned, call, arguments))

    def next_at(self) -> float | None:
        """When the next event is due; None if there is none."""
        return self.events[0][0] if self.events else None

    def fire_until(self, now: float) -> None:
        """Carry out what is due."""
        while self.events and self.events[0][0] <= now:
            _, _, call, arguments = heapq.heappop(self.events)
            call(*arguments)
            if self.after_event is not None:
                self.after_event()
