"""What can befall the writes of one controller, and the incarnation it befalls.

A crash is not a cancellation: from that moment every interface of the incarnation is inert, whatever its
tasks still try.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class FaultKind(StrEnum):
    """What befalls one write."""

    CRASH_BEFORE = "crash-before"
    """The controller dies; the write is never carried out."""
    CRASH_AFTER = "crash-after"
    """The write is carried out; the controller dies before it learns so."""
    CRASH_WITHIN = "crash-within"
    """The controller dies in the middle of work that it does itself, as a local provider's launch: half of it is
    done, and everything else of that kind that it had under way stays as it is. For `IN_HALVES` alone."""
    CRASH_LATE = "crash-late"
    """The controller dies, and only then is what it sent carried out: within the longest time a step may take. Not of
    launches: on a host they die with it, and in a cloud the client token makes the second of two no launch."""
    UNKNOWN_DONE = "unknown-done"
    """Carried out, but the answer is a time-out."""
    UNKNOWN_NOT_DONE = "unknown-not-done"
    """Never carried out, and the answer is a time-out."""
    UNKNOWN_LATE = "unknown-late"
    """The answer is a time-out, and only then is it carried out: within the longest time a step may take."""
    UNREACHABLE = "unreachable"
    """No connection: certainly not carried out."""
    DUPLICATE = "duplicate"
    """Carried out, the answer lost on the way, sent once more by whoever carries requests, carried out again."""
    STALE_READ = "stale-read"
    """Carried out; what is read for a while after shows the world as it was before."""
    CONFLICT = "conflict"
    """Somebody else wrote the object meanwhile: not carried out."""
    LATER = "later"
    """Too many requests: not carried out."""


EVERY_FAULT = tuple(FaultKind)
CRASHES = (FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER, FaultKind.CRASH_WITHIN, FaultKind.CRASH_LATE)
IN_HALVES = frozenset({"provider.launch", "provider.destroy"})
"""Writes that are more than one act where the provider is a part of the controller."""
FORCED = frozenset({"kubernetes.apply"})
"""Server-side apply that is forced meets no conflict."""


def may_strike(kind: FaultKind, operation: str) -> bool:
    """Whether a fault can befall a write and makes a difference to it; `operation` is without its subject."""
    interface, _, _ = operation.partition(".")
    match kind:
        case FaultKind.CRASH_WITHIN:
            return operation in IN_HALVES
        case FaultKind.CRASH_LATE:
            return interface != "store" and operation != "provider.launch"
        case FaultKind.STALE_READ:
            return interface in ("provider", "kubernetes", "endpoint")
        case FaultKind.CONFLICT:
            return interface == "kubernetes" and operation not in FORCED
        case FaultKind.LATER:
            return interface in ("provider", "kubernetes", "etcd")
        case _:
            return True


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults by the number of the write (from 1, over all incarnations of a run).

    `crash_share` and `error_share` strike every write at random (share from 0 to 1), `read_error_share`
    every read; for seeds in a soak. `calm_after` is the virtual time in seconds after which nothing
    strikes any more, so that a run can end.
    """

    at_write: Mapping[int, FaultKind] = field(default_factory=lambda: MappingProxyType({}))
    crash_share: float = 0.0
    error_share: float = 0.0
    read_error_share: float = 0.0
    calm_after: float = 600.0

    def strike(self, number: int, operation: str) -> FaultKind | None:
        """What strikes this write for certain; `operation` is without its subject."""
        return self.at_write.get(number)

    def describe(self) -> str:
        """One line, as `--fault` of the soak takes it."""
        return ",".join(f"{number}:{kind.value}" for number, kind in sorted(self.at_write.items()))


NO_FAULTS = Faults()


class Dead(BaseException):
    """Raised from every interface of an incarnation that has crashed. Not an Exception: nothing catches it."""


@dataclass(slots=True)
class Incarnation:
    """One life of the controller."""

    number: int
    dead: bool = False
    cut: bool = False
    """It died within its own work: what it had under way is not carried on by anybody."""

    def check(self) -> None:
        """Raise Dead once this incarnation has crashed."""
        if self.dead:
            raise Dead(f"incarnation {self.number} has crashed")
