"""What a run did: every write and its answer in order, the final state, what was violated; and one hash of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from risen.interfaces.answers import Answer


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One write of a controller: number, virtual seconds, incarnation, operation, what was answered."""

    number: int
    at: float
    incarnation: int
    operation: str
    answer: str

    def __str__(self) -> str:
        return f"{self.number:4d} {self.at:10.4f}s #{self.incarnation} {self.operation} -> {self.answer}"


@dataclass(slots=True)
class Trace:
    """One run of the simulator."""

    seed: int
    lines: list[TraceLine] = field(default_factory=list)
    answers: Counter[Answer] = field(default_factory=Counter)
    """What the simulator answered, injected errors too: reality may answer nothing else."""
    crashes: int = 0
    writes: int = 0
    asked: int = 0
    """How often a person had to ask for a kill, because a storm held the engine back."""
    seconds: float = 0.0
    """Virtual seconds from the start to the end."""
    settled: bool = False
    state: tuple[str, ...] = ()
    """The final state without names: equal for equal ends."""
    violations: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)
    """Refusals and waits the engine told of, with their times."""

    def note(self, answer: Answer, error: str) -> None:
        """Count a kind of answer."""
        self.answers[answer] += 1

    @property
    def hash(self) -> str:
        """Over everything that happened; equal for the same seed, faults and code in any two runs."""
        text = "\n".join([*map(str, self.lines), *self.said, *self.state, *self.violations])
        return hashlib.sha256(text.encode()).hexdigest()

    def tail(self, count: int = 40) -> str:
        """The last writes, for a person."""
        return "\n".join(map(str, self.lines[-count:]))
