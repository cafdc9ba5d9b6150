"""Time, as an interface: the simulator's runs ahead of the wall's."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """`boot` counts seconds on CLOCK_BOOTTIME; `unix` is the wall's. `sleep` is the only way to wait."""

    def boot(self) -> float: ...
    def unix(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...
