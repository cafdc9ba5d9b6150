"""The engine's journal: one JSON object a line for every step, refusal and wait, in order.

`write` takes one line without a newline; where it goes is not this file's affair.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import PurePath

from risen.core.blocked import Blocked, Waiting
from risen.core.history import TaskResult
from risen.core.step import Step
from risen.core.task import Task
from risen.engine.world import Observer
from risen.interfaces.clock import Clock
from risen.interfaces.errors import InterfaceError, Later

Line = dict[str, object]


@dataclass(slots=True)
class Journal(Observer):
    """Renders what the engine tells into lines, numbered from 1 per incarnation."""

    clock: Clock
    write: Callable[[str], None]
    number: int = field(default=0)

    def _put(self, what: str, line: Line) -> None:
        self.number += 1
        head: Line = {"n": self.number, "unix": round(self.clock.unix(), 3), "what": what}
        self.write(json.dumps(head | line, sort_keys=False, default=str))

    def leading(self, holder: str) -> None:
        """This incarnation leads."""
        self._put("leading", {"holder": holder})

    def sent(self, step: Step) -> None:
        """A step is sent."""
        self._put("sent", {"step": type(step).__name__, **asdict(step)})

    def ended(self, step: Step, error: InterfaceError | None) -> None:
        """A step ended."""
        line: Line = {"step": type(step).__name__, **asdict(step)}
        if error is None:
            self._put("done", line)
        else:
            what = "later" if isinstance(error, Later) else "failed"
            self._put(what, {**line, "error": type(error).__name__, "why": str(error)})

    def broke(self, doing: str, fault: Exception) -> None:
        """A fault of this program, with where it is."""
        where = traceback.extract_tb(fault.__traceback__)[-1:]
        at = [f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in where]
        self._put("fault", {"doing": doing, "error": type(fault).__name__, "why": str(fault), "at": at})

    def refused(self, step: Step, blocked: Blocked) -> None:
        """The second check refused a step."""
        self._put("refused", {"step": type(step).__name__, **asdict(step), "blocked": asdict(blocked)})

    def asked(self, task: Task) -> None:
        """A task begins."""
        self._put("asked", {"task": task.key})

    def answered(self, task: Task, result: TaskResult) -> None:
        """A task ended."""
        line: Line = {"task": task.key, "ok": result.ok, "silent": result.silent, "text": result.text}
        self._put("answered", line)

    def unanswered(self, task: Task, error: InterfaceError) -> None:
        """A task could not be done."""
        self._put("unanswered", {"task": task.key, "error": type(error).__name__, "why": str(error)})

    def said(self, item: Blocked | Waiting) -> None:
        """A new refusal or wait."""
        self._put("blocked" if isinstance(item, Blocked) else "waiting", asdict(item))
