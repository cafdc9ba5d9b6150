"""Leadership: one engine acts per store. Waits its turn through the Clock and says who leads meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from risen.core.step import STEP_TIMEOUT_SECONDS
from risen.engine.world import EngineWorld
from risen.interfaces.store import Lead

TRY_AGAIN_SECONDS = 1.0


async def wait_to_lead(world: EngineWorld, stop: Callable[[], bool]) -> Lead | None:
    """Try until this incarnation leads; None when `stop` said so first."""
    while not stop():
        lead = await world.leadership.try_lead(world.holder)
        if lead is not None:
            world.observer.leading(world.holder)
            return lead
        await world.clock.sleep(TRY_AGAIN_SECONDS)
    return None


def may_send(world: EngineWorld, lead: Lead) -> bool:
    """Whether a step sent now would end while this incarnation still leads."""
    return world.clock.boot() + STEP_TIMEOUT_SECONDS < lead.valid_until
