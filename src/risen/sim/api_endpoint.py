"""The truth about the API endpoint: backends, and what its own check last found of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from risen.core.names import InstanceName
from risen.core.picture import BackendSeen
from risen.interfaces.errors import NoCapacity, Unreachable
from risen.sim.images import Behaviour

if TYPE_CHECKING:
    from risen.sim.world import World

DETECTION_SECONDS = 1.0
"""`inter 500ms fall 2`."""
SLOTS = 24


@dataclass(slots=True)
class Backend:
    """One apiserver the endpoint knows."""

    address: str
    up: bool = False
    draining: bool = False
    silent: bool = False
    changed_at: float = 0.0
    """When it last went up or down."""


@dataclass(slots=True)
class EndpointTruth:
    """Backends by instance name."""

    world: World
    backends: dict[InstanceName, Backend] = field(default_factory=dict)
    away: bool = False
    """Its process is down: nobody gets through it, and it takes no orders."""

    def need(self) -> None:
        """Raises Unreachable."""
        if self.away:
            raise Unreachable("the endpoint does not answer")

    def list(self) -> tuple[BackendSeen, ...]:
        """As its admin socket shows them."""
        return tuple(
            BackendSeen(
                name,
                backend.address,
                backend.up,
                backend.draining,
                backend.silent,
                0.0 if backend.up else self.world.timeline.now - backend.changed_at,
            )
            for name, backend in sorted(self.backends.items())
        )

    def add(self, name: InstanceName, address: str) -> None:
        """Idempotent; ends a drain. Raises NoCapacity."""
        there = self.backends.get(name)
        if there is None and len(self.backends) >= SLOTS:
            raise NoCapacity("no free slot for another apiserver")
        if there is None or there.address != address:
            self.backends[name] = Backend(address, changed_at=self.world.timeline.now)
        else:
            there.draining = False
        self.look_soon()

    def drain(self, name: InstanceName) -> None:
        """No new sessions; nothing for an unknown one."""
        if name in self.backends:
            self.backends[name].draining = True

    def remove(self, name: InstanceName) -> None:
        """Idempotent."""
        self.backends.pop(name, None)

    def look_soon(self) -> None:
        """Something about an apiserver has changed: the check will see it."""
        self.world.timeline.after(DETECTION_SECONDS, self.look)

    def look(self) -> None:
        """The endpoint's own check of /readyz."""
        for name, backend in self.backends.items():
            item = self.world.instances.all.get(name)
            there = item is not None and item.address == backend.address
            passes = item is not None and item.behaviour is not Behaviour.FAILS_ENDPOINT_CHECK
            up = there and passes and self.world.kubernetes.apiserver_serves(name)
            if up != backend.up:
                backend.up, backend.changed_at = up, self.world.timeline.now
            backend.silent = item is None or not there or not item.apiserver

    def serves(self) -> bool:
        """Whether a client gets an answer through it now."""
        return not self.away and any(
            backend.up and not backend.draining and self.world.kubernetes.apiserver_serves(name)
            for name, backend in self.backends.items()
        )
