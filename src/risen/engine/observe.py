"""Look: read every section of the picture through the interfaces. What cannot be read is Unseen, never empty."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from risen.core.history import History, Life
from risen.core.judge.release_ports import beside, on_trial
from risen.core.names import InstanceName, ProviderId, may_hold_etcd
from risen.core.picture import (
    EtcdSeen,
    InstanceSeen,
    InstanceState,
    Picture,
    PortSeen,
    ProviderSeen,
    Seen,
    Unseen,
)
from risen.core.ports import Door, doors_of
from risen.core.step import StepInFlight
from risen.interfaces.clock import Clock
from risen.interfaces.endpoint import Endpoint
from risen.interfaces.errors import InterfaceError, Unreachable
from risen.interfaces.etcd import Etcd
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.ports import Ports
from risen.interfaces.provider import Provider

T = TypeVar("T")
SECTIONS = ("provider", "kubernetes", "etcd", "endpoint", "ports")


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
    def ports(self) -> Ports: ...
    @property
    def clock(self) -> Clock: ...


@dataclass(slots=True)
class Eyes:
    """Reads pictures, and remembers since when a section has not been readable, or is readable again."""

    world: Sights
    unseen_since: dict[str, float] = field(default_factory=dict)
    again_since: dict[str, float] = field(default_factory=dict)
    ports: dict[Door, PortSeen] = field(default_factory=dict)
    """What the last look saw of each."""
    ran_at: dict[InstanceName, float] = field(default_factory=dict)
    """When a look last began that saw it run, in boot seconds."""

    async def look(self, history: History, in_flight: tuple[StepInFlight, ...]) -> Picture:
        """Read all sections; etcd and ports after the provider, whose addresses they need."""
        provider, kubernetes, endpoint = await asyncio.gather(
            self._section("provider", lambda: self._provider(history)),
            self._section("kubernetes", self.world.kubernetes.observe),
            self._section("endpoint", self.world.endpoint.list),
        )
        etcd, ports = await asyncio.gather(
            self._section("etcd", lambda: self._etcd(provider, history)),
            self._section("ports", lambda: self._ports(provider, history)),
        )
        return Picture(provider, kubernetes, etcd, endpoint, in_flight, ports)

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
        began = self.world.clock.boot()
        seen = await self.world.provider.list()
        listed = {instance.name for instance in seen.instances}
        lacking = sorted(
            name for name, life in history.lives.items() if name not in listed and life.gone_at_unix is None
        )
        asked = await asyncio.gather(*(self._ask_for(name, history) for name in lacking))
        instances = seen.instances + tuple(asked)
        dated = tuple(self._dated(instance, began) for instance in instances)
        self.ran_at = {one.name: self.ran_at[one.name] for one in dated if one.name in self.ran_at}
        return replace(seen, instances=dated)

    def _dated(self, instance: InstanceSeen, began: float) -> InstanceSeen:
        """A stop is no older than the last look that saw it run. Of one that was killed a provider may tell no time, or
        one that is too early (its last word). Whoever looks for the first time has only what it tells."""
        if instance.state in (InstanceState.RUNNING, InstanceState.STARTING):
            self.ran_at[instance.name] = began
        ran_at = self.ran_at.get(instance.name)
        if instance.state is not InstanceState.STOPPED or ran_at is None:
            return instance
        return replace(instance, stopped_at=max(instance.stopped_at or ran_at, ran_at))

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

    async def _ports(self, provider: Seen[ProviderSeen] | Unseen, history: History) -> tuple[PortSeen, ...]:
        """Those of instances that try a release; where one is silent, those of some others as well."""
        tried = on_trial(history)
        if not tried:
            self.ports = {}
            return ()
        if isinstance(provider, Unseen):
            raise Unreachable(f"addresses of instances are not known: {provider.error}")
        doubted = any(not port.answers for port in self.ports.values())
        seen = await self._ask((*tried, *beside(history, tried)) if doubted else tried, provider.value)
        if not doubted and not all(port.answers for port in seen.values()):
            seen |= await self._ask(beside(history, tried), provider.value)
        self.ports = seen
        return tuple(seen.values())

    async def _ask(self, lives: tuple[Life, ...], provider: ProviderSeen) -> dict[Door, PortSeen]:
        addresses = {
            item.name: item.address for item in provider.instances if item.state is InstanceState.RUNNING
        }
        doors = tuple(
            door
            for life in lives
            if (address := addresses.get(life.birth.instance)) is not None
            for door in doors_of(life.birth.instance, life.birth.role, address)
        )
        answers = await self.world.ports.ask(doors)
        return {door: self._noted(door, answer) for door, answer in zip(doors, answers, strict=True)}

    def _noted(self, door: Door, answers: bool) -> PortSeen:
        before = self.ports.get(door)
        since = 0.0 if before is None and answers else self.world.clock.boot()
        if before is not None and before.answers is answers:
            since = before.since
        return PortSeen(door.instance, door.program, door.port, answers, since)
