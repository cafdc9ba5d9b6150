"""A host, and a cluster on it whose store is opened: where adapters of the store are chosen."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from risen.adapters.local.heartbeat import Heartbeat
from risen.adapters.local.settings import LocalSettings
from risen.adapters.store.directory import LOCK, DirectoryStore
from risen.adapters.store.files import trouble_of
from risen.adapters.store.leadership import DirectoryLeadership
from risen.adapters.store.sealing_key import create_sealing_key, read_sealing_key
from risen.adapters.system import SystemClock, SystemEntropy
from risen.codec import records
from risen.core.names import ClusterUid
from risen.core.spec import ClusterSpec, Revision
from risen.engine.record import read_newest
from risen.interfaces.errors import Conflict, InterfaceError, Invalid, NotFound
from risen.interfaces.store import IfAbsent, Leadership, Store

if TYPE_CHECKING:
    from risen.authority.authorities import Authorities
    from risen.interfaces.checks import HostReport
    from risen.services.credentials import Credentials

T = TypeVar("T")
CLOCK = SystemClock()
ENTROPY = SystemEntropy()


@dataclass(frozen=True, slots=True)
class Host:
    """Where Risen keeps its things on this host."""

    home: Path
    cache: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Host:
        """RISEN_HOME and RISEN_CACHE, or their defaults; absolute, because the controller runs in `/`. Raises Invalid
        for RISEN_STORE: who sets it means another store than the one that would be taken."""
        if environment.get("RISEN_STORE"):
            raise Invalid(
                "RISEN_STORE is not built yet; this Risen has: the folder RISEN_HOME/clusters/NAME/store (unset "
                "RISEN_STORE to go on with that)"
            )
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
        create_sealing_key(host.key_file(name), ENTROPY.token(32))
        await own_credentials(host, name, store).found(name)
        record = records.ClusterRecord(ClusterUid(ENTROPY.token(16).hex()), name, CLOCK.unix())
        with contextlib.suppress(Conflict):
            await store.put(records.CLUSTER, records.encode(record), IfAbsent())
    return await open_cluster(host, name)


async def open_cluster(host: Host, name: str) -> Cluster:
    """The cluster of that name on this host. Raises NotFound, Corrupt, TooNew."""

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
    return await own_credentials(cluster.host, cluster.name, cluster.store).authorities()


def own_credentials(host: Host, name: str, store: Store) -> Credentials:
    """What opens the cluster's authorities. Raises NotFound or Denied for the sealing key."""
    from risen.services.credentials import Credentials

    return Credentials(store, read_sealing_key(host.key_file(name)), CLOCK, ENTROPY)


def examine_host(host: Host, spec: ClusterSpec | None, surge: int | None = None) -> HostReport:
    """Whether this host can carry that cluster (or, with None, the one that `risen init` writes); with `surge`
    only whether there is room for so many more instances of it while it is rolled."""
    from risen.adapters.local.checks import examine, examine_surge, wanted_for

    wanted = wanted_for(spec, host.home)
    if surge is not None:
        return examine_surge(wanted, surge)
    return examine(replace(wanted, cache=host.cache, bakes=not _has_images(host)))


def _has_images(host: Host) -> bool:
    """A record that cannot be read is an image, too: who wants it is told by name."""
    from risen.bootstrap.bakes import images_of

    try:
        return bool(images_of(host).list())
    except InterfaceError:
        return True


def local_settings(cluster: Cluster, authorities: Authorities | None = None) -> LocalSettings:
    """What the local provider, site and endpoint of a cluster are made from."""
    local, networking = cluster.spec.provider, cluster.spec.networking
    ca = None if authorities is None else authorities.cluster.certificate.encode()
    at_boot = (sys.executable, "-m", "risen.cli.main")
    every = local.endpoint_check_seconds
    return LocalSettings(
        cluster.name, cluster.uid, cluster.host.home, local.subnet, local.disk_gib, ca, at_boot, every,
        local.memory_gib, _most_instances(cluster.spec), networking.pod_subnet, networking.service_subnet,
    )  # fmt: skip


def _most_instances(spec: ClusterSpec) -> int:
    """That may be up at once: as many as an autoscaler may ask for, and more of each pool while it is rolled."""
    from risen.core.rules.rollout import most_surge

    return sum(max(pool.replicas, pool.max_replicas or 0) + most_surge(pool) for pool in spec.pools)


def leadership_of(host: Host, name: str) -> DirectoryLeadership:
    """Who leads the cluster of that name."""
    return noted(DirectoryLeadership(host.folder(name) / "store", CLOCK), Leadership)


def store_trouble(host: Host, name: str) -> str:
    """Why the store of that cluster cannot be written now; empty where it can."""
    return trouble_of(host.folder(name) / "store" / LOCK)


def heartbeat_of(settings: LocalSettings) -> Heartbeat:
    """When the controller of a local cluster last went about its work."""
    return Heartbeat(settings.runtime / "controller")


def noted(real: T, interface: type) -> T:
    """As it is, or with its answers noted where the environment asks for that (`adapters.answer_file`)."""
    if "RISEN_RECORD_ANSWERS" not in os.environ:
        return real
    from risen.adapters.answer_file import noted

    return noted(real, interface)
