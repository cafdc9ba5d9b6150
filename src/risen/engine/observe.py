"""Look: read every section of the picture through the interfaces. What cannot be read is Unseen, never empty."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from risen.core.history import History
from risen.core.names import InstanceName, ProviderId, may_hold_etcd
from risen.core.picture import (
    EtcdSeen,
    InstanceSeen,
    InstanceState,
    Picture,
    ProviderSeen,
    Seen,
    Unseen,
)
from risen.core.step import StepInFlight
from risen.interfaces.clock import Clock
from risen.interfaces.endpoint import Endpoint
from risen.interfaces.errors import InterfaceError, Unreachable
from risen.interfaces.etcd import Etcd
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.provider import Provider

T = TypeVar("T")
SECTIONS = ("provider", "kubernetes", "etcd", "endpoint")


class Sights(Protocol):
    """What is looked at, and by which clock."""

    @property
    def provider(self) -> Provider: ...
    @property
    def kubernetes(self) -> Kubernetes: ...
    @property
    def etcd(self) -> Etcd: ...
    @property
    def endpoint(self) -> Endpoint: ...
    @property
    def clock(self) -> Clock: ...


@dataclass(slots=True)
class Eyes:
    """Reads pictures, and remembers since when a section has not been readable, or is readable again."""

    world: Sights
    unseen_since: dict[str, float] = field(default_factory=dict)
    again_since: dict[str, float] = field(default_factory=dict)

    async def look(self, history: History, in_flight: tuple[StepInFlight, ...]) -> Picture:
        """Read all four sections; etcd after the provider, whose addresses it needs."""
        provider, kubernetes, endpoint = await asyncio.gather(
            self._section("provider", lambda: self._provider(history)),
            self._section("kubernetes", self.world.kubernetes.observe),
            self._section("endpoint", self.world.endpoint.list),
        )
        etcd = await self._section("etcd", lambda: self._etcd(provider, history))
        return Picture(provider, kubernetes, etcd, endpoint, in_flight)

    async def look_again(self, picture: Picture, history: History, sections: frozenset[str]) -> Picture:
        """The same picture with these sections read afresh."""
        if "provider" in sections:
            picture = replace(
                picture, provider=await self._section("provider", lambda: self._provider(history))
            )
        if "kubernetes" in sections:
            picture = replace(
                picture, kubernetes=await self._section("kubernetes", self.world.kubernetes.observe)
            )
        if "endpoint" in sections:
            picture = replace(picture, endpoint=await self._section("endpoint", self.world.endpoint.list))
        if "etcd" in sections:
            provider = picture.provider
            picture = replace(
                picture, etcd=await self._section("etcd", lambda: self._etcd(provider, history))
            )
        return picture

    async def _section(self, name: str, read: Callable[[], Awaitable[T]]) -> Seen[T] | Unseen:
        began = self.world.clock.boot()
        try:
            value = await read()
        except InterfaceError as error:
            since = self.unseen_since.setdefault(name, began)
            return Unseen(f"{type(error).__name__}: {error}", since)
        if self.unseen_since.pop(name, None) is not None:
            self.again_since[name] = began
        return Seen(value, began, self.again_since.get(name, 0.0))

    async def _provider(self, history: History) -> ProviderSeen:
        """The provider's list; every born instance that it lacks is asked for singly."""
        seen = await self.world.provider.list()
        listed = {instance.name for instance in seen.instances}
        lacking = sorted(
            name for name, life in history.lives.items() if name not in listed and life.gone_at_unix is None
        )
        asked = await asyncio.gather(*(self._ask_for(name, history) for name in lacking))
        return replace(seen, instances=seen.instances + tuple(asked))

    async def _ask_for(self, name: InstanceName, history: History) -> InstanceSeen:
        try:
            return await self.world.provider.get(name)
        except InterfaceError:
            known = history.lives[name].provider_id or ProviderId("")
            return InstanceSeen(name, known, history.cluster, InstanceState.UNKNOWN)

    async def _etcd(self, provider: Seen[ProviderSeen] | Unseen, history: History) -> EtcdSeen:
        if isinstance(provider, Unseen):
            raise Unreachable(f"addresses of members are not known: {provider.error}")
        addresses = tuple(
            sorted(
                instance.address
                for instance in provider.value.instances
                if instance.address is not None
                and instance.state in (InstanceState.RUNNING, InstanceState.STARTING, InstanceState.UNKNOWN)
                and (life := history.lives.get(instance.name)) is not None
                and may_hold_etcd(life.birth.role)
            )
        )
        if not addresses:
            raise Unreachable("no instance that may hold etcd runs")
        return await self.world.etcd.observe(addresses)
