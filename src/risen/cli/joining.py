"""The join service beside the engine: its facts come from the engine's own interfaces and history."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from risen.adapters.system import SystemClock, SystemEntropy
from risen.authority.grant import InstanceAt
from risen.bootstrap import JOIN_PORT, Clients, Cluster, local_site
from risen.core.names import InstanceName, may_hold_etcd
from risen.core.picture import EtcdSeen, InstanceState
from risen.core.spec import ClusterSpec
from risen.core.step import Birth
from risen.engine.record import Records
from risen.interfaces.errors import Unreachable
from risen.services.join import JoinService
from risen.services.join_desk import JoinDesk
from risen.services.join_facts import JoinCluster
from risen.services.join_tls import JoinTls


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Implements `JoinFacts` on the engine's clients and history."""

    clients: Clients
    records: Records

    async def address_of(self, instance: InstanceName) -> InstanceAt | None:
        """The provider's word on one instance; None unless it runs."""
        seen = await self.clients.provider.get(instance)
        if seen.state not in (InstanceState.STARTING, InstanceState.RUNNING):
            return None
        life = self.records.history.lives.get(instance)
        return InstanceAt(seen.provider_id, seen.address, life.launched_at_unix if life else None)

    async def etcd_members(self) -> EtcdSeen:
        """A fresh list, asked of every instance that may hold etcd and runs."""
        seen = await self.clients.provider.list()
        lives = self.records.history.lives
        addresses = tuple(
            one.address
            for one in seen.instances
            if one.address and one.name in lives and may_hold_etcd(lives[one.name].birth.role)
        )
        if not addresses:
            raise Unreachable("no instance that may hold etcd runs")
        return await self.clients.etcd.observe(addresses)

    async def spec_for(self, birth: Birth) -> ClusterSpec:
        """The spec that the release was rendered from: there is one, as long as nothing rolls."""
        revision = self.records.revision
        if revision is None:
            raise Unreachable("no revision is in force yet")
        return revision.spec


@asynccontextmanager
async def serve_joins(cluster: Cluster, clients: Clients, records: Records) -> AsyncIterator[None]:
    """Serve joins on the bridge's address, inside the cluster's network namespace."""
    clock, address = SystemClock(), clients.settings.gateway
    about = JoinCluster(cluster.uid, address, clients.authorities)
    desk = JoinDesk(about, EngineFacts(clients, records), cluster.store, clock, records.append, _note)
    tls = JoinTls(clients.authorities, (address,), clock, SystemEntropy())
    listening = local_site(clients.settings).listen(address, JOIN_PORT)
    runner = await JoinService(desk).serve(listening, tls.context())
    try:
        yield
    finally:
        await runner.cleanup()


def _note(line: str) -> None:
    print(json.dumps({"unix": round(SystemClock().unix(), 3), "what": "join", "line": line}), flush=True)
