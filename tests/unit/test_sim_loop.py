"""Virtual time: hours pass at once, in order, and a wait for nothing is an error instead of a hang."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from risen.sim.timeline import WorldTimeline
from risen.sim.virtual_loop import NothingDue, VirtualLoop


class Bell:
    """Something of the world that rings."""

    def __init__(self, line: WorldTimeline) -> None:
        self.line = line
        self.rung: list[tuple[float, str]] = []

    def ring(self, name: str) -> None:
        self.rung.append((self.line.now, name))


def test_hours_of_sleep_take_no_time_and_world_events_come_in_between() -> None:
    line = WorldTimeline(Random(1))
    bell = Bell(line)
    line.after(1800.0, bell.ring, "half")
    line.after(5400.0, bell.ring, "late")
    loop = VirtualLoop(line)

    async def wait() -> float:
        await asyncio.sleep(3600.0)
        return loop.time()

    assert loop.run_until_complete(wait()) == 3600.0
    assert bell.rung == [(1800.0, "half")]
    loop.close()


def test_a_world_event_comes_before_a_timer_of_the_same_moment() -> None:
    line = WorldTimeline(Random(1))
    bell = Bell(line)
    loop = VirtualLoop(line)
    loop.call_later(5.0, bell.ring, "timer")
    line.after(5.0, bell.ring, "world")
    loop.call_later(6.0, loop.stop)
    loop.run_forever()
    assert [name for _, name in bell.rung] == ["world", "timer"]
    loop.close()


def test_waiting_for_what_never_comes_is_an_error() -> None:
    loop = VirtualLoop(WorldTimeline(Random(1)))
    task = loop.create_task(asyncio.Event().wait())
    with pytest.raises(NothingDue):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
