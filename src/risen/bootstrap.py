"""Where adapters are chosen for interfaces: the only file that names both. Decides nothing about clusters.

What is heavy to import is imported where it is used, so that a command waits only for what it needs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from risen.adapters.answer_file import noted
from risen.adapters.local.records import read_site, write_site
from risen.adapters.local.settings import LocalSettings
from risen.adapters.store.directory import DirectoryStore
from risen.adapters.store.leadership import DirectoryLeadership
from risen.adapters.store.sealing_key import create_sealing_key, read_sealing_key
from risen.adapters.system import SystemClock, SystemEntropy
from risen.authority.authorities import JOIN, Authorities, make_authorities
from risen.authority.identities import Identity, IdentityKind, short_lived
from risen.authority.tickets import make_ticket
from risen.codec import records
from risen.core.names import ClusterUid, InstanceName, Role
from risen.core.spec import ClusterSpec, Revision
from risen.core.step import Birth
from risen.engine.world import EngineWorld, Observer
from risen.interfaces.endpoint import Endpoint
from risen.interfaces.errors import Conflict, Corrupt, InterfaceError, NotFound
from risen.interfaces.etcd import Etcd
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.provider import PowerResult, Provider
from risen.interfaces.store import IfAbsent, Leadership, Store

if TYPE_CHECKING:
    from risen.adapters.builder.bake import BakeRequest
    from risen.adapters.builder.shelf import Shelf
    from risen.adapters.etcd.client import EtcdClient
    from risen.adapters.kubernetes.api import Credentials
    from risen.adapters.kubernetes.client import KubernetesClient
    from risen.adapters.local.endpoint import LocalEndpoint
    from risen.adapters.local.provider import LocalProvider
    from risen.adapters.local.site import LocalSite
    from risen.engine.record import Records
    from risen.interfaces.builder import Report
    from risen.interfaces.checks import HostReport
    from risen.services.join_facts import Note
    from risen.transport.tls import TlsIdentity

ENGINE_HOURS = 12.0
JOIN_PORT = 9443
CLOCK = SystemClock()
ENTROPY = SystemEntropy()


@dataclass(frozen=True, slots=True)
class Host:
    """Where Risen keeps its things on this host."""

    home: Path
    cache: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Host:
        """RISEN_HOME and RISEN_CACHE, or their defaults; absolute, because the controller runs in `/`."""
        return cls(
            Path(environment.get("RISEN_HOME") or "/var/lib/risen").absolute(),
            Path(environment.get("RISEN_CACHE") or "/var/cache/risen").absolute(),
        )

    def folder(self, cluster: str) -> Path:
        """All of one cluster on this host, but for its sealing key."""
        return self.home / "clusters" / cluster

    def key_file(self, cluster: str) -> Path:
        """The sealing key: outside the store."""
        return self.home / "keys" / f"{cluster}.key"

    def clusters(self) -> tuple[str, ...]:
        """Names of clusters that have a folder here."""
        folder = self.home / "clusters"
        return tuple(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster whose store was opened."""

    host: Host
    name: str
    uid: ClusterUid
    store: DirectoryStore
    revision: Revision | None

    @property
    def revision_in_force(self) -> Revision:
        """The newest revision. Raises NotFound before the first `up`."""
        if self.revision is None:
            raise NotFound(f"cluster {self.name} has no revision yet: `risen up` applies the first")
        return self.revision

    @property
    def spec(self) -> ClusterSpec:
        """The spec in force. Raises NotFound before the first `up`."""
        return self.revision_in_force.spec

    @property
    def leadership(self) -> DirectoryLeadership:
        """Who leads."""
        return leadership_of(self.host, self.name)


async def create_cluster(host: Host, name: str) -> Cluster:
    """Make the store, its sealing key and authorities, or open what is there; safe to repeat after any crash.

    Raises Conflict where instances of that name live on this host without a store (an empty store never
    takes over instances), Denied, NoCapacity.
    """
    store = noted(DirectoryStore.create(host.folder(name) / "store"), Store)
    if await store.get(records.CLUSTER) is None:
        if any((host.folder(name) / "instances").glob("*")):
            raise Conflict(
                f"instances of a cluster {name} are on this host, but their store is empty: put "
                f"{host.folder(name) / 'store'} back, or delete them with `risen down -c {name}`"
            )
        key = create_sealing_key(host.key_file(name), ENTROPY.token(32))
        made = make_authorities(name, CLOCK.unix(), ENTROPY.token)
        if await store.get(records.AUTHORITIES) is None:
            sealed = records.seal_authorities(made, key, ENTROPY.token(12))
            with contextlib.suppress(Conflict):
                await store.put(records.AUTHORITIES, sealed, IfAbsent())
        record = records.ClusterRecord(ClusterUid(ENTROPY.token(16).hex()), name, CLOCK.unix())
        with contextlib.suppress(Conflict):
            await store.put(records.CLUSTER, records.encode(record), IfAbsent())
    return await open_cluster(host, name)


