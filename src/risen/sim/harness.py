"""`simulate`: the real engine on a simulated world, crashed and restarted as the faults say, judged throughout.

It starts incarnations and watches for the end; it never touches what the engine decides.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from random import Random

from risen.codec import records
from risen.core.blocked import Blocked, Waiting
from risen.core.history import History, KillIntent
from risen.core.picture import Picture
from risen.core.plan import Plan
from risen.core.step import Birth, Step
from risen.engine.loop import run
from risen.engine.world import EngineWorld, Observer
from risen.interfaces.endpoint import Endpoint
from risen.interfaces.errors import InterfaceError
from risen.interfaces.etcd import Etcd
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.provider import Provider
from risen.interfaces.recording import recorded
from risen.interfaces.store import Leadership, Store
from risen.sim.befalling import befall
from risen.sim.checker import Checker, untrue
from risen.sim.ending import Ending, end_state, lacking
from risen.sim.faces import (
    SimClock,
    SimEndpoint,
    SimEntropy,
    SimEtcd,
    SimKubernetes,
    SimLeadership,
    SimPorts,
    SimProvider,
    SimStore,
)
from risen.sim.faults import NO_FAULTS, Dead, Faults, Incarnation
from risen.sim.images import Behaviour
from risen.sim.instances import Power
from risen.sim.line import Line
from risen.sim.people import People
from risen.sim.scenario import NETWORK_ADDON, Happening, Scenario, addon_deployments, manifest
from risen.sim.tasks import SimGates, SimSnapshots
from risen.sim.trace import Trace
from risen.sim.truths import Truth
from risen.sim.virtual_loop import NothingDue, VirtualLoop
from risen.sim.world import World

HELD_SECONDS = 5.0
"""The end must hold for so long before a run counts as settled."""
LOOK_SECONDS = 1.0
MOST_STARTS = 200


Engine = Callable[[EngineWorld, Callable[[], bool]], Coroutine[None, None, None]]


PERSON_SECONDS = 30.0
"""After so long of a storm's refusal the person in front of it does what it says."""


@dataclass(slots=True)
class Listener(Observer):
    """Writes down what the engine says, holds each step it sends against the truth, and plays the person."""

    world: World
    trace: Trace
    storm_since: float | None = None

    def cycle(self, picture: Picture, history: History, plan: Plan) -> None:
        """When a storm holds the engine back for long, ask it to kill one of the dead, as its refusal says."""
        now = self.world.timeline.now
        if not any(blocked.name == "storm" for blocked in plan.blocked):
            self.storm_since = None
        elif self.storm_since is None:
            self.storm_since = now
        elif now - self.storm_since >= PERSON_SECONDS:
            self.storm_since = now
            self.trace.asked += 1
            ask_kill_of_a_dead_one(self.world, history, self.trace.asked)

    def sent(self, step: Step) -> None:
        """Judge a step by the invariants of the core, on the truth instead of on what was seen."""
        for violation in untrue(self.world, step):
            self.world.violation(
                violation.invariant, f"{step!r} sent against the truth: {violation.blocked.why}"
            )

    def broke(self, doing: str, fault: Exception) -> None:
        """The engine goes on after a fault of its own; here it must have none."""
        self.world.violation(Truth.NO_FAULT, f"a fault of the engine in {doing}: {fault!r}")

    def said(self, item: Blocked | Waiting) -> None:
        """A refusal or a wait that is new."""
        self.trace.said.append(f"{self.world.timeline.now:.3f}s {item!r}")


