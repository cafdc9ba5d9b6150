"""Requests that bring the simulated API endpoint to say what it seldom says."""

from __future__ import annotations

from desk import Desk
from fidelity.asked import PLAIN
from risen.core.names import InstanceName
from risen.sim.api_endpoint import SLOTS
from risen.sim.faces import SimClock


async def add_beyond_the_last_slot(desk: Desk) -> None:
    for number in range(SLOTS):
        await desk.endpoint.add(InstanceName(f"control-plane-{number}"), f"10.77.1.{number}")


async def look_at_what_drains(desk: Desk) -> None:
    await PLAIN["endpoint.drain"](desk)
    await desk.endpoint.list()


async def look_at_what_drains_and_is_down(desk: Desk) -> None:
    desk.world.instances.power_cut()
    await SimClock(desk.line).sleep(2.0)
    await look_at_what_drains(desk)


async def look_at_what_an_earlier_controller_began_to_remove(desk: Desk) -> None:
    """Its order arrives after this one's."""
    name = next(iter(desk.world.endpoint.backends))
    await desk.endpoint.add(name, desk.world.endpoint.backends[name].address)
    desk.world.endpoint.drain(name)
    await desk.endpoint.list()
