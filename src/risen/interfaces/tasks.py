"""What takes longer than a step and is done outside the loop: snapshots of etcd rehearsed, gates of the user asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from risen.core.names import ReleaseId
from risen.core.spec import Gate


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """What came of a task, in words that go into the ledger. `silent`: nothing, neither well nor badly."""

    ok: bool
    text: str
    silent: bool = False


class Snapshots(Protocol):
    """`rehearse` takes a snapshot of a member that does not lead, keeps it, restores it in a sandbox and compares it
    with what the members hold; it may take minutes. Not ok when it was taken and is not what they hold.

    Raises Later (no member that can be asked, or etcd moved on too fast to compare), Unreachable, OutcomeUnknown,
    Denied, NoCapacity (no room to keep or restore it), NotFound (the program that restores), Corrupt.
    """

    async def rehearse(self) -> TaskAnswer: ...


class Gates(Protocol):
    """`ask` puts one of the user's gates to the test for a release, until it answers or its time-out is over. Asked
    again after a crash it goes on with what it began: a Job is made once for a revision and release, and anew where it
    has failed and is asked again. The answer is silent where no container of a Job ever started (a registry that is
    away, no room), and where its deadline passed while the API or who asks was away: then ask again.

    Raises Unreachable, OutcomeUnknown, Later, Denied, Invalid (the gate itself is wrong), Conflict: then nothing is
    known of the release. An HTTP gate that cannot be reached within its time-out is an answer: not ok.
    """

    async def ask(self, gate: Gate, release: ReleaseId, revision: int) -> TaskAnswer: ...
