"""A fault of the program, or lost leadership: the engine says so, and a cluster is not left alone for the one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from risen.core.blocked import Blocked, Waiting
from risen.core.history import History
from risen.core.names import InstanceName
from risen.core.picture import Picture
from risen.core.plan import Plan
from risen.core.step import Step
from risen.engine.leader import wait_to_lead
from risen.engine.loop import Engine, run
from risen.engine.observe import Eyes
from risen.engine.record import Records
from risen.engine.world import EngineWorld, Observer
from risen.interfaces.endpoint import Endpoint
from risen.sim.faults import NO_FAULTS
from risen.sim.harness import Run, fresh_world
from risen.sim.scenario import Scenario
from risen.sim.trace import Trace


@dataclass
class Ear(Observer):
    """Keeps what is told."""

    faults: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def broke(self, doing: str, fault: Exception) -> None:
        self.faults.append(f"{doing}: {fault!r}")

    def said(self, item: Blocked | Waiting) -> None:
        if isinstance(item, Blocked):
            self.refusals.append(item.name)


@dataclass
class BrokenOnce:
    """An interface, one method of which has a bug the first time."""

    whole: Any
    method: str
    broken: bool = False

    def __getattr__(self, name: str) -> Any:
        if name == self.method and not self.broken:
            self.broken = True
            raise KeyError(name)
        return getattr(self.whole, name)


def ended(engine: Callable[[EngineWorld, Callable[[], bool]], Any]) -> Trace:
    scenario = Scenario(1, 1)
    return Run(scenario, fresh_world(scenario, 3), NO_FAULTS, Trace(3), Random(4), engine=engine).go()


@pytest.mark.parametrize(
    ("interface", "method", "told"), [("endpoint", "add", "AddBackend"), ("entropy", "suffix", "cycle")]
)
def test_a_fault_of_the_program_is_told_of_once_and_the_cluster_still_rises(
    interface: str, method: str, told: str
) -> None:
    ear = Ear()
    broken: dict[str, Any] = {}

    async def faulty(world: EngineWorld, stop: Callable[[], bool]) -> None:
        broken[interface] = BrokenOnce(getattr(world, interface), method)
        await run(replace(world, observer=ear, **broken), stop)

    trace = ended(faulty)
    assert ear.faults == [f"{told}: {KeyError(method)!r}"]
    assert trace.violations == ()


@dataclass
class Doubting(Observer):
    """Lets a write lose its answer after the first decision to do something; keeps what is sent of that."""

    records: Records
    decided: bool = False
    sent_in_doubt: list[Step] = field(default_factory=list)

    def cycle(self, picture: Picture, history: History, plan: Plan) -> None:
        if plan.steps and not self.decided:
            self.decided = self.records.doubtful = True

    def sent(self, step: Step) -> None:
        if self.records.doubtful:
            self.sent_in_doubt.append(step)


def test_what_was_decided_before_a_write_lost_its_answer_is_not_sent() -> None:
    """A birth may be written after all: another one decided on without it would be one too many."""
    ears: list[Doubting] = []

    async def doubting(world: EngineWorld, stop: Callable[[], bool]) -> None:
        lead = await wait_to_lead(world, stop)
        assert lead is not None
        records = await Records.load(world.store, world.clock)
        ears.append(Doubting(records))
        await Engine(replace(world, observer=ears[0]), lead, records, Eyes(world), world.clock.unix()).keep(
            stop
        )

    assert ended(doubting).violations == ()
    assert (ears[0].decided, ears[0].sent_in_doubt) == (True, [])


@dataclass
class LostLead:
    """Somebody removed the lock file."""

    valid_until: float = float("-inf")

    async def release(self) -> None:
        self.valid_until = float("-inf")


def test_an_engine_that_leads_no_more_says_so_and_ends_without_a_write() -> None:
    ear, writes = Ear(), []

    async def deposed(world: EngineWorld, stop: Callable[[], bool]) -> None:
        if writes:
            return await run(world, stop)
        records = await Records.load(world.store, world.clock)
        await Engine(replace(world, observer=ear), LostLead(), records, Eyes(world), 0.0).keep(stop)
        writes.append(await world.store.list("births/"))
        return await run(world, stop)

    trace = ended(deposed)
    assert writes == [()]
    assert ear.refusals == ["leadership"]
    assert trace.violations == ()


def test_the_simulator_counts_a_fault_of_the_engine_as_a_violation() -> None:
    async def faulty(world: EngineWorld, stop: Callable[[], bool]) -> None:
        endpoint: Endpoint = BrokenOnce(world.endpoint, "add")
        await run(replace(world, endpoint=endpoint), stop)

    (violation,) = ended(faulty).violations
    assert "AddBackend" in violation and InstanceName("add") in violation
