"""Phases of an instance's first start, out of a cluster's events. Reads no store and no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from risen.core.events import BecameReady, Born, Event, Joined, Launched
from risen.core.names import Role


@dataclass(frozen=True)
class Phases:
    """Seconds from launch to the join answer, and from there to the Node's Ready."""

    role: Role
    to_join: float
    to_ready: float

    @property
    def whole(self) -> float:
        """Launch to Ready."""
        return self.to_join + self.to_ready


def phases_of(events: Sequence[Event]) -> dict[str, Phases]:
    """By name, of each instance that became Ready.

    A launch is told when its instance is first seen and when it is answered: the first counts."""
    roles: dict[str, Role] = {}
    launched: dict[str, float] = {}
    joined: dict[str, float] = {}
    found: dict[str, Phases] = {}
    for event in events:
        match event:
            case Born(birth=birth):
                roles[birth.instance] = birth.role
            case Launched(unix=unix, instance=name):
                launched.setdefault(name, unix)
            case Joined(unix=unix, instance=name):
                joined.setdefault(name, unix)
            case BecameReady(unix=unix, instance=name) if name in launched and name in roles:
                join = joined.get(name, unix)
                found[name] = Phases(roles[name], join - launched[name], unix - join)
            case _:
                continue
    return found
