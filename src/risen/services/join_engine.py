"""The join service's facts, from the engine's own interfaces and history."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from risen.authority.grant import InstanceAt
from risen.core.names import InstanceName, may_hold_etcd
from risen.core.picture import EtcdSeen, InstanceState
from risen.core.step import Birth
from risen.engine.record import Records
from risen.instance.release import Release
from risen.interfaces.errors import Unreachable
from risen.interfaces.etcd import Etcd
from risen.interfaces.provider import Provider
from risen.services.credentials import Credentials
from risen.services.releases import read_release


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Implements `JoinFacts` on the engine's clients and history."""

    provider: Provider
    etcd: Etcd
    records: Records
    credentials: Credentials

    async def address_of(self, instance: InstanceName) -> InstanceAt | None:
        """The provider's word on one instance; None unless it runs and nobody is about to end it. While the store was
        shut, or nobody led, nobody could join: a ticket's time begins again after that."""
        if any(entry.subject == instance for entry in self.records.history.open_entries):
            return None
        seen = await self.provider.get(instance)
        if seen.state not in (InstanceState.STARTING, InstanceState.RUNNING):
            return None
        life = self.records.history.lives.get(instance)
        launched = life.launched_at_unix if life is not None else None
        could_join = math.inf if self.records.shut else self.records.open_since_unix
        return InstanceAt(seen.provider_id, seen.address, max(launched or 0.0, could_join))

    async def etcd_members(self) -> EtcdSeen:
        """A fresh list, asked of every instance that may hold etcd and runs."""
        seen = await self.provider.list()
        lives = self.records.history.lives
        addresses = tuple(
            one.address
            for one in seen.instances
            if one.address and one.name in lives and may_hold_etcd(lives[one.name].birth.role)
        )
        if not addresses:
            raise Unreachable("no instance that may hold etcd runs")
        return await self.etcd.observe(addresses)

    async def release_of(self, birth: Birth) -> Release:
        """From the store, whichever Risen rendered it. Raises NotFound, Corrupt, TooNew."""
        return await read_release(self.records.store, birth.release)

    async def registry_auths(self) -> Mapping[str, str]:
        """Looked up at each join: what was applied last is what the next instance gets."""
        return await self.credentials.registry_auths()
