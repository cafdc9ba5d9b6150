"""What the join service is told by others: its cluster, and facts that it asks for at each request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from risen.authority.authorities import Authorities
from risen.authority.grant import InstanceAt
from risen.core.events import Event
from risen.core.names import ClusterUid, InstanceName
from risen.core.picture import EtcdSeen
from risen.core.step import Birth
from risen.instance.release import Release


class JoinFacts(Protocol):
    """Fresh facts, given by whoever runs the engine. All may raise InterfaceError: the requester is told to
    come again.

    `address_of` is the provider's own word (`Provider.get`) and the launch on record; None while the provider
    does not show the instance. `etcd_members` is a linearizable list (or `quorum_lost`). `release_of` is the
    stored release that this birth names: always the same one for the same birth. `registry_auths` are those of
    now, by image registry.
    """

    async def address_of(self, instance: InstanceName) -> InstanceAt | None: ...
    async def etcd_members(self) -> EtcdSeen: ...
    async def release_of(self, birth: Birth) -> Release: ...
    async def registry_auths(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class JoinCluster:
    """The cluster that is joined. `endpoint_address` is the API endpoint's."""

    uid: ClusterUid
    endpoint_address: str
    authorities: Authorities = field(repr=False)


Emit = Callable[[Event], Awaitable[None]]
"""Appends an event to the stream. Raises InterfaceError when that cannot be done."""
Note = Callable[[str], None]
"""Takes a line for the controller's log. Must not raise."""