async def open_cluster(host: Host, name: str) -> Cluster:
    """The cluster of that name on this host. Raises NotFound, Corrupt, TooNew."""
    from risen.services.revise import read_newest

    root = host.folder(name) / "store"
    there = "none" if not host.clusters() else ", ".join(host.clusters())
    if not root.is_dir():
        raise NotFound(f"no cluster {name} on this host (there is: {there}); `risen up` makes one")
    store = noted(DirectoryStore(root), Store)
    found = await store.get(records.CLUSTER)
    if found is None:
        raise NotFound(f"{root}: the store of {name} was never finished; `risen up` finishes it")
    record = records.decode(found.data, records.ClusterRecord, records.CLUSTER)
    return Cluster(host, name, record.uid, store, await read_newest(store))


async def open_authorities(cluster: Cluster) -> Authorities:
    """The cluster's authorities. Raises NotFound or Denied for the sealing key, Corrupt."""
    key = read_sealing_key(cluster.host.key_file(cluster.name))
    sealed = await cluster.store.get(records.AUTHORITIES)
    if sealed is None:
        raise NotFound(f"{records.AUTHORITIES}: not in the store of {cluster.name}")
    return records.open_authorities(sealed.data, key)


def examine_host(host: Host, spec: ClusterSpec | None, surge: int | None = None) -> HostReport:
    """Whether this host can carry that cluster (or, with None, the one that `risen init` writes); with `surge`
    only whether there is room for so many more instances of it while it is rolled."""
    from risen.adapters.local.checks import examine, examine_surge, wanted_for

    wanted = wanted_for(spec, host.home)
    return examine(wanted) if surge is None else examine_surge(wanted, surge)


def local_settings(cluster: Cluster, authorities: Authorities | None = None) -> LocalSettings:
    """What the local provider, site and endpoint of a cluster are made from."""
    local = cluster.spec.provider
    ca = None if authorities is None else authorities.cluster.certificate.encode()
    at_boot = (sys.executable, "-m", "risen.cli.main")
    return LocalSettings(
        cluster.name, cluster.uid, cluster.host.home, local.subnet, local.disk_gib, ca, at_boot
    )


def images_of(host: Host) -> Shelf:
    """Baked images of this host."""
    from risen.adapters.builder.shelf import Shelf

    return Shelf(host.home)


@dataclass(slots=True)
class Clients:
    """Everything of one cluster that a process talks to. `close` it."""

    settings: LocalSettings
    provider: LocalProvider
    endpoint: LocalEndpoint
    etcd: EtcdClient
    kubernetes: KubernetesClient
    authorities: Authorities

    def renew(self) -> None:
        """Take new certificates for the engine; to be called well before they end."""
        self.etcd.renew(_tls(self.authorities, IdentityKind.ETCD))
        self.kubernetes.renew(_credentials(self.settings, self.authorities))

    async def close(self) -> None:
        """End all connections."""
        await self.kubernetes.close()
        await self.etcd.close()


async def connect(cluster: Cluster) -> Clients:
    """Clients under certificates of hours. Opens no connection yet."""
    from risen.adapters.etcd.client import EtcdClient
    from risen.adapters.kubernetes.client import KubernetesClient
    from risen.adapters.local.endpoint import LocalEndpoint
    from risen.adapters.local.provider import LocalProvider

    authorities = await open_authorities(cluster)
    settings = local_settings(cluster, authorities)
    return Clients(
        settings,
        noted(LocalProvider(settings, images_of(cluster.host)), Provider),
        noted(LocalEndpoint(settings), Endpoint),
        noted(EtcdClient(_tls(authorities, IdentityKind.ETCD)), Etcd),
        noted(KubernetesClient(_credentials(settings, authorities)), Kubernetes),
        authorities,
    )


def identity_of(authorities: Authorities, kind: IdentityKind, hours: float) -> Identity:
    """A fresh identity from now on."""
    return short_lived(authorities, kind, hours, CLOCK.unix(), ENTROPY.token)


def _tls(authorities: Authorities, kind: IdentityKind) -> TlsIdentity:
    from risen.transport.tls import TlsIdentity

    made = identity_of(authorities, kind, ENGINE_HOURS)
    return TlsIdentity(made.certificate.encode(), made.key.encode(), made.authority.encode())


def _credentials(settings: LocalSettings, authorities: Authorities) -> Credentials:
    from risen.adapters.kubernetes.api import Credentials

    return Credentials(f"https://{settings.gateway}:6443", _tls(authorities, IdentityKind.CONTROLLER))


