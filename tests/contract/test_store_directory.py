"""The contract of `interfaces.store`, held by the directory store against a real file system."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from risen.adapters.answer_file import noted
from risen.adapters.store.directory import DirectoryStore
from risen.interfaces.errors import Conflict, Corrupt, Denied, Invalid, NoCapacity, TooNew
from risen.interfaces.store import IfAbsent, IfVersion, Store

IS_ROOT = os.geteuid() == 0


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return noted(DirectoryStore.create(tmp_path / "store"), Store)


def small_mount(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "risen-test", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount_read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def fill(folder: Path) -> None:
    argv = ["dd", "if=/dev/zero", f"of={folder / 'filler'}", "bs=512"]
    subprocess.run(argv, check=False, capture_output=True)


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    yield from small_mount(tmp_path / "small", "size=96k")


async def test_absent_is_none_and_written_is_read_back(store: DirectoryStore) -> None:
    assert await store.get("births/worker-bcdfg") is None
    version = await store.put("births/worker-bcdfg", b"one")
    found = await store.get("births/worker-bcdfg")
    assert found is not None
    assert (found.data, found.version) == (b"one", version)


async def test_if_absent_refuses_what_exists_and_leaves_it(store: DirectoryStore) -> None:
    await store.put("cluster", b"first", IfAbsent())
    with pytest.raises(Conflict, match="cluster"):
        await store.put("cluster", b"second", IfAbsent())
    found = await store.get("cluster")
    assert found is not None and found.data == b"first"


async def test_if_version_goes_through_once(store: DirectoryStore) -> None:
    old = await store.put("spec/current", b"1")
    new = await store.put("spec/current", b"2", IfVersion(old))
    with pytest.raises(Conflict):
        await store.put("spec/current", b"3", IfVersion(old))
    assert new != old


async def test_equal_bytes_written_again_have_another_version(store: DirectoryStore) -> None:
    first = await store.put("spec/current", b"same")
    assert await store.put("spec/current", b"same") != first


async def test_a_version_is_never_used_twice_across_a_delete(store: DirectoryStore) -> None:
    old = await store.put("intents/a", b"x", IfAbsent())
    await store.delete("intents/a")
    await store.delete("intents/a")
    assert await store.get("intents/a") is None
    assert await store.list("intents/") == ()
    again = await store.put("intents/a", b"x", IfAbsent())
    assert again != old
    with pytest.raises(Conflict):
        await store.put("intents/a", b"y", IfVersion(old))


async def test_list_gives_keys_under_a_prefix_sorted(store: DirectoryStore) -> None:
    for key in ("births/b", "births/a", "births2/c", "births/deep/d", "cluster", "births"):
        await store.put(key, b"")
    assert await store.list("births/") == ("births/a", "births/b", "births/deep/d")
    assert await store.list("births") == ("births", "births/a", "births/b", "births/deep/d", "births2/c")
    assert len(await store.list("")) == 6
    assert await store.list("nothing/") == ()


@pytest.mark.parametrize("key", ["", "../x", "a/../b", "/a", "a//b", "A", "a b", ".hidden", "a/.b", "a\n"])
async def test_keys_outside_the_alphabet_are_refused(store: DirectoryStore, key: str) -> None:
    with pytest.raises(Invalid):
        await store.put(key, b"")


async def test_an_object_of_a_newer_format_is_too_new_to_be_read_or_overwritten(
    store: DirectoryStore, tmp_path: Path
) -> None:
    await store.put("cluster", b"uid")
    file = tmp_path / "store/objects/cluster.OBJECT"
    newer = file.read_bytes().replace(b"risen-object 2 ", b"risen-object 3 ")
    file.write_bytes(newer)
    with pytest.raises(TooNew, match=r"cluster\.OBJECT.*format 3, this one knows 2"):
        await store.get("cluster")
    with pytest.raises(TooNew):
        await store.put("cluster", b"other")
    with pytest.raises(TooNew):
        await store.delete("cluster")
    assert file.read_bytes() == newer


async def test_stream_counts_from_one_and_reads_after(store: DirectoryStore) -> None:
    assert await store.read("events") == ()
    assert [await store.append("events", b"%d\n" % n) for n in range(5)] == [1, 2, 3, 4, 5]
    assert await store.read("events", after=3) == ((4, b"3\n"), (5, b"4\n"))


async def test_two_stores_on_one_folder_append_without_gaps(tmp_path: Path) -> None:
    stores = [noted(DirectoryStore.create(tmp_path / "store"), Store) for _ in range(2)]
    seqs = await asyncio.gather(*(stores[n % 2].append("events", b"x") for n in range(40)))
    assert sorted(seqs) == list(range(1, 41))


async def test_a_torn_tail_is_ignored_and_then_cut_off(store: DirectoryStore, tmp_path: Path) -> None:
    await store.append("events", b"whole")
    file = tmp_path / "store/streams/events.STREAM"
    whole = file.read_bytes()
    await store.append("events", b"torn by a crash")
    full = file.read_bytes()
    for cut in range(len(whole) + 1, len(full)):
        file.write_bytes(full[:cut])
        assert await store.read("events") == ((1, b"whole"),), cut
        fresh = noted(DirectoryStore(tmp_path / "store"), Store)
        assert await fresh.append("events", b"next") == 2
        assert await fresh.read("events") == ((1, b"whole"), (2, b"next"))


async def test_a_stream_corrupted_before_its_tail_names_its_file(
    store: DirectoryStore, tmp_path: Path
) -> None:
    for _ in range(3):
        await store.append("events", b"payload")
    file = tmp_path / "store/streams/events.STREAM"
    data = bytearray(file.read_bytes())
    data[data.index(b"payload")] ^= 1
    file.write_bytes(data)
    with pytest.raises(Corrupt, match=r"events\.STREAM: record 1"):
        await store.read("events")
    with pytest.raises(Corrupt):
        await noted(DirectoryStore(tmp_path / "store"), Store).append("events", b"more")


async def test_one_corrupted_object_is_named_and_the_others_live(
    store: DirectoryStore, tmp_path: Path
) -> None:
    await store.put("births/a", b"payload")
    await store.put("births/b", b"payload")
    file = tmp_path / "store/objects/births/a.OBJECT"
    whole = file.read_bytes()
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1
        file.write_bytes(changed)
        with pytest.raises(Corrupt, match=r"births/a\.OBJECT"):
            await store.get("births/a")
    file.write_bytes(whole[:-1])
    with pytest.raises(Corrupt):
        await store.put("births/a", b"over", IfVersion("1-x"))
    found = await store.get("births/b")
    assert found is not None and found.data == b"payload"


async def test_a_remote_file_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="NFS"):
        noted(DirectoryStore(tmp_path, kind_of=lambda _: 0x6969), Store)


async def read_only_store_is_denied(root: Path) -> None:
    store = noted(DirectoryStore(root), Store)
    found = await store.get("cluster")
    assert found is not None and found.data == b"uid"
    assert await store.list("") == ("cluster",)
    with pytest.raises(Denied):
        await store.put("cluster", b"other")
    with pytest.raises(Denied):
        await store.append("events", b"x")
    with pytest.raises(Denied):
        await store.delete("cluster")


@pytest.mark.root
async def test_a_store_mounted_read_only_is_read_but_denies_writes(small_disk: Path) -> None:
    await noted(DirectoryStore(small_disk), Store).put("cluster", b"uid")
    remount_read_only(small_disk)
    await read_only_store_is_denied(small_disk)


@pytest.mark.root
async def test_a_full_disk_leaves_the_old_object_whole(small_disk: Path) -> None:
    store = noted(DirectoryStore(small_disk), Store)
    version = await store.put("spec/current", b"o" * 4096)
    await store.append("events", b"before")
    with pytest.raises(NoCapacity):
        await store.put("spec/current", b"n" * 200_000, IfVersion(version))
    with pytest.raises(NoCapacity):
        await store.append("events", b"e" * 200_000)
    found = await store.get("spec/current")
    assert found is not None and (found.data, found.version) == (b"o" * 4096, version)
    assert await store.append("events", b"after") == 2
    assert await store.read("events") == ((1, b"before"), (2, b"after"))
    assert not [name for name in os.listdir(small_disk) if name.startswith("writing")]


async def test_on_a_full_disk_what_is_there_stays_and_what_is_absent_is_deleted_already(
    small_disk: Path,
) -> None:
    store = noted(DirectoryStore(small_disk), Store)
    await store.put("intents/kill-1", b"x")
    fill(small_disk)
    with pytest.raises(NoCapacity):
        await store.delete("intents/kill-1")
    await store.delete("intents/kill-2")
    assert await store.list("intents/") == ("intents/kill-1",)


WRITER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from risen.adapters.store.directory import DirectoryStore
    from risen.interfaces.errors import Conflict
    from risen.interfaces.store import IfAbsent, IfVersion

    async def main(root, me, rounds):
        store = DirectoryStore(Path(root))
        for number in range(rounds):
            try:
                await store.put(f"absent/{number}", me.encode(), IfAbsent())
                print("absent", number)
            except Conflict:
                pass
            while True:
                there = await store.get("counter")
                if int(there.data) > number:
                    break
                try:
                    await store.put("counter", b"%d" % (number + 1), IfVersion(there.version))
                    print("version", number)
                except Conflict:
                    pass
            await store.append("events", me.encode())

    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    """
)


