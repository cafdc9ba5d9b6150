"""Tasks outside the loop: one at a time of each key, results in the ledger, asked again after a crash or a failure."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from risen.codec import records
from risen.core.history import TaskResult
from risen.core.names import ReleaseId
from risen.core.spec import Gate
from risen.core.task import AskGate, RehearseSnapshot, Task
from risen.engine.jobs import Jobs
from risen.engine.record import Records
from risen.engine.world import EngineWorld, Observer
from risen.interfaces.errors import InterfaceError, Later, Unreachable
from risen.interfaces.tasks import TaskAnswer
from risen.sim.faults import NO_FAULTS
from risen.sim.harness import Run, fresh_world
from risen.sim.scenario import Scenario
from risen.sim.trace import Trace

SNAPSHOT = RehearseSnapshot("cp-a", 1)
GATE = AskGate(ReleaseId("r-1"), 2, Gate("smoke", "http://127.0.0.1/"))


@dataclass
class Ear(Observer):
    """Keeps what is told."""

    told: list[str] = field(default_factory=list)

    def asked(self, task: Task) -> None:
        self.told.append(f"asked {task.key}")

    def answered(self, task: Task, result: TaskResult) -> None:
        self.told.append(f"answered {task.key} {result.ok} {result.text}")

    def unanswered(self, task: Task, error: InterfaceError) -> None:
        self.told.append(f"unanswered {task.key} {error}")

    def broke(self, doing: str, fault: Exception) -> None:
        self.told.append(f"broke {doing} {fault!r}")


@dataclass
class Script:
    """Snapshots and gates that do what they are told, in turn, the last for ever."""

    answers: list[TaskAnswer | Exception]
    wait: Callable[[], Coroutine[Any, Any, None]]
    begun: int = 0

    async def rehearse(self) -> TaskAnswer:
        self.begun += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await self.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask(self, gate: Gate, release: ReleaseId, revision: int) -> TaskAnswer:
        return await self.rehearse()


@dataclass
class Stage:
    """What a test of jobs works with, in virtual time."""

    jobs: Jobs
    ear: Ear
    script: Script
    world: EngineWorld

    async def asking(self, seconds: float, *tasks: Task) -> None:
        """Ask every quarter of a second, as cycles do."""
        for _ in range(int(seconds * 4)):
            self.jobs.ask(tasks)
            await self.world.clock.sleep(0.25)


def on_stage(play: Callable[[Stage], Coroutine[Any, Any, None]], *answers: TaskAnswer | Exception) -> None:
    """Run a play in a simulated world with a store of its own."""
    scenario, played = Scenario(1, 1), []

    async def engine(world: EngineWorld, stop: Callable[[], bool]) -> None:
        records = await Records.load(world.store, world.clock)
        ear, script = Ear(), Script(list(answers), lambda: world.clock.sleep(1.0))
        world = replace(world, observer=ear, snapshots=script, gates=script)
        await play(Stage(Jobs(world, records, lambda: None), ear, script, world))
        played.append(True)
        await world.clock.sleep(10_000.0)

    trace = Run(scenario, fresh_world(scenario, 3), NO_FAULTS, Trace(3), Random(4), engine=engine).go()
    assert played == [True], trace.violations


def test_a_task_is_done_once_however_often_it_is_asked_and_its_result_is_in_the_ledger() -> None:
    async def play(stage: Stage) -> None:
        await stage.asking(5.0, SNAPSHOT, GATE)
        assert stage.script.begun == 2
        results = stage.jobs.records.history.results
        assert {key: (result.ok, result.text) for key, result in results.items()} == {
            SNAPSHOT.key: (True, "fine"), GATE.key: (True, "fine"),
        }  # fmt: skip
        again = await Records.load(stage.world.store, stage.world.clock)
        assert again.history.results == results

    on_stage(play, TaskAnswer(True, "fine"))


def test_a_snapshot_that_could_not_be_taken_is_an_answer_its_rule_decides_on() -> None:
    async def play(stage: Stage) -> None:
        await stage.asking(5.0, SNAPSHOT)
        (result,) = stage.jobs.records.history.results.values()
        assert (result.ok, result.text) == (False, "Unreachable: nobody answers")
        assert stage.script.begun == 1

    on_stage(play, Unreachable("nobody answers"))


def test_a_gate_that_could_not_be_asked_says_nothing_of_the_release_and_is_asked_again_after_a_while() -> (
    None
):
    async def play(stage: Stage) -> None:
        await stage.asking(12.0, GATE)
        (result,) = stage.jobs.records.history.results.values()
        assert result.ok
        assert [line.partition(" ")[0] for line in stage.ear.told] == [
            "asked", "unanswered", "asked", "unanswered", "asked", "answered",
        ]  # fmt: skip

    on_stage(play, Later("no namespace"), Later("no namespace"), TaskAnswer(True, "passed"))


def test_a_gate_that_says_nothing_is_asked_again_after_a_while_and_written_down_once() -> None:
    async def play(stage: Stage) -> None:
        await stage.asking(8.0, GATE)
        (result,) = stage.jobs.records.history.results.values()
        assert (result.ok, result.silent, result.text) == (False, True, "not pulled in 60 s")
        assert stage.script.begun == 3, "after 1 s and 2 s of rest"
        await stage.asking(8.0, GATE)
        (result,) = stage.jobs.records.history.results.values()
        assert (result.ok, result.silent, stage.script.begun) == (True, False, 4)
        told = [data for _, data in await stage.world.store.read(records.EVENTS, 0)]
        assert sum(b"TaskEnded" in data for data in told) == 2

    silent = [TaskAnswer(False, f"not pulled in {seconds} s", silent=True) for seconds in (60, 61, 60)]
    on_stage(play, *silent, TaskAnswer(True, "passed"))


def test_a_fault_of_the_program_in_a_task_is_told_and_the_task_tried_again() -> None:
    async def play(stage: Stage) -> None:
        await stage.asking(8.0, SNAPSHOT)
        assert stage.ear.told == [
            f"asked {SNAPSHOT.key}",
            f"broke task {SNAPSHOT.key} KeyError('x')",
            f"asked {SNAPSHOT.key}",
            f"answered {SNAPSHOT.key} True fine",
        ]

    on_stage(play, KeyError("x"), TaskAnswer(True, "fine"))


def test_what_is_dropped_writes_nothing_and_is_asked_for_again_by_who_leads_next() -> None:
    async def play(stage: Stage) -> None:
        stage.jobs.ask((SNAPSHOT,))
        await stage.world.clock.sleep(0.5)
        await stage.jobs.drop()
        await stage.world.clock.sleep(5.0)
        records = await Records.load(stage.world.store, stage.world.clock)
        assert (records.history.results, stage.jobs.running) == ({}, {})
        following = replace(stage, jobs=Jobs(stage.world, records, lambda: None))
        await following.asking(3.0, SNAPSHOT)
        assert list(records.history.results) == [SNAPSHOT.key]

    on_stage(play, TaskAnswer(True, "fine"))
