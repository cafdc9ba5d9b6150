"""A snapshot of real etcd: taken from a follower, restored in a sandbox and compared with what the members hold."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import stat
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from servers import EtcdMember, EtcdServers, component_binary, etcd_servers, write_identity

from risen.adapters.answer_file import noted
from risen.adapters.etcd import EtcdClient
from risen.adapters.etcd.etcdutl import programs_of, restore
from risen.adapters.etcd.rehearsal import KEPT, Rehearsals
from risen.adapters.etcd.sandbox import DATA, sandboxed
from risen.adapters.store.directory import DirectoryStore
from risen.codec import records
from risen.core.names import ImageDigest, Role
from risen.interfaces.builder import BakedImage
from risen.interfaces.errors import Corrupt, Later, NoCapacity, NotFound, Unreachable
from risen.interfaces.etcd import Etcd
from risen.interfaces.store import Store

pytestmark = pytest.mark.root


@dataclass(frozen=True)
class OneImage:
    """A shelf whose control-plane image has the compiled programs in it."""

    layer: Path

    def get(self, digest: ImageDigest) -> BakedImage:
        return self.list()[0]

    def list(self) -> tuple[BakedImage, ...]:
        return (BakedImage(ImageDigest("sha256:cp"), Role.CONTROL_PLANE, (self.layer,), 1),)


@dataclass
class Ground:
    """Three members, and what a controller has beside them."""

    servers: EtcdServers
    folder: Path
    client: EtcdClient
    store: DirectoryStore
    images: OneImage
    seconds: int = field(default=1_800_000_000)

    @property
    def rehearsals(self) -> Rehearsals:
        return Rehearsals(self.client, self.store, self.images, self.folder, self.now)

    def now(self) -> float:
        self.seconds += 1
        return float(self.seconds)

    async def observe(self) -> None:
        await self.client.observe(tuple(member.address for member in self.servers.members))

    def call(self, member: EtcdMember, path: str, body: dict[str, object]) -> dict[str, object]:
        """One call of the gateway, as a writer would make it."""
        certificate, key, authorities = write_identity(self.folder, "writer", self.servers.identity)
        context = ssl.create_default_context(cafile=authorities)
        context.load_cert_chain(certificate, key)
        request = urllib.request.Request(f"https://{member.address}/v3/{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return dict(json.load(answer))

    def put(self, key: str, value: bytes) -> int:
        """Write a key; the revision it has."""
        encoded = {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(value).decode()}
        answer = self.call(self.servers.members[0], "kv/put", dict(encoded))
        header = answer["header"]
        assert isinstance(header, dict)
        return int(header["revision"])

    def kept(self) -> list[Path]:
        return sorted((self.folder / "snapshots").iterdir())


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServers]:
    with etcd_servers(tmp_path_factory.mktemp("three"), 3) as servers:
        yield servers


@contextlib.asynccontextmanager
async def ground_of(servers: EtcdServers, folder: Path) -> AsyncIterator[Ground]:
    layer = folder / "layer"
    (layer / "usr/bin").mkdir(parents=True)
    for program in ("etcd", "etcdutl"):
        (layer / "usr/bin" / program).symlink_to(component_binary(program))
    client = noted(EtcdClient(servers.identity), Etcd)
    store = noted(DirectoryStore.create(folder / "store"), Store)
    ground = Ground(servers, folder, client, store, OneImage(layer))
    await ground.observe()
    try:
        yield ground
    finally:
        await client.close()


@pytest.fixture
async def ground(three: EtcdServers, tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground_of(three, tmp_path) as made:
        yield made


async def test_twelve_mebibytes_are_taken_restored_and_found_equal(ground: Ground) -> None:
    for number in range(12):
        ground.put(f"large/{number}", os.urandom(2**20))
    answer = await ground.rehearsals.rehearse()
    assert answer.ok, answer.text
    assert "restored and equal on 3 voters" in answer.text
    (kept,) = ground.kept()
    assert kept.stat().st_size > 12 * 2**20


async def test_keys_with_a_lease_as_kubernetes_writes_them_are_compared(ground: Ground) -> None:
    lease = ground.call(ground.servers.members[0], "lease/grant", {"TTL": "3600"})["ID"]
    key = base64.b64encode(b"/registry/events/default/web").decode()
    ground.call(ground.servers.members[0], "kv/put", {"key": key, "value": key, "lease": lease})
    answer = await ground.rehearsals.rehearse()
    assert answer.ok, answer.text


async def test_a_snapshot_is_kept_for_root_alone_and_nothing_else_stays_behind(ground: Ground) -> None:
    snapshots = ground.folder / "snapshots"
    (snapshots / ".sandbox" / "member").mkdir(parents=True)
    (snapshots / ".partial").write_bytes(b"left by a crash")
    snapshots.chmod(0o700)
    answer = await ground.rehearsals.rehearse()
    assert answer.ok, answer.text
    (kept,) = ground.kept()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (snapshots, kept)]
    assert modes == [0o700, 0o600]


async def test_only_the_newest_are_kept(ground: Ground) -> None:
    names = []
    for number in range(KEPT + 2):
        ground.put("counted", str(number).encode())
        assert (await ground.rehearsals.rehearse()).ok
        names.append(ground.kept()[-1].name)
    assert [path.name for path in ground.kept()] == names[-KEPT:]


async def test_after_a_compaction_it_is_compared_at_equal_compact_revisions(ground: Ground) -> None:
    for number in range(50):
        revision = ground.put("compacted", str(number).encode())
    ground.call(ground.servers.members[0], "kv/compaction", {"revision": str(revision), "physical": True})
    rehearsing = asyncio.create_task(ground.rehearsals.rehearse())
    while not rehearsing.done():
        await asyncio.to_thread(ground.put, "compacted", b"and on it goes")
        await asyncio.sleep(0.2)
    answer = rehearsing.result()
    assert answer.ok, answer.text


async def test_what_the_members_do_not_hold_is_told_apart(ground: Ground) -> None:
    """A restored database of the same etcd at an earlier revision: as if the snapshot had missed a write."""
    ground.put("told", b"apart")
    assert (await ground.rehearsals.rehearse()).ok
    programs, sandbox = programs_of(ground.images), ground.folder / "sandbox"
    sandbox.mkdir()
    await restore(programs.etcdutl, ground.kept()[-1], sandbox / DATA)
    seen = await ground.client.observe_again()
    revision = await ground.client.revision(seen.members[0].id)
    async with sandboxed(programs.etcd, sandbox) as etcd:
        now, earlier = await etcd.hash_kv(revision), await etcd.hash_kv(revision - 1)
    assert await ground.rehearsals.compare(seen, now) == ()
    mixed = type(now)(earlier.hash, now.hash_revision, now.compact_revision)
    different = await ground.rehearsals.compare(seen, mixed)
    assert different is not None and sorted(different) == ["m0", "m1", "m2"]


async def test_the_highest_revision_is_remembered_and_an_etcd_behind_it_is_no_good(ground: Ground) -> None:
    revision = ground.put("high", b"water")
    assert (await ground.rehearsals.rehearse()).ok
    there = await ground.store.get(records.ETCD_REVISION)
    assert there is not None
    mark = records.decode(there.data, records.EtcdRevision, records.ETCD_REVISION)
    assert mark.revision >= revision
    ahead = records.encode(records.EtcdRevision(revision + 10**6, mark.unix))
    await ground.store.put(records.ETCD_REVISION, ahead)
    answer = await ground.rehearsals.rehearse()
    assert (answer.ok, "data were lost" in answer.text) == (False, True)


async def test_a_snapshot_that_was_damaged_on_its_way_is_not_restored(ground: Ground) -> None:
    assert (await ground.rehearsals.rehearse()).ok
    damaged = ground.folder / "damaged.db"
    data = bytearray(ground.kept()[-1].read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(Corrupt):
        await restore(programs_of(ground.images).etcdutl, damaged, ground.folder / "sandbox")


async def test_without_room_or_program_it_is_refused_by_name(ground: Ground) -> None:
    with pytest.raises(NoCapacity, match="do not fit"):
        ground.rehearsals.make_room(2**60)
    with pytest.raises(NotFound, match="etcdutl"):
        programs_of(OneImage(ground.folder / "nothing"))


async def test_it_is_taken_from_a_follower_and_of_the_others_when_one_is_down(tmp_path: Path) -> None:
    (tmp_path / "etcd").mkdir()
    with etcd_servers(tmp_path / "etcd", 3) as servers:
        async with ground_of(servers, tmp_path) as ground:
            seen = await ground.client.observe_again()
            leader = next(member.name for member in seen.members if member.leader)
            followers = [member for member in servers.members if member.name != leader]
            followers[0].program.kill()
            answer = await ground.rehearsals.rehearse()
            assert answer.ok, answer.text
            assert f"of {followers[1].name}" in answer.text
            assert "equal on 2 voters" in answer.text
            followers[1].program.kill()
            with pytest.raises((Later, Unreachable)):
                await ground.rehearsals.rehearse()
            assert len(ground.kept()) == 1


async def test_the_only_voter_is_asked_where_there_is_no_other(tmp_path: Path) -> None:
    (tmp_path / "etcd").mkdir()
    with etcd_servers(tmp_path / "etcd", 1) as servers:
        async with ground_of(servers, tmp_path) as ground:
            answer = await ground.rehearsals.rehearse()
            assert answer.ok and "of m0" in answer.text and "equal on 1 voter," in answer.text
