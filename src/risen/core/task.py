"""Tasks: what takes longer than a step and is done outside the loop, keyed by its content.

A plan asks for a task in every decision until its result is in the ledger: after a crash it is simply asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from risen.core.names import ReleaseId
from risen.core.spec import Gate

SNAPSHOT = "snapshot/"
"""How the keys of rehearsed snapshots begin."""


@dataclass(frozen=True, slots=True, order=True)
class RehearseSnapshot:
    """Take a snapshot of etcd, restore it in a sandbox and compare. `number` counts attempts of one purpose."""

    purpose: str
    """Whose replacement it precedes: a ledger subject."""
    number: int

    @property
    def key(self) -> str:
        """`snapshot/PURPOSE/NUMBER`."""
        return f"{SNAPSHOT}{self.purpose}/{self.number}"


@dataclass(frozen=True, slots=True, order=True)
class AskGate:
    """Ask one of the user's gates about a release."""

    release: ReleaseId
    revision: int
    gate: Gate

    @property
    def key(self) -> str:
        """`gate/REVISION/RELEASE/NAME`."""
        return f"gate/{self.revision}/{self.release}/{self.gate.name}"


Task: TypeAlias = RehearseSnapshot | AskGate
