"""A diagnostics switch: notes every kind of answer that this host's parts give, one JSON object a line.

`RISEN_RECORD_ANSWERS` names the file; several programs may share it. A kind is written when a program first meets
it. Tests hold the file against what the simulator can answer. Without the variable nothing is laid around anything.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from risen.interfaces.answers import Answer
from risen.interfaces.recording import recorded

T = TypeVar("T")
SWITCH = "RISEN_RECORD_ANSWERS"
TEXT_CHARACTERS = 300
_STATUS = re.compile(r"\bHTTP (\d{3})\b")


@dataclass(frozen=True, slots=True)
class NotedAnswer:
    """One line: the kind, the HTTP status that carried it (None where there was none), the error's own text."""

    answer: Answer
    status: int | None
    text: str

    def as_line(self) -> bytes:
        """With its end of line; below what one write appends whole."""
        answer = self.answer
        kind = {"operation": answer.operation, "outcome": answer.outcome, "detail": answer.detail}
        return json.dumps({**kind, "status": self.status, "text": self.text}).encode() + b"\n"


def read_answers(lines: Iterable[str]) -> Iterator[NotedAnswer]:
    """What is noted in such a file. Raises ValueError, KeyError for a line that is none."""
    for line in lines:
        said = json.loads(line)
        answer = Answer(said["operation"], said["outcome"], said["detail"])
        yield NotedAnswer(answer, said["status"], said["text"])


@dataclass(slots=True)
class AnswerFile:
    """Appends to one file. A note that cannot be written is told on standard error: the cluster comes first."""

    path: Path
    written: set[Answer] = field(default_factory=set)

    def note(self, answer: Answer, error: str) -> None:
        """Write a kind that this program has not written yet."""
        if answer in self.written:
            return
        self.written.add(answer)
        found = _STATUS.search(error)
        noted = NotedAnswer(answer, int(found[1]) if found else None, error[:TEXT_CHARACTERS])
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(noted.as_line())
        except OSError as fault:
            print(f"{SWITCH}: {self.path}: {fault}; not noted: {answer}", file=sys.stderr)


def noted(real: T, interface: type) -> T:
    """`real` as it is, or, where the environment asks for it, with its answers noted."""
    path = os.environ.get(SWITCH)
    return recorded(real, interface, AnswerFile(Path(path)).note) if path else real
