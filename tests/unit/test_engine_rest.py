"""How long the engine leaves the processor to others between two cycles."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from risen.engine.loop import MOST_BREATH_SECONDS, Engine


class HandClock:
    """Sleeping moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def boot(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, end)


@pytest.fixture
def engine() -> Engine:
    """One whose clock is all that is asked."""
    return Engine(SimpleNamespace(clock=HandClock()), None, None, None, 0.0)  # type: ignore[arg-type]


async def rested(engine: Engine, seconds: float, busy: float) -> float:
    began = engine.world.clock.boot()
    await engine.rest(seconds, busy)
    return engine.world.clock.boot() - began


async def test_a_cycle_of_little_work_is_followed_by_the_pause_it_asked_for(engine: Engine) -> None:
    assert await rested(engine, 0.25, 0.02) == 0.25


async def test_a_cycle_that_took_the_processor_is_followed_by_as_long_without(engine: Engine) -> None:
    assert await rested(engine, 0.25, 1.5) == 1.5


async def test_what_ended_meanwhile_is_looked_at_only_after_that_breath_too(engine: Engine) -> None:
    engine.ended.set()
    assert await rested(engine, 10.0, 0.75) >= 0.75
    assert not engine.ended.is_set()


async def test_the_breath_has_a_bound(engine: Engine) -> None:
    assert await rested(engine, 0.25, 60.0) == MOST_BREATH_SECONDS
