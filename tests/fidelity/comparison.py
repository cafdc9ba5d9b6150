"""Holds what reality answered against what the simulator can answer. Pure; the report is for a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from risen.adapters.answer_file import NotedAnswer
from risen.interfaces.answers import Answer


@dataclass(frozen=True)
class Comparison:
    """`real` as noted in a run, `kept` as noted in earlier ones."""

    real: tuple[NotedAnswer, ...]
    answerable: frozenset[Answer]
    kept: frozenset[Answer]

    @property
    def met(self) -> frozenset[Answer]:
        """Kinds of this run."""
        return frozenset(noted.answer for noted in self.real)

    @property
    def unseen(self) -> tuple[NotedAnswer, ...]:
        """What the simulator cannot answer, by the first note of each kind."""
        first = {noted.answer: noted for noted in reversed(self.real)}
        return tuple(first[answer] for answer in sorted(self.met - self.answerable))

    @property
    def fresh(self) -> frozenset[Answer]:
        """What reality had not answered before."""
        return self.met - self.kept

    def report(self) -> list[str]:
        """A summary line, and a line for each kind that is unseen."""
        summary = (
            f"fidelity: reality gave {len(self.met)} kinds of answer ({len(self.fresh)} for the first time), "
            f"{len(self.unseen)} of them unseen in the simulator"
        )
        return [summary, *map(_unseen, self.unseen)]


def _unseen(noted: NotedAnswer) -> str:
    status = f"HTTP {noted.status}, " if noted.status else ""
    said = f"  ({status}{noted.text})" if noted.text else ""
    return f"  unseen: {noted.answer}{said}"


def kept_answers(lines: Iterable[str]) -> frozenset[Answer]:
    """From lines as `Answer` prints them; `#` begins a comment. Raises ValueError."""
    return frozenset(Answer.parse(line.rstrip("\n")) for line in lines if line.strip() and line[0] != "#")
