"""Every single fault of a run, from one run: at each write the program forks, and the child goes on with the fault.

What lies before a write is the same with and without the fault, so it is run once; a schedule costs what comes after.
As many children run side by side as there are CPUs.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from risen.sim.faults import FaultKind, Faults, may_strike
from risen.sim.trace import Trace

AT_ONCE = os.cpu_count() or 1


class Branch(NamedTuple):
    """The write that was struck (from 1), what struck it, and its run: without its lines, which a replay shows."""

    write: int
    kind: FaultKind
    trace: Trace


class _Child(NamedTuple):
    """A run that goes on, and the end of the pipe that it will tell by."""

    write: int
    kind: FaultKind
    process: int
    pipe: int


@dataclass(frozen=True)
class _Forking(Faults):
    """Strikes nothing in the run that was begun, and in each child what that child is for."""

    kinds: tuple[FaultKind, ...] = ()
    first: int = 1
    every: int = 1
    running: deque[_Child] = field(default_factory=deque)
    found: list[Branch] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    """In a child the end of the pipe that it tells its parent by."""

    def strike(self, number: int, operation: str) -> FaultKind | None:
        """Fork once for each kind that may strike this write; in the child that kind."""
        if self.end or number < self.first or (number - self.first) % self.every:
            return None
        for kind in self.kinds:
            if may_strike(kind, operation) and self._is_child(number, kind):
                return kind
        return None

    def _is_child(self, number: int, kind: FaultKind) -> bool:
        """Twice the answer: True in the child, and False here."""
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            asyncio._set_running_loop(loop)  # which is remembered by process
            os.close(reading)
            self.end.append(writing)
            return True
        os.close(writing)
        self.running.append(_Child(number, kind, child, reading))
        self.hear(at_most=AT_ONCE - 1)
        return False

    def hear(self, at_most: int) -> None:
        """Wait for the oldest until so many still run."""
        while len(self.running) > at_most:
            child = self.running.popleft()
            with os.fdopen(child.pipe, "rb") as pipe:
                told = pipe.read()
            _, status = os.waitpid(child.process, 0)
            if status or not told:
                struck = f"{child.kind.value} at write {child.write}"
                raise RuntimeError(f"the run with {struck} ended with status {status}")
            self.found.append(Branch(child.write, child.kind, pickle.loads(told)))

    def tell(self, trace: Trace) -> None:
        """In a child: tell the parent, and be no more."""
        with os.fdopen(self.end[0], "wb") as pipe:
            pipe.write(pickle.dumps(replace(trace, lines=[], said=[])))
        os._exit(0)


def branches(
    run: Callable[[Faults], Trace], kinds: tuple[FaultKind, ...], first: int, every: int
) -> tuple[Trace, list[Branch]]:
    """The run without faults, and those with one, by write and kind. Raises RuntimeError when one of them breaks."""
    forking = _Forking(kinds=kinds, first=first, every=every)
    try:
        trace = run(forking)
        if forking.end:
            forking.tell(trace)
        forking.hear(at_most=0)
    except BaseException:
        if forking.end:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        raise
    return trace, forking.found
