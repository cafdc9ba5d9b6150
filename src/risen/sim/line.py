"""The line between one incarnation of the controller and the world: delay, faults, numbering, inertness.

Every request goes through `read` or `write`. A write that has left its sender is carried out even when the
sender dies on the way, as in a real network; only writes to the store, which is a local directory, are not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, cast

from risen.interfaces.errors import Conflict, Denied, InterfaceError, Later, OutcomeUnknown, Unreachable
from risen.sim.faults import CRASHES, EVERY_FAULT, Dead, FaultKind, Faults, Incarnation, may_strike
from risen.sim.trace import Trace, TraceLine
from risen.sim.world import World

T = TypeVar("T")
ERRORS = tuple(kind for kind in EVERY_FAULT if kind not in CRASHES)
TIMEOUT_SECONDS = 10.0
"""A request without an answer ends in OutcomeUnknown after so long."""
IMPATIENT_SECONDS = 4.0
"""A sender that gives up early, whose request is carried out after all, still within TIMEOUT_SECONDS."""
QUICK = (0.001, 0.02)
STALE_SECONDS = 2.0
"""For how long reads after a write may show what was before it."""


class Judge(Protocol):
    """Told of each write as it is carried out: the checker."""

    def before(self, operation: str, subject: str) -> None: ...
    def after(self, operation: str, subject: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Order(Generic[T]):
    """A write on its way."""

    number: int
    operation: str
    subject: str
    effect: Callable[[], T]
    half: Callable[[], None] | None
    future: asyncio.Future[T]
    fault: FaultKind | None

    @property
    def what(self) -> str:
        """As the trace shows it."""
        return f"{self.operation} {self.subject}"


@dataclass(slots=True)
class Line:
    """Requests of one incarnation. `trace.writes` numbers them over all incarnations."""

    world: World
    loop: asyncio.AbstractEventLoop
    incarnation: Incarnation
    faults: Faults
    trace: Trace
    judge: Judge
    on_death: Callable[[], None]
    stale: dict[str, tuple[object, float]] = field(default_factory=dict)
    """What reads answer though the world has gone on, and until when."""

    async def pause(self, seconds: float) -> None:
        """Sleep in virtual time. Raises Dead when the incarnation has died meanwhile."""
        self.incarnation.check()
        future: asyncio.Future[None] = self.loop.create_future()
        timer = self.loop.call_later(seconds, _wake, future)
        try:
            await future
        finally:
            timer.cancel()
        self.incarnation.check()

    async def read(self, operation: str, answer: Callable[[], T]) -> T:
        """A request that changes nothing. The store's are answered at once."""
        if operation.startswith("store."):
            self.incarnation.check()
        else:
            await self.pause(self.world.timeline.draw(*QUICK))
        line = self.world.timeline
        if line.now < self.faults.calm_after and line.chance(self.faults.read_error_share):
            raise Unreachable(f"{operation}: connection refused (injected)")
        self._need_rights(operation)
        value, until = self.stale.get(operation, (None, 0.0))
        return cast(T, value) if line.now < until else answer()

    def _need_rights(self, operation: str) -> None:
        if operation.partition(".")[0] in self.world.denied:
            raise Denied(f"{operation}: our certificate is not accepted there")

    async def write(
        self,
        operation: str,
        subject: str,
        effect: Callable[[], T],
        seconds: tuple[float, float] = QUICK,
        half: Callable[[], None] | None = None,
    ) -> T:
        """A request that changes something, with what befalls it. `seconds` bounds how long it takes.

        `half` is what it has done when half of that time is over, for work of the controller's own process.
        """
        self.incarnation.check()
        self.trace.writes += 1
        number = self.trace.writes
        fault = self._fault(number, operation)
        delay = self.world.timeline.draw(*seconds)
        await self._fail_instead(fault, number, f"{operation} {subject}", delay)
        future: asyncio.Future[T] = self.loop.create_future()
        order = _Order(number, operation, subject, effect, half, future, fault)
        if operation.startswith("store."):
            self._carry_out_unheard(order)
            self._carry_out(order)
            value = await future
            await self.pause(delay)
            return value
        if fault is FaultKind.UNKNOWN_LATE:
            delay = self.world.timeline.draw(IMPATIENT_SECONDS, TIMEOUT_SECONDS)
            self.loop.call_later(IMPATIENT_SECONDS, _time_out, future, f"{operation} {subject}")
        if fault is FaultKind.CRASH_LATE:
            self.loop.call_later(
                self.world.timeline.draw(IMPATIENT_SECONDS, TIMEOUT_SECONDS), self._carry_out, order
            )
            future.cancel()
            self.die()
            raise Dead("crashed with a write on its way")
        if half is not None:
            self.loop.call_later(delay / 2, self._carry_out_half, order, half)
        self.loop.call_later(delay / 2, self._carry_out_unheard, order)
        self.loop.call_later(delay, self._carry_out, order)
        value = await future
        self.incarnation.check()
        return value

    async def _fail_instead(self, fault: FaultKind | None, number: int, what: str, delay: float) -> None:
        """Raise, for a fault that keeps a write from being carried out."""
        match fault:
            case FaultKind.CRASH_BEFORE:
                self._note(number, what, "crash before")
                self.die()
                raise Dead("crashed before a write")
            case FaultKind.UNREACHABLE:
                await self.pause(delay)
                self._note(number, what, "Unreachable (injected)")
                raise Unreachable(f"{what}: connection refused (injected)")
            case FaultKind.UNKNOWN_NOT_DONE:
                await self.pause(TIMEOUT_SECONDS)
                self._note(number, what, "OutcomeUnknown (injected, not done)")
                raise OutcomeUnknown(f"{what}: timed out (injected)")
            case FaultKind.CONFLICT:
                await self.pause(delay)
                self._note(number, what, "Conflict (injected)")
                raise Conflict(f"{what}: the object has been modified (injected)")
            case FaultKind.LATER:
                await self.pause(delay)
                self._note(number, what, "Later (injected)")
                raise Later(f"{what}: too many requests (injected)")
            case _:
                return

    def die(self) -> None:
        """This incarnation has crashed."""
        if not self.incarnation.dead:
            self.incarnation.dead = True
            self.trace.crashes += 1
            self.on_death()

    def _fault(self, number: int, operation: str) -> FaultKind | None:
        line, faults = self.world.timeline, self.faults
        certain = faults.strike(number, operation)
        if certain is not None:
            return certain
        if line.now >= faults.calm_after:
            return None
        if line.chance(faults.crash_share):
            return line.random.choice([kind for kind in CRASHES if may_strike(kind, operation)])
        if line.chance(faults.error_share):
            return line.random.choice([kind for kind in ERRORS if may_strike(kind, operation)])
        return None

    def _carry_out_half(self, order: _Order[T], half: Callable[[], None]) -> None:
        if self.incarnation.cut:
            return
        self.judge.before(order.operation, order.subject)
        with suppress(InterfaceError):  # then nothing is done, and the whole is answered with the same
            half()
        self.judge.after(order.operation, order.subject)
        if order.fault is FaultKind.CRASH_WITHIN:
            self._note(order.number, order.what, f"half done ({order.fault.value})")
            self.incarnation.cut = True
            self.world.instances.let_go()
            self.die()

    def _carry_out(self, order: _Order[T]) -> None:
        if self.incarnation.cut and order.half is not None:
            if not order.future.done():
                order.future.set_exception(Dead("crashed within a write"))
            return
        if order.fault is FaultKind.STALE_READ:
            self._keep_as_it_is(order.operation)
        self.judge.before(order.operation, order.subject)
        error: InterfaceError | None = None
        try:
            self._need_rights(order.operation)
            value = order.effect()
        except InterfaceError as raised:
            error = raised
        self.judge.after(order.operation, order.subject)
        answer = "ok" if error is None else f"{type(error).__name__}: {error}"
        if order.fault is not None:
            answer += f" ({order.fault.value})"
        self._note(order.number, order.what, answer)
        future = order.future
        if order.fault is FaultKind.CRASH_AFTER:
            self.die()
        if self.incarnation.dead:
            if not future.done():
                future.set_exception(Dead("crashed before the answer came"))
        elif future.done():
            return
        elif order.fault in (FaultKind.UNKNOWN_DONE, FaultKind.UNKNOWN_LATE):
            self.loop.call_later(TIMEOUT_SECONDS, _time_out, future, order.what)
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)

    def _carry_out_unheard(self, order: _Order[T]) -> None:
        """The first of two times, the answer of which nobody hears."""
        if order.fault is FaultKind.DUPLICATE and not (self.incarnation.cut and order.half is not None):
            self.judge.before(order.operation, order.subject)
            with suppress(InterfaceError):
                order.effect()
            self.judge.after(order.operation, order.subject)

    def _keep_as_it_is(self, operation: str) -> None:
        """Let what is read in the next seconds be what is there now, before a write."""
        world, until = self.world, self.world.timeline.now + STALE_SECONDS
        match operation.partition(".")[0]:
            case "provider":
                self.stale["provider.list"] = world.instances.list(), until
            case "endpoint":
                self.stale["endpoint.list"] = world.endpoint.list(), until
            case _:
                world.kubernetes.falls_behind(STALE_SECONDS)

    def _note(self, number: int, operation: str, answer: str) -> None:
        now = self.world.timeline.now
        self.trace.lines.append(TraceLine(number, now, self.incarnation.number, operation, answer))


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _time_out(future: asyncio.Future[T], what: str) -> None:
    if not future.done():
        future.set_exception(OutcomeUnknown(f"{what}: timed out (injected)"))
