"""Everything one engine incarnation reaches the world through. Nothing here decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from risen.core.blocked import Blocked, Waiting
from risen.core.history import History, TaskResult
from risen.core.picture import Picture
from risen.core.plan import Plan
from risen.core.step import Birth, Step
from risen.core.task import Task
from risen.interfaces.clock import Clock
from risen.interfaces.endpoint import Endpoint
from risen.interfaces.entropy import Entropy
from risen.interfaces.errors import InterfaceError
from risen.interfaces.etcd import Etcd
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.ports import Ports
from risen.interfaces.provider import Provider
from risen.interfaces.store import Leadership, Store
from risen.interfaces.tasks import Gates, Snapshots


class Observer:
    """Told what the engine does, for the journal and for whoever watches. Must not raise and must not block."""

    def leading(self, holder: str) -> None:
        """This incarnation leads from now on."""

    def cycle(self, picture: Picture, history: History, plan: Plan) -> None:
        """One cycle decided `plan`."""

    def sent(self, step: Step) -> None:
        """A step is about to be carried out."""

    def ended(self, step: Step, error: InterfaceError | None) -> None:
        """A step ended; `error` is None when it is known to be done."""

    def broke(self, doing: str, fault: Exception) -> None:
        """A fault of this program, in a step or a cycle. The engine goes on; somebody should read this."""

    def refused(self, step: Step, blocked: Blocked) -> None:
        """The second check refused a step that the plan had."""

    def asked(self, task: Task) -> None:
        """A task outside the loop begins."""

    def answered(self, task: Task, result: TaskResult) -> None:
        """A task ended, and that is in the ledger."""

    def unanswered(self, task: Task, error: InterfaceError) -> None:
        """A task could not be done, or its end not be written; it is tried again."""

    def said(self, item: Blocked | Waiting) -> None:
        """A refusal or a wait that was not there in the cycle before."""


@dataclass(frozen=True, slots=True)
class EngineWorld:
    """The interfaces, and the two renderings that steps need."""

    provider: Provider
    endpoint: Endpoint
    etcd: Etcd
    kubernetes: Kubernetes
    ports: Ports
    store: Store
    leadership: Leadership
    snapshots: Snapshots
    gates: Gates
    clock: Clock
    entropy: Entropy
    user_data: Callable[[Birth], bytes]
    manifest: Callable[[str, str], Awaitable[Mapping[str, object]]]
    """The stored manifest of an add-on by key and digest. Raises NotFound, Corrupt."""
    observer: Observer
    holder: str = "engine"
    """Who leads: `HOST PID`."""
