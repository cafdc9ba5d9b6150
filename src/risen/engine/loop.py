"""The loop: lead, load, then look, decide, check, act and look again until told to stop.

It is crash-only: everything it knows it reads from the store at the start and from the world in each cycle.
It never waits inside a step and never acts on a picture that was not checked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from risen.core.blocked import Blocked, Waiting
from risen.core.deciding import decide
from risen.core.picture import Picture
from risen.core.plan import Now, Plan, Supplies
from risen.core.step import (
    STEP_TIMEOUT_SECONDS,
    Step,
    StepInFlight,
    WriteBirth,
    WriteBootstrap,
    claims_of,
)
from risen.engine.act import act
from risen.engine.check import check
from risen.engine.jobs import Jobs
from risen.engine.leader import may_send, wait_to_lead
from risen.engine.notice import notice
from risen.engine.observe import Eyes
from risen.engine.record import Records
from risen.engine.world import EngineWorld
from risen.interfaces.errors import InterfaceError, Later, OutcomeUnknown
from risen.interfaces.store import Lead

MOST_IN_FLIGHT = 64
LOOK_AGAIN_SECONDS = 1.0
BUSY_LOOK_SECONDS = 0.25
DEBOUNCE_SECONDS = 0.1
LONGEST_BACK_OFF_SECONDS = 10.0
LATER_SECONDS, LATER_GROWS_BY, LONGEST_LATER_SECONDS = 0.5, 0.05, 5.0
"""What is refused for now (a budget, a learner behind) is asked again soon; from the eleventh time on each pause is 50 ms
longer, so that a budget that never allows costs an API server next to nothing."""
MOST_BREATH_SECONDS = 2.0
"""A cycle is followed by as long without one, up to this: on a slow host the instances need the processor more."""
SETTLE_SECONDS = 1.0
"""What was done is not sent again before a watcher's cache may be expected to show it."""


@dataclass(slots=True)
class _Attempts:
    """How often a step failed in a row and when it may be tried again."""

    failures: int
    not_before: float


