"""One incarnation of the controller at a simulated cluster, for tests that ask its interfaces themselves."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from risen.interfaces.endpoint import Endpoint
from risen.interfaces.etcd import Etcd
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.provider import Provider
from risen.interfaces.recording import recorded
from risen.interfaces.store import Leadership, Store
from risen.sim.faces import (
    SimEndpoint,
    SimEtcd,
    SimKubernetes,
    SimLeadership,
    SimProvider,
    SimStore,
)
from risen.sim.faults import Faults, Incarnation
from risen.sim.line import Line
from risen.sim.trace import Trace
from risen.sim.virtual_loop import VirtualLoop
from risen.sim.world import World


@dataclass
class Lenient:
    """Judges nothing."""

    told: list[str] = field(default_factory=list)

    def before(self, operation: str, subject: str) -> None:
        self.told.append(f"before {operation}")

    def after(self, operation: str, subject: str) -> None:
        self.told.append(f"after {operation}")


@dataclass
class Desk:
    """One incarnation at a standing cluster. What its interfaces answer is counted in `trace.answers`."""

    world: World
    faults: Faults = field(default_factory=Faults)
    deaths: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loop = VirtualLoop(self.world.timeline)
        self.trace = Trace(1)
        self.line = Line(
            self.world,
            self.loop,
            Incarnation(1),
            self.faults,
            self.trace,
            Lenient(),
            lambda: self.deaths.append(1),
        )
        note, line = self.trace.note, self.line
        self.provider = recorded(SimProvider(line), Provider, note)
        self.endpoint = recorded(SimEndpoint(line), Endpoint, note)
        self.etcd = recorded(SimEtcd(line), Etcd, note)
        self.kubernetes = recorded(SimKubernetes(line), Kubernetes, note)
        self.store = recorded(SimStore(line), Store, note)
        self.leadership = recorded(SimLeadership(line), Leadership, note)

    def ask(self, request: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(request)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of all instances."""
        return tuple(item.address for item in self.world.instances.all.values())
