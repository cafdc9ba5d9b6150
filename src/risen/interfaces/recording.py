"""Lays a recorder around whatever implements an interface, so that each call's answer is noted by its kind.

It changes no call, no answer and no error, and keeps nothing but which writes a later read must show. It writes
no file: whoever lays it around says where notes go.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from risen.interfaces.answers import Answer, answered, refused
from risen.interfaces.order import READS, WRITES, Effect, effect_of

T = TypeVar("T")
Note = Callable[[Answer, str], None]
"""Takes a kind of answer and the error's text, empty where there was none. Must not raise and must not block."""
Call = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class Recorder:
    """What one object of an interface was asked and answered."""

    interface: type
    note: Note
    effects: dict[str, Effect] = field(default_factory=dict)
    """Writes answered ok that no read has shown yet, by what they wrote to."""

    def methods(self) -> frozenset[str]:
        """The interface's operations: its coroutine methods."""
        return frozenset(name for name, it in vars(self.interface).items() if inspect.iscoroutinefunction(it))

    def operation(self, method: str) -> str:
        """`INTERFACE.METHOD`."""
        return f"{self.interface.__name__.lower()}.{method}"

    def around(self, method: str, call: Call) -> Call:
        """The same call, noted."""
        operation = self.operation(method)
        names = tuple(inspect.signature(getattr(self.interface, method)).parameters)[1:]

        async def noted(*arguments: Any, **named: Any) -> Any:
            before = tuple(self.effects.values())
            try:
                value = await call(*arguments, **named)
            except Exception as error:
                self.note(refused(operation, error), str(error))
                raise
            for answer in answered(operation, value):
                self.note(answer, "")
            if before and operation in READS:
                self._take_order(operation, before, value)
            if operation in WRITES:
                effect = effect_of(operation, {**dict(zip(names, arguments, strict=False)), **named}, value)
                self.effects[effect.subject] = effect
            return value

        return noted

    def _take_order(self, operation: str, before: tuple[Effect, ...], value: object) -> None:
        """What a read says of the writes that had been answered when it began."""
        if getattr(value, "quorum_lost", False):
            return
        for effect in before:
            answer, shown = effect.seen_in(operation, value)
            self.note(answer, "")
            if shown and self.effects.get(effect.subject) is effect:
                del self.effects[effect.subject]


class _Recorded:
    """Stands for another object: what the interface names is noted, all else is that object's own."""

    __slots__ = ("_calls", "_real")

    def __init__(self, real: object, recorder: Recorder) -> None:
        calls = {method: recorder.around(method, getattr(real, method)) for method in recorder.methods()}
        object.__setattr__(self, "_real", real)
        object.__setattr__(self, "_calls", calls)

    def __getattr__(self, name: str) -> Any:
        call = self._calls.get(name)
        return getattr(self._real, name) if call is None else call

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)


def recorded(real: T, interface: type, note: Note) -> T:
    """`real` with a recorder around what `interface` names."""
    return cast(T, _Recorded(real, Recorder(interface, note)))
