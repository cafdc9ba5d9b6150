"""What a process looks at a cluster through and acts on it with: where adapters of the world are chosen."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from risen.adapters.system import SystemClock
from risen.bootstrap.bakes import images_of
from risen.bootstrap.place import (
    CLOCK,
    ENTROPY,
    Cluster,
    Host,
    local_settings,
    noted,
    open_authorities,
    own_credentials,
)
from risen.bootstrap.site import local_site
from risen.core.names import ImageDigest
from risen.core.step import Birth
from risen.engine.world import EngineWorld, Observer
from risen.interfaces.endpoint import Endpoint
from risen.interfaces.etcd import Etcd
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.provider import Provider

if TYPE_CHECKING:
    from risen.adapters.etcd.client import EtcdClient
    from risen.adapters.kubernetes.api import Credentials
    from risen.adapters.kubernetes.client import KubernetesClient
    from risen.adapters.kubernetes.ports import PortClient
    from risen.adapters.local.endpoint import LocalEndpoint
    from risen.adapters.local.provider import LocalProvider
    from risen.adapters.local.settings import LocalSettings
    from risen.authority.authorities import Authorities
    from risen.authority.identities import IdentityKind
    from risen.authority.passes import Identity
    from risen.engine.record import Records
    from risen.interfaces.builder import BakedImage
    from risen.services.join_facts import Note
    from risen.transport.tls import TlsIdentity

ENGINE_HOURS = 12.0
RENEW_SECONDS = 3600.0
JOIN_PORT = 9443


@dataclass(frozen=True, slots=True)
class _Images:
    """Implements `interfaces.builder.Images`, for a provider that may never be asked to launch one."""

    host: Host

    def get(self, digest: ImageDigest) -> BakedImage:
        """See `Images`."""
        return images_of(self.host).get(digest)

    def list(self) -> tuple[BakedImage, ...]:
        """See `Images`."""
        return images_of(self.host).list()


@dataclass(slots=True)
class Sights:
    """What one cluster is looked at through. `close` it."""

    settings: LocalSettings
    provider: LocalProvider
    endpoint: LocalEndpoint
    etcd: EtcdClient
    kubernetes: KubernetesClient
    ports: PortClient
    clock: SystemClock

    async def close(self) -> None:
        """End all connections."""
        await self.ports.close()
        await self.kubernetes.close()
        await self.etcd.close()


@dataclass(slots=True)
class Clients(Sights):
    """The same of who keeps the cluster, for which it needs the authorities."""

    authorities: Authorities
    made_unix: float

    def renew_if_due(self) -> None:
        """Take new certificates for the engine where those in use were made an hour ago, or are yet to be made: by the
        wall clock, which they begin and end by, and which jumps when the host wakes or its time is set."""
        now = self.clock.unix()
        if 0 <= now - self.made_unix < RENEW_SECONDS:
            return
        api, etcd = _engine_identities(self.authorities)
        self.made_unix = now
        self.etcd.renew(_tls(etcd))
        self.kubernetes.renew(_api_at(self.settings, api))


async def connect(cluster: Cluster) -> Clients:
    """Clients under certificates of hours. Opens no connection yet."""
    authorities = await open_authorities(cluster)
    settings = local_settings(cluster, authorities)
    made_unix = CLOCK.unix()
    seen = _sights(cluster, settings, *_engine_identities(authorities))
    return Clients(
        seen.settings,
        seen.provider,
        seen.endpoint,
        seen.etcd,
        seen.kubernetes,
        seen.ports,
        CLOCK,
        authorities,
        made_unix,
    )


async def look_at(cluster: Cluster) -> Sights:
    """For who only looks: under passes that are kept on this host, sealed. Opens no connection yet."""
    from risen.adapters.store.files import read_whole, write_whole
    from risen.services.credentials import PassPlace

    file = cluster.host.folder(cluster.name) / "passes"
    written = file.with_name(f".passes-{os.getpid()}")
    place = PassPlace(str(file), lambda: read_whole(file), lambda data: write_whole(file, data, written))
    own = own_credentials(cluster.host, cluster.name, cluster.store)
    passes = await own.passes(cluster.uid, place)
    return _sights(cluster, local_settings(cluster), passes.api, passes.etcd)


def _sights(cluster: Cluster, settings: LocalSettings, api: Identity, etcd: Identity) -> Sights:
    from risen.adapters.etcd.client import EtcdClient
    from risen.adapters.kubernetes.client import KubernetesClient
    from risen.adapters.kubernetes.ports import PortClient
    from risen.adapters.local.endpoint import LocalEndpoint
    from risen.adapters.local.provider import LocalProvider

    return Sights(
        settings,
        noted(LocalProvider(settings, _Images(cluster.host)), Provider),
        noted(LocalEndpoint(settings), Endpoint),
        noted(EtcdClient(_tls(etcd)), Etcd),
        noted(KubernetesClient(_api_at(settings, api)), Kubernetes),
        PortClient(api.authority.encode()),
        CLOCK,
    )


def _engine_identities(authorities: Authorities) -> tuple[Identity, Identity]:
    from risen.authority.identities import IdentityKind

    kinds = (IdentityKind.CONTROLLER, IdentityKind.ETCD)
    api, etcd = (identity_of(authorities, kind, ENGINE_HOURS) for kind in kinds)
    return api, etcd


def identity_of(authorities: Authorities, kind: IdentityKind, hours: float) -> Identity:
    """A fresh identity from now on."""
    from risen.authority.identities import short_lived

    return short_lived(authorities, kind, hours, CLOCK.unix(), ENTROPY.token)


def _tls(identity: Identity) -> TlsIdentity:
    from risen.transport.tls import TlsIdentity

    return TlsIdentity(identity.certificate.encode(), identity.key.encode(), identity.authority.encode())


def _api_at(settings: LocalSettings, identity: Identity) -> Credentials:
    from risen.adapters.kubernetes.api import Credentials

    return Credentials(f"https://{settings.gateway}:6443", _tls(identity))


def engine_world(cluster: Cluster, clients: Clients, observer: Observer) -> EngineWorld:
    """The engine's world on this host."""
    from risen.adapters.etcd.rehearsal import Rehearsals
    from risen.services.revise import read_manifest

    return EngineWorld(
        provider=clients.provider,
        endpoint=clients.endpoint,
        etcd=clients.etcd,
        kubernetes=clients.kubernetes,
        ports=clients.ports,
        store=cluster.store,
        leadership=cluster.leadership,
        snapshots=Rehearsals(clients.etcd, cluster.store, images_of(cluster.host), clients.settings.folder),
        gates=clients.kubernetes.gates,
        clock=CLOCK,
        entropy=ENTROPY,
        user_data=_user_data(cluster, clients),
        manifest=partial(read_manifest, cluster.store),
        observer=observer,
        holder=f"{socket.gethostname()} {os.getpid()}",
    )


