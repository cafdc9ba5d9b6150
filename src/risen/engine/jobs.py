"""Jobs: what a plan asks to be done outside the loop, one at a time of each key; results go into the ledger.

It decides nothing and keeps nothing: after a crash, or when this engine does not lead any more, the next plan
simply asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from risen.core.history import TaskResult
from risen.core.task import AskGate, RehearseSnapshot, Task
from risen.engine.record import Records
from risen.engine.world import EngineWorld
from risen.interfaces.errors import InterfaceError
from risen.interfaces.tasks import TaskAnswer

FIRST_BACK_OFF_SECONDS = 1.0
LONGEST_BACK_OFF_SECONDS = 60.0


@dataclass(slots=True)
class _Pause:
    """How often a task could not be done in a row, or said nothing, and when it may be tried again."""

    failures: int
    not_before: float


@dataclass(slots=True)
class Jobs:
    """Tasks of one incarnation. `ended` is called after each."""

    world: EngineWorld
    records: Records
    ended: Callable[[], None]
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    pauses: dict[str, _Pause] = field(default_factory=dict)

    def ask(self, tasks: tuple[Task, ...]) -> None:
        """Begin those that are not being done, have no result that says something and are not to rest."""
        now = self.world.clock.boot()
        for task in tasks:
            pause, known = self.pauses.get(task.key), self.records.history.results.get(task.key)
            if task.key in self.running or (known is not None and not known.silent):
                continue
            if pause is not None and now < pause.not_before:
                continue
            self.world.observer.asked(task)
            self.running[task.key] = asyncio.get_running_loop().create_task(self._do(task))

    async def drop(self) -> None:
        """Let go of all of them: nothing of theirs is written any more."""
        jobs = tuple(self.running.values())
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs)

    async def _do(self, task: Task) -> None:
        try:
            result = await self._result(task)
            await self.records.task_ended(task.key, result)
            if result.silent:
                self._rest(task, None)
            else:
                self.pauses.pop(task.key, None)
            self.world.observer.answered(task, result)
        except InterfaceError as error:
            self._rest(task, error)
        except Exception as fault:  # noqa: BLE001 - told of; the cluster is kept
            self.world.observer.broke(f"task {task.key}", fault)
            self._rest(task, None)
        finally:
            self.running.pop(task.key, None)
            self.ended()

    async def _result(self, task: Task) -> TaskResult:
        """A snapshot that could not be taken is an answer too: its rule says so, and when it is tried again. A gate
        that could not be asked says nothing of a release: it is asked again."""
        match task:
            case RehearseSnapshot():
                try:
                    answer = await self.world.snapshots.rehearse()
                except InterfaceError as error:
                    answer = TaskAnswer(False, f"{type(error).__name__}: {error}")
            case AskGate(release=release, revision=revision, gate=gate):
                answer = await self.world.gates.ask(gate, release, revision)
        return TaskResult(answer.ok, answer.text, self.world.clock.unix(), answer.silent)

    def _rest(self, task: Task, error: InterfaceError | None) -> None:
        before = self.pauses.get(task.key)
        failures = before.failures + 1 if before is not None else 1
        seconds = min(FIRST_BACK_OFF_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_BACK_OFF_SECONDS)
        self.pauses[task.key] = _Pause(failures, self.world.clock.boot() + seconds)
        if error is not None:
            self.world.observer.unanswered(task, error)
