"""The directory store under writers that are told to stop, and objects of its older format."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from risen.adapters.answer_file import noted
from risen.adapters.store.directory import LOCK, DirectoryStore
from risen.adapters.store.files import open_lock, try_lock
from risen.interfaces.errors import Conflict, Corrupt
from risen.interfaces.store import IfAbsent, IfVersion, Store


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return noted(DirectoryStore.create(tmp_path / "store"), Store)


SLOW = textwrap.dedent(
    """
    import asyncio, os, sys
    from pathlib import Path
    from risen.adapters.store.directory import DirectoryStore

    fast = os.ftruncate

    def slow(descriptor, length):
        print("between its read and its write", flush=True)
        os.read(0, 1)
        fast(descriptor, length)

    os.ftruncate = slow
    asyncio.run(DirectoryStore(Path(sys.argv[1])).append("events", b"of the interrupted"))
    """
)


async def test_an_append_that_is_interrupted_overwrites_no_other_programs(
    store: DirectoryStore, tmp_path: Path
) -> None:
    pipe = asyncio.subprocess.PIPE
    argv = (sys.executable, "-c", SLOW, str(tmp_path / "store"))
    writer = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
    assert writer.stdout is not None
    assert b"its read" in await writer.stdout.readline()
    writer.send_signal(signal.SIGINT)
    appending = asyncio.ensure_future(store.append("events", b"answered"))
    done, _ = await asyncio.wait([appending], timeout=0.5)
    assert not done, "it wrote between the other's read and write"
    await writer.communicate(b"on")
    assert (await appending, b"answered") in await store.read("events")


async def test_who_is_cancelled_waits_for_the_write_that_was_begun(store: DirectoryStore) -> None:
    for attempt in range(20):
        writing = asyncio.ensure_future(store.append("events", b"x" * 300_000))
        await asyncio.sleep(0.0005 * attempt)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        before = await store.read("events")
        await asyncio.sleep(0.02)
        assert await store.read("events") == before


async def test_who_is_cancelled_before_it_has_the_lock_writes_nothing(
    store: DirectoryStore, tmp_path: Path
) -> None:
    held = open_lock(tmp_path / "store" / LOCK)
    assert try_lock(held)
    waiting = asyncio.ensure_future(store.append("events", b"x"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    async with asyncio.timeout(1.0):
        await asyncio.gather(waiting, return_exceptions=True)
    os.close(held)
    await asyncio.sleep(0.05)
    assert await store.read("events") == ()


async def test_what_killed_writers_left_is_gone_with_the_next_write(
    store: DirectoryStore, tmp_path: Path
) -> None:
    for name in ("writing", "writing-0123456789abcdef"):
        (tmp_path / "store" / name).write_bytes(b"half")
    await store.put("cluster", b"uid")
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["objects", LOCK]


async def test_the_bytes_of_another_object_are_corrupt(store: DirectoryStore, tmp_path: Path) -> None:
    await store.put("births/a", b"of a")
    await store.put("births/b", b"of b")
    folder = tmp_path / "store/objects/births"
    (folder / "b.OBJECT").write_bytes((folder / "a.OBJECT").read_bytes())
    with pytest.raises(Corrupt, match=r"births/b\.OBJECT"):
        await store.get("births/b")


async def test_an_object_of_format_1_is_read_and_overwritten_by_its_version(
    store: DirectoryStore, tmp_path: Path
) -> None:
    digest = hashlib.sha256(b"7\nuid").hexdigest()
    file = tmp_path / "store/objects/cluster.OBJECT"
    file.parent.mkdir()
    file.write_bytes(b"risen-object 1 7 3 %s\nuid" % digest.encode())
    found = await store.get("cluster")
    assert found is not None and (found.data, found.version) == (b"uid", f"7-{digest[:32]}")
    with pytest.raises(Conflict):
        await store.put("cluster", b"other", IfAbsent())
    assert (await store.put("cluster", b"next", IfVersion(found.version))).startswith("8-")
    assert file.read_bytes().startswith(b"risen-object 2 8 4 ")