def engine_world(cluster: Cluster, clients: Clients, observer: Observer) -> EngineWorld:
    """The engine's world on this host."""
    from risen.services.revise import read_manifest

    return EngineWorld(
        provider=clients.provider,
        endpoint=clients.endpoint,
        etcd=clients.etcd,
        kubernetes=clients.kubernetes,
        store=cluster.store,
        leadership=cluster.leadership,
        clock=CLOCK,
        entropy=ENTROPY,
        user_data=_user_data(cluster, clients),
        manifest=partial(read_manifest, cluster.store),
        observer=observer,
        holder=f"{socket.gethostname()} {os.getpid()}",
    )


def _user_data(cluster: Cluster, clients: Clients) -> Callable[[Birth], bytes]:
    from risen.instance.userdata.cloud_config import UserData, render_cloud_config

    digest = hashlib.sha256(clients.authorities.named(JOIN).certificate.encode()).hexdigest()
    join_url = f"https://{clients.settings.gateway}:{JOIN_PORT}"

    def render(birth: Birth) -> bytes:
        ticket = make_ticket(clients.authorities.ticket_secret, cluster.uid, birth)
        told = UserData(birth.instance, birth.pool, cluster.uid, join_url, (digest,), ticket)
        return render_cloud_config(told)

    return render


def local_site(settings: LocalSettings) -> LocalSite:
    """What surrounds the instances of a local cluster."""
    from risen.adapters.local.site import LocalSite

    return LocalSite(settings)


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
    facts = EngineFacts(clients.provider, clients.etcd, records)
    desk = JoinDesk(about, facts, cluster.store, CLOCK, records.append, note)
    tls = JoinTls(clients.authorities, (address,), CLOCK, ENTROPY)
    listening = local_site(clients.settings).listen(address, JOIN_PORT)
    runner = await JoinService(desk).serve(listening, tls.context())
    try:
        yield
    finally:
        await runner.cleanup()


def site_on_host(host: Host, name: str) -> LocalSite:
    """The surroundings of a cluster as an earlier start kept them. Raises NotFound, Corrupt."""
    return local_site(read_site(host.home, name))


async def mend_site(host: Host, name: str) -> None:
    """Write a site.json that cannot be read anew, from the store, where that can tell what was in it."""
    with contextlib.suppress(InterfaceError):
        try:
            read_site(host.home, name)
        except Corrupt:
            write_site(local_settings(await open_cluster(host, name)))


async def start_all(host: Host, name: str) -> tuple[PowerResult, ...]:
    """Power every instance of a cluster on, without its store. Raises NotFound, Corrupt."""
    from risen.adapters.local import power

    return await power.start_all(host.home, name)


async def stop_all(host: Host, name: str) -> tuple[PowerResult, ...]:
    """Press every power button, workers first. Raises NotFound, Corrupt."""
    from risen.adapters.local import power

    return await power.stop_all(host.home, name)


async def destroy_all(host: Host, name: str) -> tuple[InstanceName, ...]:
    """Destroy every instance of a cluster, its data included. Raises NotFound, Corrupt."""
    from risen.adapters.local import power

    return await power.destroy_all(host.home, name)


def leadership_of(host: Host, name: str) -> DirectoryLeadership:
    """Who leads the cluster of that name."""
    return noted(DirectoryLeadership(host.folder(name) / "store", CLOCK), Leadership)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe on disk; its lock lies beside it."""

    file: Path

    @property
    def lock(self) -> Path:
        """`recipe.lock` beside `recipe.yaml`."""
        return self.file.with_suffix(".lock")


def lock_recipe(host: Host, recipe: Recipe, versions: tuple[str, ...], report: Report) -> None:
    """Resolve a recipe into its lock. Raises what `make_lock` raises."""
    from risen.adapters.builder.locking import LockRequest, make_lock

    make_lock(LockRequest(recipe.file, recipe.lock, host.cache, versions), report)


def bake_request(host: Host, recipe: Recipe, roles: tuple[Role, ...], version: str) -> BakeRequest:
    """An image per role, to be baked or foreseen: quick where nothing changed."""
    from risen.adapters.builder.bake import BakeRequest
    from risen.instance.content import image_content

    return BakeRequest(recipe.file, recipe.lock, host.home, host.cache, image_content, roles, version)


def kubectl_of(host: Host, version: str) -> Path:
    """The kubectl that was baked with this Kubernetes version. Raises NotFound."""
    from risen.adapters.builder.tools import tool_path

    program = tool_path(host.home, "kubernetes", version, "kubectl")
    if not program.exists():
        raise NotFound(f"{program}: not there; `risen bake` puts kubectl {version} there")
    return program
