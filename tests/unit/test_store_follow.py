"""Who follows a stream reads what was appended and no more, whoever appended it and however a crash tore it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risen.adapters.store.directory import DirectoryStore
from risen.adapters.store.streams import (
    START,
    append_record,
    nearest,
    read_stream,
    remembered,
    render_record,
    scan,
)
from risen.interfaces.errors import Corrupt


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore.create(tmp_path / "store")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store/streams/events.STREAM"


def bytes_of(file: Path) -> bytes:
    return file.read_bytes()


def replace_with(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def append_elsewhere(root: Path) -> None:
    """Another program adds a record."""
    program = (
        "import asyncio, sys; from pathlib import Path;"
        "from risen.adapters.store.directory import DirectoryStore;"
        "asyncio.run(DirectoryStore(Path(sys.argv[1])).append('events', b'theirs'))"
    )
    subprocess.run([sys.executable, "-c", program, str(root)], check=True)


def spoil(file: Path, text: bytes) -> None:
    """Change one byte of what was written; who reads it again notices."""
    content = bytearray(file.read_bytes())
    content[content.index(text)] ^= 1
    file.write_bytes(content)


async def test_what_was_read_once_is_not_read_again(store: DirectoryStore, file: Path) -> None:
    await store.append("events", b"the first")
    assert await store.read("events") == ((1, b"the first"),)
    spoil(file, b"the first")
    assert await store.read("events", after=1) == ()
    await store.append("events", b"the second")
    assert await store.read("events", after=1) == ((2, b"the second"),)
    with pytest.raises(Corrupt, match="record 1"):
        await store.read("events")


async def test_two_who_follow_at_a_pace_of_their_own_each_read_on_from_where_they_were(
    store: DirectoryStore, file: Path
) -> None:
    for number in range(1, 7):
        await store.append("events", b"event %d" % number)
    assert await store.read("events", most=2) == ((1, b"event 1"), (2, b"event 2"))
    assert await store.read("events", after=2, most=2) == ((3, b"event 3"), (4, b"event 4"))
    spoil(file, b"event 1")
    assert [seq for seq, _ in await store.read("events", after=2)] == [3, 4, 5, 6]
    assert [seq for seq, _ in await store.read("events", after=4)] == [5, 6]


async def test_what_another_program_appends_is_followed(store: DirectoryStore, tmp_path: Path) -> None:
    await store.append("events", b"ours")
    await store.read("events")
    append_elsewhere(tmp_path / "store")
    assert await store.read("events", after=1) == ((2, b"theirs"),)
    assert await store.append("events", b"ours again") == 3
    assert await store.read("events", after=2) == ((3, b"ours again"),)


async def test_a_record_that_arrives_in_pieces_is_read_once_it_is_whole(
    store: DirectoryStore, file: Path
) -> None:
    await store.append("events", b"whole")
    await store.read("events")
    before, record = bytes_of(file), render_record(2, b"in pieces")
    for cut in range(1, len(record)):
        replace_with(file, before + record[:cut])
        assert await store.read("events", after=1) == (), cut
    replace_with(file, before + record)
    assert await store.read("events", after=1) == ((2, b"in pieces"),)


async def test_a_torn_last_record_is_passed_over_and_what_is_written_in_its_place_is_read(
    store: DirectoryStore, file: Path, tmp_path: Path
) -> None:
    await store.append("events", b"whole")
    before, record = bytes_of(file), render_record(2, b"torn by a power cut")
    for torn in (record[:9], record[:-1], record[:-5] + b"\0" * 5, b"\0" * 300):
        replace_with(file, before)
        reader = DirectoryStore(tmp_path / "store")
        assert await reader.read("events") == ((1, b"whole"),)
        replace_with(file, before + torn)
        assert await reader.read("events", after=1) == ()
        other = DirectoryStore(tmp_path / "store")
        assert await other.append("events", b"in its place") == 2
        assert await reader.read("events", after=1) == ((2, b"in its place"),)


@pytest.mark.parametrize("others", [1, 2, 40])
async def test_a_stream_put_back_from_a_backup_is_read_from_its_beginning(
    store: DirectoryStore, file: Path, tmp_path: Path, others: int
) -> None:
    for number in range(20):
        await store.append("events", b"event %d" % number)
    await store.read("events")
    other = DirectoryStore.create(tmp_path / "other")
    for number in range(others):
        await other.append("events", b"a longer record of another stream, number %d" % number)
    replace_with(file, bytes_of(tmp_path / "other/streams/events.STREAM"))
    assert [seq for seq, _ in await store.read("events", after=1)] == list(range(2, others + 1))
    assert await store.append("events", b"behind it") == others + 1


async def test_a_record_larger_than_what_is_read_at_once_is_read(store: DirectoryStore) -> None:
    large = bytes(range(256)) * 20_000
    for data in (b"before", large, b"behind"):
        await store.append("events", data)
    assert await store.read("events") == ((1, b"before"), (2, large), (3, b"behind"))
    assert await store.read("events", after=1, most=1) == ((2, large),)


def test_a_last_record_with_zeros_from_any_byte_on_is_torn_and_with_a_record_behind_it_corrupt() -> None:
    """A file grows before its bytes reach the disk: what a power cut leaves of them is zeros."""
    first, last, behind = (render_record(seq, b"x" * 300) for seq in (1, 2, 3))
    for cut in range(len(last)):
        torn = first + last[:cut] + b"\0" * (len(last) - cut)
        found, end = scan(torn, Path("events"))
        assert (len(found), end.offset) == (1, len(first)), cut
        with pytest.raises(Corrupt):
            scan(torn + behind, Path("events"))


async def test_a_spoiled_length_is_not_taken_for_a_torn_end_so_that_nothing_behind_it_is_cut_off(
    store: DirectoryStore, file: Path, tmp_path: Path
) -> None:
    for _ in range(3):
        await store.append("events", b"payload")
    content = bytes_of(file)
    replace_with(file, content.replace(b"risen-record 1 7 ", b"risen-record 1 9999 "))
    with pytest.raises(Corrupt, match=r"events\.STREAM: record 1 is shorter than its header says"):
        await store.read("events")
    with pytest.raises(Corrupt):
        await DirectoryStore(tmp_path / "store").append("events", b"more")


def test_of_a_stream_that_is_not_there_nothing_is_read(tmp_path: Path) -> None:
    assert read_stream(tmp_path / "none.STREAM", 5) == ([], START)


Steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 5), st.binary(max_size=40)),
        st.tuples(st.just("tear"), st.integers(1, 200), st.just(b"")),
        st.tuples(st.just("read"), st.integers(0, 12), st.just(b"")),
        st.tuples(st.just("page"), st.integers(0, 12), st.just(b"")),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(Steps)
def test_any_series_reads_what_one_who_remembers_nothing_reads(steps: list[tuple[str, int, bytes]]) -> None:
    with tempfile.TemporaryDirectory(prefix="follow-") as folder:
        path = Path(folder) / "events.STREAM"
        ends = (START,)
        for kind, number, data in steps:
            if kind == "append":
                own = nearest(ends, number) if number % 2 else START
                ends = remembered(ends, append_record(path, data, own))
            elif kind == "tear" and path.exists():
                whole, _ = read_stream(path)
                torn = render_record(len(whole) + 1, b"never finished" * 20)[:number]
                path.write_bytes(b"".join(render_record(*one) for one in whole) + torn)
            else:
                most = 3 if kind == "page" else None
                found, end = read_stream(path, number, nearest(ends, number), most)
                everything, _ = read_stream(path)
                assert found == [one for one in everything if one[0] > number][:most]
                ends = remembered(ends, end)
