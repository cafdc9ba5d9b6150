"""A cluster to join, for tests: real authorities, a real directory store, facts that tests set."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket
from tempfile import TemporaryDirectory
from types import MappingProxyType

from risen.adapters.store.directory import DirectoryStore
from risen.authority.authorities import Authorities
from risen.authority.certificates import purposes_of
from risen.authority.founding import make_authorities
from risen.authority.grant import InstanceAt
from risen.authority.tickets import make_ticket
from risen.codec import records
from risen.core.events import Event
from risen.core.names import (
    ClusterUid,
    ImageDigest,
    InstanceName,
    MemberId,
    PoolName,
    ProviderId,
    ReleaseId,
    Role,
)
from risen.core.picture import EtcdSeen, MemberSeen
from risen.core.spec import ClusterSpec, PoolSpec
from risen.core.step import Birth, Bootstrap
from risen.instance.answer import render_release
from risen.instance.release import Release
from risen.interfaces.errors import Unreachable
from risen.interfaces.store import IfAbsent, Store
from risen.services.join import JoinService
from risen.services.join_desk import JoinDesk
from risen.services.join_facts import JoinCluster
from risen.services.join_tls import JoinTls

UID = ClusterUid("0123456789abcdef")
NOW = float(int(time.time()))
HERE = "127.0.0.1"
WORKER = InstanceName("worker-bcdfg")
FOUNDER = InstanceName("control-plane-hjkl2")
SECOND = InstanceName("control-plane-mnpq4")
REGISTRY = "registry.example.com:5000"
SPEC = ClusterSpec(
    "dev",
    "1.36.3",
    (
        PoolSpec(PoolName("control-plane"), Role.CONTROL_PLANE, 3),
        PoolSpec(PoolName("worker"), Role.WORKER, 2),
    ),
    cert_sans=("api.example.net", "192.0.2.7"),
    registries=(REGISTRY,),
)


def tokens(seed: str) -> Tokens:
    return Tokens(seed)


@dataclass
class Tokens:
    """Random bytes from a seed, so that a test makes the same authorities twice."""

    seed: str
    drawn: int = 0

    def __call__(self, count: int) -> bytes:
        self.drawn += 1
        return hashlib.shake_256(f"{self.seed} {self.drawn}".encode()).digest(count)

    def token(self, count: int) -> bytes:
        return self(count)

    def suffix(self) -> str:
        return "bcdfg"


AUTHORITIES: Authorities = make_authorities("dev", NOW - 86400, tokens("authorities"))


def birth(name: InstanceName, role: Role = Role.WORKER) -> Birth:
    return Birth(
        instance=name,
        pool=PoolName(role.value),
        role=role,
        release=ReleaseId("r-0123456789ab"),
        image=ImageDigest("sha256:" + "0" * 64),
        nonce=hashlib.sha256(name.encode()).hexdigest()[:32],
        reason="bring-up",
        born_unix=NOW - 60,
    )


def ticket_of(one: Birth) -> str:
    return make_ticket(AUTHORITIES.ticket_secret, UID, one)


def csrs_of(role: Role, which: str = "first") -> Mapping[str, bytes]:
    """Keys and CSRs as the join script makes them, by openssl; `which` names one of several sets."""
    return _csrs_of(role, which)


@cache
def _csrs_of(role: Role, which: str) -> Mapping[str, bytes]:
    found = {}
    with TemporaryDirectory(prefix=f"csrs-{which}-") as folder:
        for purpose in purposes_of(role):
            key = f"{folder}/{purpose.name}.key"
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
            found[purpose.name] = openssl("req", "-new", "-key", key, "-subj", "/O=system:masters/CN=root")
    return MappingProxyType(found)


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True).stdout


@dataclass
class HandClock:
    """Stands at NOW until a test moves it; sleeps for real."""

    now: float = NOW

    def unix(self) -> float:
        return self.now

    def boot(self) -> float:
        return self.now - NOW

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Facts:
    """What provider and etcd say."""

    at: dict[InstanceName, InstanceAt] = field(default_factory=dict)
    etcd: EtcdSeen | None = None
    unreachable: bool = False
    auths: dict[str, str] = field(default_factory=lambda: {REGISTRY: "dTpw"})
    etcd_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def place(self, name: InstanceName, address: str | None = HERE) -> None:
        self.at[name] = InstanceAt(ProviderId(f"risen-local://dev/{name}/1"), address, NOW - 30)

    async def address_of(self, instance: InstanceName) -> InstanceAt | None:
        if self.unreachable:
            raise Unreachable("provider: not there")
        return self.at.get(instance)

    async def etcd_members(self) -> EtcdSeen:
        self.etcd_asked.set()
        if self.etcd is None:
            raise Unreachable("etcd: nobody answers")
        return self.etcd

    async def release_of(self, birth: Birth) -> Release:
        pool = next(one for one in SPEC.pools if one.role is birth.role)
        return render_release(SPEC, pool, birth.image)

    async def registry_auths(self) -> Mapping[str, str]:
        return self.auths


def member(name: str, address: str, *, learner: bool = False) -> MemberSeen:
    return MemberSeen(MemberId(str(abs(hash(address)))), name, f"https://{address}:2380", learner, True)


@dataclass
class World:
    """A join service on a loopback port, and all it stands on."""

    store: Store
    facts: Facts
    clock: HandClock
    service: JoinService
    events: list[Event]
    notes: list[str]
    port: int = 0

    async def bear(self, name: InstanceName, role: Role = Role.WORKER, address: str | None = HERE) -> Birth:
        one = birth(name, role)
        await self.store.put(records.birth_key(name), records.encode(one), IfAbsent())
        self.facts.place(name, address)
        return one

    async def bootstrap(self, founder: InstanceName) -> None:
        value = Bootstrap(1, founder, "token-1")
        await self.store.put(records.bootstrap_key(1), records.encode(value), IfAbsent())


def make_world(store: Store) -> World:
    events: list[Event] = []
    notes: list[str] = []
    facts, clock = Facts(), HandClock()

    async def emit(event: Event) -> None:
        await store.append(records.EVENTS, records.encode(event))
        events.append(event)

    cluster = JoinCluster(UID, "10.77.0.1", AUTHORITIES)
    desk = JoinDesk(cluster, facts, store, clock, emit, notes.append)
    return World(store, facts, clock, JoinService(desk), events, notes)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[World]:
    """A world whose service listens on loopback over TLS."""
    world = make_world(DirectoryStore.create(folder / "store"))
    with socket(AF_INET, SOCK_STREAM) as listening:
        listening.bind((HERE, 0))
        listening.listen(16)
        world.port = listening.getsockname()[1]
        tls = JoinTls(AUTHORITIES, (HERE,), world.clock, tokens("tls"))
        runner = await world.service.serve(listening, tls.context())
        try:
            yield world
        finally:
            await runner.cleanup()