def _user_data(cluster: Cluster, clients: Clients) -> Callable[[Birth], bytes]:
    from risen.authority.authorities import JOIN
    from risen.authority.tickets import make_ticket
    from risen.instance.userdata.cloud_config import UserData, render_cloud_config

    digest = hashlib.sha256(clients.authorities.named(JOIN).certificate.encode()).hexdigest()
    join_url = f"https://{clients.settings.gateway}:{JOIN_PORT}"

    def render(birth: Birth) -> bytes:
        ticket = make_ticket(clients.authorities.ticket_secret, cluster.uid, birth)
        told = UserData(birth.instance, birth.pool, cluster.uid, join_url, (digest,), ticket)
        return render_cloud_config(told)

    return render


@asynccontextmanager
async def serve_joins(
    cluster: Cluster, clients: Clients, records: Records, note: Note
) -> AsyncIterator[None]:
    """Serve joins on the bridge's address, inside the cluster's network namespace, from stored releases."""
    from risen.services.join import JoinService
    from risen.services.join_desk import JoinDesk
    from risen.services.join_engine import EngineFacts
    from risen.services.join_facts import JoinCluster
    from risen.services.join_tls import JoinTls
    from risen.services.releases import adopt_releases

    if cluster.revision is not None:
        await adopt_releases(cluster.store, cluster.revision, images_of(cluster.host).list())
    address = clients.settings.gateway
    about = JoinCluster(cluster.uid, address, clients.authorities)
    own = own_credentials(cluster.host, cluster.name, cluster.store)
    facts = EngineFacts(clients.provider, clients.etcd, records, own)
    desk = JoinDesk(about, facts, cluster.store, CLOCK, records.append, note)
    tls = JoinTls(clients.authorities, (address,), CLOCK, ENTROPY)
    listening = local_site(clients.settings).listen(address, JOIN_PORT)
    runner = await JoinService(desk).serve(listening, tls.context())
    try:
        yield
    finally:
        await runner.cleanup()