async def test_eight_writers_fifty_rounds_have_exactly_one_winner_each(
    store: DirectoryStore, tmp_path: Path
) -> None:
    await store.put("counter", b"0")
    writers = [start(WRITER, str(tmp_path / "store"), f"w{n}", "50") for n in range(8)]
    won = [line for writer in writers for line in writer.communicate(timeout=120)[0].splitlines()]
    assert [writer.returncode for writer in writers] == [0] * 8
    assert sorted(won) == sorted(f"{kind} {n}" for kind in ("absent", "version") for n in range(50))
    assert [seq for seq, _ in await store.read("events")] == list(range(1, 401))


KILLED = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from risen.adapters.store.directory import DirectoryStore

    async def main(root):
        store = DirectoryStore(Path(root))
        print("ready", flush=True)
        number = 0
        while True:
            number += 1
            await store.put("big", bytes([number % 256]) * 300_000)
            await store.append("events", b"%d" % number * 1000)

    asyncio.run(main(sys.argv[1]))
    """
)


async def test_a_writer_killed_during_put_leaves_old_or_new(store: DirectoryStore, tmp_path: Path) -> None:
    for attempt in range(12):
        with start(KILLED, str(tmp_path / "store")) as writer:
            assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
            await asyncio.sleep(0.01 + 0.013 * attempt)
            writer.kill()
        found = await store.get("big")
        assert found is None or found.data == found.data[:1] * 300_000
        seqs = [seq for seq, _ in await store.read("events")]
        assert seqs == list(range(1, len(seqs) + 1))
        assert await store.append("events", b"after the crash") == len(seqs) + 1
