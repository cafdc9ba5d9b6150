"""Keeps what surrounds the instances: where the endpoint program does not answer, the site is prepared again, and what
others of the host took away of the way out is laid again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from risen.interfaces.clock import Clock
from risen.interfaces.endpoint import Endpoint
from risen.interfaces.errors import InterfaceError, OutcomeUnknown, Unreachable
from risen.interfaces.provider import Site

LOOK_SECONDS = 1.0
OUTSIDE_SECONDS = 10.0
"""How often the way out is looked at: four short programs, and an image pull tries again for longer than that."""


@dataclass(slots=True)
class SiteKeeper:
    """One per controller, while it leads. `note` takes a line for its log."""

    site: Site
    endpoint: Endpoint
    clock: Clock
    note: Callable[[str], None]
    _outside_at: float = field(default=0.0, init=False)

    async def run(self) -> None:
        """Look for ever; trouble with mending is noted and tried again."""
        while True:
            await self.clock.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except (InterfaceError, OSError) as error:  # a disk that takes no writes, no memory for a program
                self.note(f"site cannot be mended: {type(error).__name__}: {error}")

    async def look(self) -> None:
        """One look. Raises what `prepare` and `mend_outside` raise."""
        try:
            await self.endpoint.list()
        except (Unreachable, OutcomeUnknown) as error:
            self.note(f"the endpoint does not answer, preparing the site again: {error}")
            await self.site.prepare()
        if self.clock.boot() >= self._outside_at:
            self._outside_at = self.clock.boot() + OUTSIDE_SECONDS
            laid = await self.site.mend_outside()
            if laid:
                self.note(f"missing on the host, laid again: {', '.join(laid)}")