@dataclass(slots=True)
class Engine:
    """One incarnation while it leads. Made anew after every crash."""

    world: EngineWorld
    lead: Lead
    records: Records
    eyes: Eyes
    leading_since_unix: float
    running: dict[asyncio.Task[None], StepInFlight] = field(default_factory=dict)
    unknown: list[StepInFlight] = field(default_factory=list)
    attempts: dict[Step, _Attempts] = field(default_factory=dict)
    said: frozenset[tuple[str, str, str]] = frozenset()
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by whoever hears that the world changed."""
    supplies: Supplies | None = None
    busy: bool = True
    """Something is under way, or nobody has looked yet."""
    jobs: Jobs = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.world, self.records, self.ended.set)

    async def cycle_or_say(self) -> float:
        """A cycle; when the store itself cannot be read or written, say so and do nothing.

        A fault of this program is told of and the world looked at anew: a cluster is not left alone for it.
        """
        try:
            return await self.cycle()
        except InterfaceError as error:
            self.records.shut = True
            self._tell(
                {("blocked", "store", ""): Blocked("store", "store", f"{type(error).__name__}: {error}")}
            )
            return LOOK_AGAIN_SECONDS
        except Exception as fault:  # noqa: BLE001 - told of; the cluster is kept
            self.records.doubtful = True
            self.world.observer.broke("cycle", fault)
            return LONGEST_BACK_OFF_SECONDS

    async def cycle(self) -> float:
        """One look, decision and send. Returns for how many seconds nothing new is expected.

        What ends during the look counts as in flight still: picture and history are of the look's beginning.
        While the store takes no writes nobody can join either: clocks begin again once it does.
        """
        clock = self.world.clock
        await self.records.refresh()
        if (self.busy or self.records.shut) and await self.records.prove_writable():
            self.leading_since_unix = clock.unix()
        before = self.records.history
        picture = await self.eyes.look(before, self._in_flight())
        history = await notice(self.records, before, picture, clock.unix())
        if self.records.revision is None:
            return LOOK_AGAIN_SECONDS
        now = self._now()
        plan = decide(self.records.revision, picture, history, now, self._supplied())
        if any(isinstance(step, WriteBirth | WriteBootstrap) for step in plan.steps):
            self.supplies = None
        self.world.observer.cycle(picture, history, plan)
        self._say(plan)
        if may_send(self.world, self.lead):
            self.jobs.ask(plan.tasks)
        await self._send(picture, plan)
        return self._pause(plan, clock.boot())

    def _now(self) -> Now:
        clock = self.world.clock
        return Now(clock.boot(), clock.unix(), self.leading_since_unix)

    def _in_flight(self) -> tuple[StepInFlight, ...]:
        """Steps running, and those of unknown outcome until they can no longer be carried out late."""
        now = self.world.clock.boot()
        self.unknown = [item for item in self.unknown if now < item.sent_at + STEP_TIMEOUT_SECONDS]
        items = [*self.running.values(), *self.unknown]
        return tuple(sorted(items, key=lambda item: (item.sent_at, repr(item.step))))

    def _supplied(self) -> Supplies:
        """Drawn anew once something was to be born of them: no draw is used by two decisions."""
        if self.supplies is None:
            entropy = self.world.entropy
            self.supplies = Supplies(
                tuple(entropy.suffix() for _ in range(MOST_IN_FLIGHT)),
                tuple(entropy.token(16).hex() for _ in range(MOST_IN_FLIGHT)),
            )
        return self.supplies

    def _say(self, plan: Plan) -> None:
        """Tell of each refusal and wait once, when it appears."""
        present: dict[tuple[str, str, str], Blocked | Waiting] = {}
        for blocked in (*self.records.unread, *plan.blocked):
            present["blocked", blocked.name, blocked.subject] = blocked
        for waiting in plan.waiting:
            present["waiting", waiting.subject, waiting.for_what] = waiting
        self._tell(present)

    def _tell(self, present: dict[tuple[str, str, str], Blocked | Waiting]) -> None:
        for key in sorted(present.keys() - self.said):
            self.world.observer.said(present[key])
        self.said = frozenset(present)

    async def _send(self, picture: Picture, plan: Plan) -> None:
        """Check again what may be sent now, and start it; nothing once a write has lost its answer, since what was
        decided does not know of it."""
        now = self.world.clock.boot()
        taken = {claim for item in self._in_flight() for claim in claims_of(item.step)}
        self.attempts = {
            step: tried
            for step, tried in self.attempts.items()
            if step in plan.steps or tried.not_before > now
        }
        ready = tuple(
            step
            for step in plan.steps
            if not (claims_of(step) & taken)
            and ((attempt := self.attempts.get(step)) is None or attempt.not_before <= now)
        )[: MOST_IN_FLIGHT - len(self.running)]
        if not ready or not may_send(self.world, self.lead):
            return
        passed, refused = await check(self.eyes, picture, self.records.history, ready, self._now())
        for step, blocked in refused:
            self.world.observer.refused(step, blocked)
        for step in passed:
            if self.records.doubtful or not may_send(self.world, self.lead):
                return
            self.world.observer.sent(step)
            task = asyncio.get_running_loop().create_task(self._carry_out(step))
            self.running[task] = StepInFlight(step, self.world.clock.boot())

    async def _carry_out(self, step: Step) -> None:
        task = asyncio.current_task()
        error: InterfaceError | None = None
        try:
            await act(self.world, self.records, step)
        except InterfaceError as raised:
            error = raised
        except Exception as fault:  # noqa: BLE001 - told of; the cluster is kept
            self.world.observer.broke(type(step).__name__, fault)
            error = OutcomeUnknown(f"a fault of this program: {type(fault).__name__}: {fault}")
        finally:
            item = self.running.pop(task) if task is not None else None
            self.ended.set()
        if error is None:
            self.attempts[step] = _Attempts(0, self.world.clock.boot() + SETTLE_SECONDS)
        elif isinstance(error, OutcomeUnknown) and item is not None:
            self.unknown.append(StepInFlight(step, item.sent_at, unknown=True))
        else:
            self._back_off(step, error)
        self.world.observer.ended(step, error)

    def _back_off(self, step: Step, error: InterfaceError) -> None:
        failures = self.attempts[step].failures + 1 if step in self.attempts else 1
        pause = min(BUSY_LOOK_SECONDS * 2 ** min(failures - 1, 8), LONGEST_BACK_OFF_SECONDS)
        if isinstance(error, Later):
            later = min(max(LATER_SECONDS, LATER_GROWS_BY * failures), LONGEST_LATER_SECONDS)
            pause = error.after_seconds if error.after_seconds is not None else later
        self.attempts[step] = _Attempts(failures, self.world.clock.boot() + pause)

    def _pause(self, plan: Plan, now: float) -> float:
        self.busy = bool(self.running or plan.steps or plan.waiting)
        pause = BUSY_LOOK_SECONDS if self.busy else LOOK_AGAIN_SECONDS
        if plan.recheck_at is not None:
            pause = min(pause, max(0.0, plan.recheck_at - now))
        return max(pause, 0.05)

    async def rest(self, seconds: float, took: float = 0.0) -> None:
        """Until a step ends, something is heard to have changed (and 0.1 s more), or so long; at least as long as
        the cycle before `took`, up to 2 s."""
        breath = min(took, MOST_BREATH_SECONDS)
        start = asyncio.get_running_loop().create_task
        ended, changed = start(self.ended.wait()), start(self.changed.wait())
        tasks = {start(self.world.clock.sleep(max(seconds, breath))), ended, changed}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if changed.done() and not ended.done():
            await self.world.clock.sleep(max(DEBOUNCE_SECONDS, breath))
        for task in tasks:
            task.cancel()
        self.ended.clear()
        self.changed.clear()

    async def keep(self, stop: Callable[[], bool]) -> None:
        """Cycle until `stop`, or until leadership is lost; then let the steps that were sent end."""
        while not stop():
            if self.world.clock.boot() >= self.lead.valid_until:
                why = f"{self.world.holder} does not lead any more: start it again to wait for its turn"
                self.world.observer.said(Blocked("leadership", "engine", why))
                break
            began = self.world.clock.boot()
            pause = await self.cycle_or_say()
            await self.rest(pause, self.world.clock.boot() - began)
        await self.jobs.drop()
        if self.running:
            await asyncio.wait(set(self.running))


async def lead_and_load(world: EngineWorld, stop: Callable[[], bool]) -> Engine | None:
    """Wait to lead, then read the store; None when `stop` said so first. Raises what the store raises."""
    lead = await wait_to_lead(world, stop)
    if lead is None:
        return None
    records = await Records.load(world.store, world.clock)
    return Engine(world, lead, records, Eyes(world), world.clock.unix())


async def run(world: EngineWorld, stop: Callable[[], bool]) -> None:
    """Lead and keep the cluster until `stop` answers True. Returns early only where it does not lead."""
    engine = await lead_and_load(world, stop)
    if engine is not None:
        try:
            await engine.keep(stop)
        finally:
            await engine.lead.release()
