"""A provider at its worst: what its lists and launches answer while it is at it. What it says of one is true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from risen.core.picture import InstanceSeen, InstanceState
from risen.interfaces.errors import NoCapacity
from risen.sim.timeline import WorldTimeline


@dataclass(slots=True)
class Lying:
    """Shares from 0 to 1 of what it does, until the virtual second `until`. Made harmless by `until` 0."""

    until: float = 0.0
    full_until: float = 0.0
    """Until then it has no room for another."""
    unlisted_share: float = 0.2
    """Of the instances that exist, a list lacks so many and says nothing about it."""
    twice_share: float = 0.05
    unknown_share: float = 0.1
    full_share: float = 0.25
    hangs_share: float = 0.15
    """So many boots hang: nothing is printed, join is never asked."""

    def lists(self, line: WorldTimeline, truth: tuple[InstanceSeen, ...]) -> tuple[InstanceSeen, ...]:
        """What a list holds of what there is."""
        return tuple(self._some(line, truth)) if line.now < self.until else truth

    def _some(self, line: WorldTimeline, truth: tuple[InstanceSeen, ...]) -> Iterator[InstanceSeen]:
        for seen in truth:
            if line.chance(self.unlisted_share):
                continue
            if line.chance(self.unknown_share):
                seen = replace(seen, state=InstanceState.UNKNOWN)
            yield seen
            if line.chance(self.twice_share):
                yield seen

    def refuse_if_full(self, line: WorldTimeline) -> None:
        """Raises NoCapacity."""
        if line.now < self.full_until or (line.now < self.until and line.chance(self.full_share)):
            raise NoCapacity("no instance of this size is free just now")

    def hangs(self, line: WorldTimeline) -> bool:
        """Whether the boot that begins now never ends."""
        return line.now < self.until and line.chance(self.hangs_share)
