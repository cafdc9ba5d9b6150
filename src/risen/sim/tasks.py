"""Tasks outside the loop as one incarnation asks for them: snapshots rehearsed, gates answered, after a while."""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.names import ReleaseId
from risen.core.spec import Gate
from risen.interfaces.errors import Later, Unreachable
from risen.interfaces.tasks import TaskAnswer
from risen.sim.line import Line
from risen.sim.workloads import Deployment, Kind

REHEARSAL_SECONDS = (0.5, 3.0)
GATE_SECONDS = (0.5, 5.0)


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
    """See `interfaces/tasks.py`. A gate fails where the world says so of its name. A Job's pod stays as an object."""

    line: Line

    async def ask(self, gate: Gate, release: ReleaseId, revision: int) -> TaskAnswer:
        """After some seconds."""
        if gate.job:
            await self.line.read("gates.ask", lambda: self._make_job(gate, release, revision))
        await self.line.pause(self.line.world.timeline.draw(*GATE_SECONDS))
        return await self.line.read("gates.ask", lambda: self._answer(gate, release))

    def _make_job(self, gate: Gate, release: ReleaseId, revision: int) -> None:
        """Once for a revision and release: asked again, it is gone on with."""
        api, name = self.line.world.kubernetes, f"{gate.name}-{revision}-{release}"
        api.need_api()
        if not any(pod.name == name for pod in api.pods.values()):
            api.create_pod(Deployment("default", gate.name, 0, kind=Kind.JOB), name)

    def _answer(self, gate: Gate, release: ReleaseId) -> TaskAnswer:
        failed = (gate.name, release) in self.line.world.failing_gates
        return TaskAnswer(not failed, f"{gate.name}: {'failed' if failed else 'passed'} (simulated)")
