"""Where instances come from. Never looks at etcd, Kubernetes or the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from risen.core.names import ClusterUid, ImageDigest, InstanceName, PoolName, ProviderId, Role
from risen.core.picture import InstanceSeen, InstanceState, ProviderSeen


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """All a provider needs to start an instance. Byte-identical when tried again."""

    instance: InstanceName
    cluster: ClusterUid
    pool: PoolName
    role: Role
    image: ImageDigest
    user_data: bytes
    """cloud-config, at most 16,384 bytes."""


class Provider(Protocol):
    """Launch, list, power and destroy instances.

    `launch` is idempotent by instance name: a second call with the same request returns the same id; with
    another request raises Invalid. `list` is whole or raises; it returns foreign instances too (`cluster`
    is None or another uid). `get` answers for one name and is the only proof of GONE. `destroy` is the fence:
    when it returns, init and every process of the instance is gone, and so is its disk; NotFound is success.
    `press_power_button` returns when the button was pressed, not when the instance is off. `power_on` starts a
    STOPPED instance from its own disk. Only what has run is ever STOPPED: where a launch is more than one act,
    what is left of one that was cut short is UNFINISHED, until `launch` finishes it or `destroy` clears it
    away. `console` returns the last `limit` bytes the instance printed, also
    of a stopped one; NotFound when there is none.

    Every method may raise Unreachable, OutcomeUnknown, Later; `launch` also NoCapacity, NotFound (image).
    """

    async def launch(self, request: LaunchRequest) -> ProviderId: ...
    async def list(self) -> ProviderSeen: ...
    async def get(self, instance: InstanceName) -> InstanceSeen: ...
    async def destroy(self, provider_id: ProviderId) -> None: ...
    async def press_power_button(self, provider_id: ProviderId) -> None: ...
    async def power_on(self, provider_id: ProviderId) -> None: ...
    async def console(self, instance: InstanceName, limit: int = 65536) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PowerResult:
    """What became of one instance; `trouble` is empty when it is as wished."""

    instance: InstanceName
    state: InstanceState
    trouble: str = ""


class Site(Protocol):
    """What surrounds the instances of one cluster: network, endpoint program, NAT. Idempotent, all of them.

    `mend_outside` only looks at the way out, cheaply, and lays again what others of the host took away; it returns what
    that was, in words."""

    async def prepare(self) -> None: ...
    async def mend_outside(self) -> tuple[str, ...]: ...
    async def clear(self) -> None: ...


class StartedController(Protocol):
    """A controller that was started for somebody who waits until one leads.

    `ended` is true once it is known to have failed. `yield_to` is told who leads: one too many ends again.
    """

    def ended(self) -> bool: ...
    def yield_to(self, leader: str) -> None: ...
