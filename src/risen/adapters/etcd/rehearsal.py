"""Implements `interfaces.tasks.Snapshots`: a snapshot is taken, restored beside the cluster and compared with it.

A snapshot counts only once what was restored from it hashes like what every healthy voter holds. The newest of them
are kept on this host, readable by root alone. The cluster itself is only read.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from risen.adapters.etcd.client import EtcdClient
from risen.adapters.etcd.etcdutl import Programs, programs_of, restore
from risen.adapters.etcd.sandbox import DATA, KvHash, sandboxed
from risen.codec import records
from risen.core.names import MemberId
from risen.core.picture import EtcdSeen, MemberSeen
from risen.interfaces.builder import Images
from risen.interfaces.errors import Conflict, Later, NoCapacity, NotFound
from risen.interfaces.store import IfAbsent, IfVersion, Store
from risen.interfaces.tasks import TaskAnswer

KEPT = 3
ATTEMPTS = 5
AGAIN_SECONDS = 1.0
ROOM_FACTOR = 2.2
"""A snapshot and what is restored from it, and a little."""
PARTIAL, SANDBOX = ".partial", ".sandbox"


@dataclass(frozen=True, slots=True)
class Rehearsals:
    """Snapshots of one cluster's etcd, kept below its folder on this host. `unix` is the wall clock."""

    client: EtcdClient
    store: Store
    images: Images
    home: Path
    unix: Callable[[], float] = field(default=time.time)

    @property
    def folder(self) -> Path:
        """`clusters/NAME/snapshots`."""
        return self.home / "snapshots"

    async def rehearse(self) -> TaskAnswer:
        """See `Snapshots.rehearse`. Where etcd was compacted between two looks it is taken again."""
        began = self.unix()
        programs = await asyncio.to_thread(programs_of, self.images)
        for attempt in range(ATTEMPTS):
            seen = await self.client.observe_again()
            source = source_of(seen)
            answer = await self._once(programs, seen, source)
            if answer is not None:
                seconds = f", {self.unix() - began:.1f} s" if answer.ok else ""
                return TaskAnswer(answer.ok, f"{answer.text}{seconds}")
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(AGAIN_SECONDS)
        raise Later(f"etcd was compacted between snapshot and comparison {ATTEMPTS} times")

    async def _once(self, programs: Programs, seen: EtcdSeen, source: MemberSeen) -> TaskAnswer | None:
        """None where nothing can be compared: compact revisions differ."""
        await asyncio.to_thread(self.make_room, source.db_bytes)
        revision = await self.client.revision(source.id)
        behind = await self._behind(revision)
        if behind is not None:
            return behind
        partial, sandbox = self.folder / PARTIAL, self.folder / SANDBOX
        try:
            size = await self._take(source.id, partial)
            sandbox.mkdir(mode=0o700)
            await restore(programs.etcdutl, partial, sandbox / DATA)
            async with sandboxed(programs.etcd, sandbox) as etcd:
                restored = await etcd.hash_kv(revision)
            different = await self.compare(seen, restored)
            if different is None:
                return None
            if different:
                text = (
                    f"revision {revision} of {source.name} restored is not what {', '.join(different)} hold"
                )
                return TaskAnswer(False, text)
            await asyncio.to_thread(self._keep, partial, revision)
        finally:
            await asyncio.to_thread(self._clear)
        voters = sum(1 for member in seen.members if _may_be_asked(member))
        await self._remember(revision)
        mib = size / 2**20
        held_by = f"{voters} voter{'s' if voters != 1 else ''}"
        text = f"revision {revision} of {source.name}, {mib:.1f} MiB, restored and equal on {held_by}"
        return TaskAnswer(True, text)

    async def _take(self, member: MemberId, file: Path) -> int:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb", buffering=2**20) as opened:
                await self.client.snapshot(member, opened.write)
                opened.flush()
                await asyncio.to_thread(os.fsync, opened.fileno())
                return opened.tell()
        except OSError as error:
            raise NoCapacity(f"{file}: {error.strerror or error}") from error

    async def compare(self, seen: EtcdSeen, restored: KvHash) -> tuple[str, ...] | None:
        """Names of voters that hold something else at that revision; None where compact revisions differ.

        Of a revision up to its last compaction a member tells the hash that it had before it: only what is written
        after a compaction can be compared. Source: etcd 3.6 server/storage/mvcc/hash.go, HashByRev.
        """
        different: list[str] = []
        for member in seen.members:
            if not _may_be_asked(member):
                continue
            try:
                value, compacted = await self.client.hash_kv(member.id, restored.hash_revision)
            except NotFound:
                return None
            if max(compacted, 0) != max(restored.compact_revision, 0):
                return None
            if value != restored.hash:
                different.append(member.name)
        return tuple(different)

    # --- the high-water mark ------------------------------------------------------------------------------
    async def _behind(self, revision: int) -> TaskAnswer | None:
        """Whether etcd is behind what it was known to hold: then it has lost data, and no member is taken."""
        mark, _ = await self._mark()
        if mark is None or revision >= mark.revision:
            return None
        return TaskAnswer(
            False, f"etcd is at revision {revision}, behind {mark.revision} which it has had: data were lost"
        )

    async def _mark(self) -> tuple[records.EtcdRevision | None, str]:
        there = await self.store.get(records.ETCD_REVISION)
        if there is None:
            return None, ""
        return records.decode(there.data, records.EtcdRevision, records.ETCD_REVISION), there.version

    async def _remember(self, revision: int) -> None:
        mark, version = await self._mark()
        if mark is not None and mark.revision >= revision:
            return
        data = records.encode(records.EtcdRevision(revision, self.unix()))
        try:
            await self.store.put(
                records.ETCD_REVISION, data, IfVersion(version) if mark is not None else IfAbsent()
            )
        except Conflict as error:
            raise Later(f"{records.ETCD_REVISION} was written by somebody else meanwhile") from error

    # --- files --------------------------------------------------------------------------------------------
    def make_room(self, size: int) -> None:
        """The folder, without what a crash left in it. Raises NoCapacity."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clear()
        free = shutil.disk_usage(self.folder).free
        if free < ROOM_FACTOR * size:
            raise NoCapacity(
                f"{self.folder} has {free / 2**20:.0f} MiB free: a snapshot of {size / 2**20:.0f} MiB and its "
                "restoring do not fit"
            )

    def _clear(self) -> None:
        (self.folder / PARTIAL).unlink(missing_ok=True)
        shutil.rmtree(self.folder / SANDBOX, ignore_errors=True)

    def _keep(self, partial: Path, revision: int) -> None:
        """Under a name that sorts by time, and the oldest beyond the number that is kept deleted."""
        partial.replace(self.folder / f"{int(self.unix()):010d}-{revision}.db")
        for old in sorted(self.folder.glob("*.db"))[:-KEPT]:
            old.unlink(missing_ok=True)


def source_of(seen: EtcdSeen) -> MemberSeen:
    """Whose snapshot is taken: a healthy voter, rather one that does not lead, with the longest log. Raises Later."""
    if seen.quorum_lost:
        raise Later("etcd has no quorum: what a snapshot would hold is not known")
    voters = [member for member in seen.members if _may_be_asked(member)]
    if not voters:
        raise Later("no etcd member is healthy")
    return max(voters, key=lambda member: (not member.leader, member.raft_index, member.id))


def _may_be_asked(member: MemberSeen) -> bool:
    return member.healthy and not member.learner
