"""Keeps what surrounds the instances: where the endpoint program does not answer, the site is prepared again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from risen.interfaces.clock import Clock
from risen.interfaces.endpoint import Endpoint
from risen.interfaces.errors import InterfaceError, OutcomeUnknown, Unreachable
from risen.interfaces.provider import Site

LOOK_SECONDS = 1.0


@dataclass(slots=True)
class SiteKeeper:
    """One per controller, while it leads. `note` takes a line for its log."""

    site: Site
    endpoint: Endpoint
    clock: Clock
    note: Callable[[str], None]

    async def run(self) -> None:
        """Look for ever; trouble with mending is noted and tried again."""
        while True:
            await self.clock.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except InterfaceError as error:
                self.note(f"site cannot be mended: {type(error).__name__}: {error}")

    async def look(self) -> None:
        """One look. Raises what `prepare` raises."""
        try:
            await self.endpoint.list()
        except (Unreachable, OutcomeUnknown) as error:
            self.note(f"the endpoint does not answer, preparing the site again: {error}")
            await self.site.prepare()