@dataclass(slots=True)
class Run:
    """One run over one world, which it uses up."""

    scenario: Scenario
    world: World
    faults: Faults
    trace: Trace
    entropy: Random
    loop: VirtualLoop = field(init=False)
    checker: Checker = field(init=False)
    settled_since: float | None = None
    starts: int = 0
    lacks: str = ""
    began: float = 0.0
    engine: Engine = run
    current: Incarnation | None = None
    people: People = field(init=False)

    def __post_init__(self) -> None:
        self.loop = VirtualLoop(self.world.timeline)
        self.loop.set_exception_handler(self._uncaught)
        self.checker = Checker(self.world, len(self.world.etcd.foundings))
        self.began = self.world.timeline.now
        self.people = People(self.world, self.scenario, Ending.of(self.scenario.revision()))

    def go(self) -> Trace:
        """Run to the end, settled or given up."""
        world, trace = self.world, self.trace
        world.timeline.after_event = self.checker.after_event
        self.loop.call_soon(self._start)
        self.loop.call_later(LOOK_SECONDS, self._look)
        try:
            self.loop.run_forever()
        except NothingDue as error:
            world.violation(Truth.ARRIVES, str(error))
        self._end()
        world.timeline.after_event = None
        trace.seconds = world.timeline.now - self.began
        trace.settled = self.settled_since is not None
        if not trace.settled:
            world.violation(Truth.ARRIVES, f"not settled after {trace.seconds:.0f}s: {self.lacks}")
        trace.state = end_state(world)
        trace.violations = tuple(world.violations)
        return trace

    def _start(self) -> None:
        """A new incarnation: new objects, nothing kept."""
        self.starts += 1
        if self.starts > MOST_STARTS:
            self.world.violation(Truth.ARRIVES, f"the controller was started {MOST_STARTS} times")
            self.loop.stop()
            return
        self.current = Incarnation(self.starts)
        line = Line(
            self.world, self.loop, self.current, self.faults, self.trace, self.checker, self._died
        )  # fmt: skip
        self.world.controller_alive = True
        task = self.loop.create_task(self.engine(self._engine_world(line), lambda: False))
        task.add_done_callback(self._ended)

    def _engine_world(self, line: Line) -> EngineWorld:
        note = self.trace.note
        return EngineWorld(
            provider=recorded(SimProvider(line), Provider, note),
            endpoint=recorded(SimEndpoint(line), Endpoint, note), etcd=recorded(SimEtcd(line), Etcd, note),
            kubernetes=recorded(SimKubernetes(line), Kubernetes, note),
            ports=SimPorts(line), store=recorded(SimStore(line), Store, note),
            leadership=recorded(SimLeadership(line), Leadership, note),
            snapshots=SimSnapshots(line), gates=SimGates(line),
            clock=SimClock(line), entropy=SimEntropy(self.entropy), user_data=user_data, manifest=manifest,
            observer=Listener(self.world, self.trace), holder=f"sim {self.starts}",
        )  # fmt: skip

    def _died(self) -> None:
        """The incarnation crashed: its lock goes with it, and another is started soon."""
        self.world.controller_alive = False
        self.world.store.leader = None
        self.loop.call_later(self.world.timeline.draw(0.05, 1.0), self._start)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The engine returned or raised. An operating error makes the program exit: it is started again."""
        if task.cancelled() or self.current is None:
            return
        error = task.exception()
        if isinstance(error, Dead):
            return
        if isinstance(error, InterfaceError):
            self.trace.said.append(f"{self.world.timeline.now:.3f}s exit {error!r}")
        else:
            self.world.violation(Truth.NO_FAULT, f"the engine ended: {error!r}")
        if not self.current.dead:
            self.current.dead = True
            self._died()

    def _uncaught(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if not isinstance(error, Dead):
            self.world.violation(Truth.NO_FAULT, f"uncaught: {context.get('message')}: {error!r}")

    def _look(self) -> None:
        """Whether the end is reached and has held, or there is no hope."""
        now = self.world.timeline.now
        self.lacks = lacking(self.world, self.people.ending)
        if self.lacks:
            self.settled_since = None
        elif self.settled_since is None:
            self.settled_since = now
        held = self.settled_since is not None and now - self.settled_since >= HELD_SECONDS
        if held or now - self.began > self.scenario.give_up_seconds:
            self.loop.stop()
        else:
            self.loop.call_later(LOOK_SECONDS, self._look)

    def _end(self) -> None:
        """Make everything inert, then clear the tasks away: nothing of it reaches the world."""
        if self.current is not None:
            self.current.dead = True
        self.world.controller_alive = False
        self.world.store.leader = None
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks))
        self.loop.close()


def user_data(birth: Birth) -> bytes:
    """The same bytes for the same birth."""
    return f"#cloud-config\n# {birth.instance} {hashlib.sha256(birth.nonce.encode()).hexdigest()}\n".encode()


def brought_up(scenario: Scenario, seed: int) -> World:
    """A world whose cluster stands: what `simulate` continues from. Raises AssertionError if it did not rise."""
    base = replace(scenario, happening=Happening.NOTHING, behaviour=Behaviour.GOOD)
    world = fresh_world(base, seed)
    trace = Run(base, world, NO_FAULTS, Trace(seed), Random(seed + 1)).go()
    if trace.violations:
        raise AssertionError(f"{base.name} seed {seed} did not rise: {trace.violations}\n{trace.tail()}")
    return world


def fresh_world(scenario: Scenario, seed: int) -> World:
    """An empty world that wants the scenario's cluster."""
    world = World.fresh(seed, scenario.revision())
    world.network_addons = (NETWORK_ADDON,)
    world.addon_deployments = addon_deployments
    world.kubernetes.deployments.extend(scenario.deployments())
    if scenario.foreign:
        world.instances.add_foreign("somebody-elses")
    return world


def simulate(
    scenario: Scenario, seed: int, faults: Faults = NO_FAULTS, standing: World | None = None
) -> Trace:
    """Run a scenario. `standing` is what `brought_up` gave for the same scenario and seed, to save its time."""
    if scenario.happening is Happening.NOTHING:
        world = fresh_world(scenario, seed)
    else:
        world = (standing or brought_up(scenario, seed)).copied()
    happened = Run(scenario, world, faults, Trace(seed), Random(seed + 2))
    befall(happened.people, scenario.happening)
    return happened.go()


def ask_kill_of_a_dead_one(world: World, history: History, number: int) -> None:
    """Write the intent of `risen kill` for the first instance that is off or gone and has no ledger entry."""
    taken = {entry.subject for entry in history.open_entries} | {kill.instance for kill in history.kills}
    for name, life in history.lives.items():
        item = world.instances.all.get(name)
        dead = life.gone_at_unix is None and (item is None or item.power is Power.OFF)
        closed = any(entry.subject == name for entry in history.entries.values())
        if name not in taken and (dead or (item is None and not closed)):
            intent = KillIntent(f"person-{number}", name, "the storm's refusal says so")
            world.store.put(records.intent_key(intent.id), records.encode(intent), None)
            return
