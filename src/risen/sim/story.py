"""The demonstration: one simulated cluster, what befalls it chapter by chapter, and what the engine did, in words.

Everything told here was done by the real engine; only provider, etcd and Kubernetes are simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from risen.sim.befalling import befall
from risen.sim.faults import NO_FAULTS, FaultKind, Faults
from risen.sim.harness import HELD_SECONDS, Run, fresh_world
from risen.sim.rolling import victim
from risen.sim.scenario import Happening, Scenario
from risen.sim.trace import Trace, TraceLine
from risen.sim.world import World

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "provider.launch": "rise     {}",
        "provider.power_on": "power on {}",
        "provider.destroy": "fence    {}: ended, with its disk",
        "etcd.add_learner": "etcd     learner at {}",
        "etcd.promote": "etcd     {} votes",
        "etcd.remove": "etcd     {} is no member any more",
        "etcd.move_leader": "etcd     {} leads",
        "etcd.remove_endpoint_lease": "etcd     {} is no endpoint of the API's Service any more",
        "endpoint.add": "endpoint {} takes requests",
        "endpoint.remove": "endpoint {} takes none any more",
        "kubernetes.apply": "add-on   {}",
        "kubernetes.patch_node": "node     {} may take pods",
        "kubernetes.free_pod": "pod      {} freed, to run elsewhere",
        "kubernetes.evict": "pod      {} evicted",
        "kubernetes.delete_node": "node     {} deleted",
        "kubernetes.release_lease": "lease    {} freed at once",
    }
)
TITLES: Mapping[Happening, str] = MappingProxyType(
    {
        Happening.NOTHING: "`risen up`: an empty world",
        Happening.KILL_WORKER: "a worker's power goes",
        Happening.KILL_LEADER: "the etcd leader's instance dies",
        Happening.POWER_CUT: "power cut: every instance and the controller stop at once",
        Happening.SCALE_UP: "one more worker is wanted",
    }
)


@dataclass(frozen=True, slots=True)
class Chapter:
    """What befalls the cluster, and which writes of the controller crash it."""

    happening: Happening
    crashes: tuple[int, ...] = ()


CHAPTERS = (
    Chapter(Happening.NOTHING),
    Chapter(Happening.KILL_WORKER),
    Chapter(Happening.KILL_LEADER, crashes=(2, 5, 9)),
    Chapter(Happening.POWER_CUT),
)


def tell(scenario: Scenario, seed: int) -> Iterator[str]:
    """The story, line by line. Raises RuntimeError when the engine did what it may never do."""
    world = fresh_world(scenario, seed)
    for number, chapter in enumerate(CHAPTERS):
        if chapter.happening is Happening.KILL_WORKER and not scenario.workers:
            continue
        yield from _chapter(world, scenario, seed + number, chapter)
        yield ""


def _chapter(world: World, scenario: Scenario, seed: int, chapter: Chapter) -> Iterator[str]:
    faults = Faults(dict.fromkeys(chapter.crashes, FaultKind.CRASH_AFTER)) if chapter.crashes else NO_FAULTS
    run = Run(scenario, world, faults, Trace(seed), Random(seed))
    began = world.timeline.now
    yield f"━━ {TITLES[chapter.happening]}{_who(world, chapter.happening)}"
    befall(run.people, chapter.happening)
    trace = run.go()
    if trace.violations:
        raise RuntimeError("\n".join((*trace.violations, trace.tail())))
    for line in trace.lines:
        if (words := _in_words(world, line)) is not None:
            yield f"{line.at - began:7.2f}s  {words}"
    yield f"{trace.seconds - HELD_SECONDS:7.2f}s  {standing(world)}"


def _who(world: World, happening: Happening) -> str:
    if happening in (Happening.KILL_WORKER, Happening.KILL_LEADER):
        return f": {victim(world, happening)}"
    return ""


def _in_words(world: World, line: TraceLine) -> str | None:
    operation, _, subject = line.operation.partition(" ")
    crashed = "crash" in line.answer
    if operation in WORDS and (line.answer.startswith("ok") or crashed):
        words = WORDS[operation].format(_named(world, subject))
        return f"{words}   ✗ the controller is killed here; another starts" if crashed else words
    return "✗ the controller is killed while it writes to the store; another starts" if crashed else None


def _named(world: World, subject: str) -> str:
    """An instance's name instead of a provider id, a member id or a peer URL."""
    if subject in world.etcd.names:
        return world.etcd.names[subject]
    if subject.startswith("sim://"):
        return subject.split("/")[2]
    for item in world.instances.all.values():
        if item.peer_url == subject:
            return item.name
    return subject.partition(" ")[0]


def standing(world: World) -> str:
    """One line on what stands."""
    nodes = [node for node in world.kubernetes.nodes.values() if node.ready]
    pods = [pod for pod in world.kubernetes.pods.values() if pod.ready]
    etcd = world.etcd
    return (
        f"stands   {len(nodes)}/{len(world.kubernetes.nodes)} nodes Ready · etcd {len(etcd.voters)}/"
        f"{len(etcd.members)} voting, leader {etcd.name_of(etcd.leader)}, revision {etcd.revision} · "
        f"{len(pods)} pods serve · foundings {len(etcd.foundings)}"
    )
