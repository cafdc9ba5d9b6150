"""Whether programs of instances answer at their service ports."""

from __future__ import annotations

from typing import Protocol

from risen.core.ports import Door


class Ports(Protocol):
    """Asks and changes nothing. A port that cannot be reached is one that does not answer: whoever asks many of them
    sees whether that is so of all."""

    async def ask(self, doors: tuple[Door, ...]) -> tuple[bool, ...]: ...
