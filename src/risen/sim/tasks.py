"""Tasks outside the loop as one incarnation asks for them: snapshots rehearsed, gates answered, after a while."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from risen.core.names import ReleaseId
from risen.core.spec import Gate
from risen.interfaces.errors import InterfaceError, Later, Unreachable
from risen.interfaces.tasks import TaskAnswer
from risen.sim.line import Line
from risen.sim.workloads import Deployment, Kind, PodTruth

REHEARSAL_SECONDS = (0.5, 3.0)
GATE_SECONDS = (0.5, 5.0)
LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SimSnapshots:
    """See `interfaces/tasks.py`."""

    line: Line

    async def rehearse(self) -> TaskAnswer:
        """Of what etcd holds when it is taken."""
        taken = await self.line.read("snapshots.take", self._take)
        await self.line.pause(self.line.world.timeline.draw(*REHEARSAL_SECONDS))
        return await self.line.read("snapshots.compare", lambda: self._compare(taken))

    def _take(self) -> int:
        etcd = self.line.world.etcd
        if not any(etcd.up(member) for member in etcd.members.values()):
            raise Unreachable("no etcd member answers")
        if not etcd.works():
            raise Later("etcd has no quorum")
        return etcd.revision

    def _compare(self, taken: int) -> TaskAnswer:
        self._take()
        world = self.line.world
        held = world.etcd.revision
        if held < taken:
            return TaskAnswer(False, f"etcd is at revision {held}, behind {taken}")
        return TaskAnswer(True, f"revision {taken} restored and equal")


@dataclass(frozen=True, slots=True)
class SimGates:
    """See `interfaces/tasks.py`. A gate fails where the world says so of its name. A Job's pod stays as an object, but for
    one that did not start in its time."""

    line: Line

    async def ask(self, gate: Gate, release: ReleaseId, revision: int) -> TaskAnswer:
        """After some seconds; a Job once its pod has started."""
        if gate.job:
            name = f"{gate.name}-{revision}-{release}"
            await self.line.read("gates.ask", lambda: self._make_job(gate, name))
            if not await self._starts(name, gate.timeout_seconds):
                await self.line.read("gates.ask", lambda: self._end_job(name))
                return TaskAnswer(False, f"{gate.name}: no container of it started (simulated)", silent=True)
        await self.line.pause(self.line.world.timeline.draw(*GATE_SECONDS))
        return await self.line.read("gates.ask", lambda: self._answer(gate, release))

    def _pod(self, name: str) -> PodTruth | None:
        return next((pod for pod in self.line.world.kubernetes.pods.values() if pod.name == name), None)

    def _make_job(self, gate: Gate, name: str) -> None:
        """Once for a revision and release, as long as its pod is there: asked again, it is gone on with."""
        api = self.line.world.kubernetes
        api.need_api()
        if self._pod(name) is None:
            api.create_pod(Deployment("default", gate.name, 0, kind=Kind.JOB), name)

    async def _starts(self, name: str, seconds: float) -> bool:
        """Whether its pod starts in its time, as far as can be seen. One that was moved before has no other."""
        line = self.line
        until = line.world.timeline.now + seconds
        while line.world.timeline.now < until:
            with suppress(InterfaceError):  # looked at again
                if await line.read("gates.ask", lambda: self._started(name)):
                    return True
            await line.pause(LOOK_SECONDS)
        return False

    def _started(self, name: str) -> bool:
        self.line.world.kubernetes.need_api()
        pod = self._pod(name)
        return pod is not None and (pod.ready or pod.finished)

    def _end_job(self, name: str) -> None:
        """Its deadline is over: its pod is ended."""
        api, pod = self.line.world.kubernetes, self._pod(name)
        api.need_api()
        if pod is not None:
            api.end_pod(pod)

    def _answer(self, gate: Gate, release: ReleaseId) -> TaskAnswer:
        failed = (gate.name, release) in self.line.world.failing_gates
        return TaskAnswer(not failed, f"{gate.name}: {'failed' if failed else 'passed'} (simulated)")
