"""People of a run: they apply revisions, give orders, ask for instances, and do each thing when its moment has come.

They see what the truth is and touch what people may: the store, their own workloads, and where a scenario says
so the power of an instance. They know no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from risen.codec import records
from risen.core.history import Intent, LiftIntent, ReplaceIntent, RolloutIntent, ScaleIntent
from risen.core.judge.back import RESUME
from risen.core.names import InstanceName, PoolName, ReleaseId
from risen.core.spec import ClusterSpec, PoolSpec, Revision
from risen.sim.ending import Ending
from risen.sim.images import Behaviour
from risen.sim.instances import Instance, Power
from risen.sim.scenario import FIRST, Scenario, release
from risen.sim.world import World

LOOK_SECONDS = 0.5
When = Callable[[], bool]
Act = Callable[[], None]


@dataclass(slots=True)
class People:
    """What they want in the end is `ending`; the script holds what they still mean to do, in order."""

    world: World
    scenario: Scenario
    ending: Ending
    number: int = 1
    """The last revision applied."""
    asked: int = 0
    script: list[tuple[str, When, Act]] = field(default_factory=list)
    looks: bool = False

    def apply(
        self,
        generations: Mapping[PoolName, int] = FIRST,
        behaviour: Behaviour = Behaviour.GOOD,
        workers: int | None = None,
        change: Callable[[ClusterSpec], ClusterSpec] | None = None,
    ) -> Revision:
        """The next revision, with these releases; what is wanted in the end is that it is followed. One with every
        pool's first release is an undo."""
        self.number += 1
        revision = self.scenario.revision(workers, self.number, generations)
        spec = revision.spec if change is None else change(revision.spec)
        back_to = 0 if generations else 1
        revision = replace(revision, spec=spec, applied_unix=self.world.unix(), back_to=back_to)
        for pool, generation in generations.items():
            if generation > 1:
                self.world.images[release(pool, generation).image] = behaviour
        self.world.want(revision)
        self.ending = replace(Ending.of(revision), revoked=self.ending.revoked, gone=self.ending.gone)
        return revision

    def ask(self, make: Callable[[str], Intent]) -> None:
        """Put an intent into the store."""
        self.asked += 1
        intent = make(f"asked-{self.asked}")
        self.world.store.put(records.intent_key(intent.id), records.encode(intent), None)

    def order(self, order: str) -> None:
        """Pause, resume or abort the rollout of the newest revision."""
        self.ask(lambda key: RolloutIntent(key, self.number, order, "somebody", "because"))

    def go_past(self, causes: tuple[str, ...]) -> None:
        """Resume the rollout of the newest revision past these causes of a halt."""
        self.ask(lambda key: RolloutIntent(key, self.number, RESUME, "somebody", "known", causes))

    def replace_instance(self, name: InstanceName) -> None:
        """Ask for another in its place; in the end it is gone."""
        self.ending.gone.add(name)
        self.ask(lambda key: ReplaceIntent(key, name, "somebody", "because"))

    def scale(self, pool: PoolName, replicas: int) -> None:
        """Say how many are wanted."""
        self.ending.replicas[pool] = replicas
        self.ask(lambda key: ScaleIntent(key, pool, replicas, "autoscaler"))

    def lift(self, release_id: ReleaseId) -> None:
        """Take a revoked release nevertheless."""
        self.ending.revoked.discard(release_id)
        self.ask(lambda key: LiftIntent(key, release_id, "somebody", "it was not its fault"))

    # --- moments ------------------------------------------------------------------------------------------
    def later(self, what: str, when: When, act: Act) -> None:
        """Do something once its moment has come and all before it in the script is done."""
        self.script.append((what, when, act))
        self.ending.left_to_do = self._left()
        if not self.looks:
            self.looks = True
            self.world.timeline.after(LOOK_SECONDS, self.look)

    def look(self) -> None:
        """Do what is due."""
        while self.script and self.script[0][1]():
            _, _, act = self.script.pop(0)
            act()
        self.ending.left_to_do = self._left()
        if self.script:
            self.world.timeline.after(LOOK_SECONDS, self.look)
        else:
            self.looks = False

    def _left(self) -> str:
        return f"left to do: {self.script[0][0]}" if self.script else ""

    def in_seconds(self, seconds: float) -> When:
        """So long from now on."""
        at = self.world.timeline.now + seconds
        return lambda: self.world.timeline.now >= at

    def seconds_after(self, when: When, seconds: float) -> When:
        """So long after another moment."""
        since: list[float] = []

        def passed() -> bool:
            if not since and when():
                since.append(self.world.timeline.now)
            return bool(since) and self.world.timeline.now >= since[0] + seconds

        return passed

    def of_release(self, pool: PoolName, generation: int) -> list[Instance]:
        """Instances of a release that run, by name."""
        image = release(pool, generation).image
        found = [item for item in self.world.instances.all.values() if item.request.image == image]
        return sorted((item for item in found if item.power is Power.RUNNING), key=lambda item: item.name)

    def runs(self, pool: PoolName, generation: int = 2, count: int = 1) -> When:
        """So many instances of a release run."""
        return lambda: len(self.of_release(pool, generation)) >= count

    def serves(self, pool: PoolName, generation: int = 2, count: int = 1) -> When:
        """So many instances of a release have a Node that is Ready."""

        def ready() -> bool:
            nodes = self.world.kubernetes.nodes
            names = [item.name for item in self.of_release(pool, generation)]
            return sum(name in nodes and nodes[name].ready is True for name in names) >= count

        return ready

    def revoked(self, release_id: ReleaseId) -> When:
        """A release is revoked."""
        return lambda: release_id in self.world.history().revoked


def with_pool(spec: ClusterSpec, pool: PoolName, change: Callable[[PoolSpec], PoolSpec]) -> ClusterSpec:
    """The spec with one pool changed."""
    return replace(spec, pools=tuple(change(one) if one.name == pool else one for one in spec.pools))
