"""The past: read whole once, followed from then on, the same whoever wrote and wherever a crash came between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from builders import birth_of
from risen.adapters.store.directory import DirectoryStore
from risen.adapters.store.streams import render_record
from risen.codec import records
from risen.core.events import BecameReady, Born, Event, Joined, SeenGone
from risen.core.fold import fold
from risen.core.names import ClusterUid, InstanceName
from risen.core.step import Bootstrap
from risen.engine.past import PAGE_RECORDS, load_past
from risen.interfaces.errors import Corrupt, NotFound

UID = ClusterUid("uid-of-tests")
A, B = InstanceName("w-a"), InstanceName("w-b")


async def cluster_in(folder: Path) -> DirectoryStore:
    """A store with a cluster in it of which nothing has happened yet."""
    store = DirectoryStore.create(folder)
    await store.put(records.CLUSTER, records.encode(records.ClusterRecord(UID, "dev", 1.0)))
    return store


async def tell(store: DirectoryStore, *events: Event) -> None:
    for event in events:
        await store.append(records.EVENTS, records.encode(event))


async def bear(store: DirectoryStore, name: str) -> None:
    """Write a birth without its event: where a crash comes between the two."""
    birth = birth_of(name)
    await store.put(records.birth_key(birth.instance), records.encode(birth))


async def test_a_stream_of_several_pages_is_folded_whole(tmp_path: Path) -> None:
    store = await cluster_in(tmp_path)
    events: list[Event] = [Born(1.0, birth_of("w-a")), Born(1.0, birth_of("w-b"))]
    events += [Joined(float(number), A) for number in range(2 * PAGE_RECORDS - 3)]
    events += [BecameReady(9.0, B), SeenGone(10.0, A)]
    assert len(events) == 2 * PAGE_RECORDS + 1
    path = tmp_path / "streams/events.STREAM"
    path.parent.mkdir()
    path.write_bytes(b"".join(render_record(n, records.encode(one)) for n, one in enumerate(events, 1)))
    past = await load_past(store)
    assert (past.history, past.seq) == (fold(UID, events), len(events))


async def test_following_gives_what_reading_everything_again_gives(tmp_path: Path) -> None:
    store, other = await cluster_in(tmp_path), DirectoryStore(tmp_path)
    past = await load_past(store)
    for event in (Born(1.0, birth_of("w-a")), Joined(2.0, A), BecameReady(3.0, A), SeenGone(4.0, A)):
        await tell(other, event)
        assert await past.follow() == (await load_past(other)).history, event
    assert past.history.lives[A].gone_at_unix == 4.0


async def test_two_tasks_that_follow_at_once_take_each_event_once(tmp_path: Path) -> None:
    store = await cluster_in(tmp_path)
    past = await load_past(store)
    await tell(store, Born(1.0, birth_of("w-a")), Joined(2.0, A))
    first, second = await asyncio.gather(past.follow(), past.follow())
    assert first == second == fold(UID, [Born(1.0, birth_of("w-a")), Joined(2.0, A)])
    assert past.seq == 2


async def test_a_birth_whose_event_was_never_written_comes_before_all_events(tmp_path: Path) -> None:
    store = await cluster_in(tmp_path)
    await bear(store, "w-a")
    await tell(store, Joined(2.0, A), BecameReady(3.0, A))
    life = (await load_past(store)).history.lives[A]
    assert (life.joined_at_unix, life.ready_at_unix) == (2.0, 3.0)


async def test_a_birth_whose_event_was_never_written_is_taken_up_by_who_follows(tmp_path: Path) -> None:
    store = await cluster_in(tmp_path)
    past = await load_past(store)
    await bear(store, "w-a")
    await tell(store, Joined(2.0, A))
    assert A not in (await past.follow()).lives
    assert (await past.follow_births()).lives[A].joined_at_unix == 2.0
    await tell(store, BecameReady(3.0, A))
    assert (await past.follow_births()).lives[A].ready_at_unix == 3.0


async def test_who_follows_births_reads_no_event_again_where_none_is_missing(tmp_path: Path) -> None:
    store = await cluster_in(tmp_path)
    await bear(store, "w-a")
    await tell(store, Born(1.0, birth_of("w-a")))
    past = await load_past(store)
    file = tmp_path / "streams/events.STREAM"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    assert A in (await past.follow_births()).lives
    with pytest.raises(Corrupt):
        await load_past(DirectoryStore(tmp_path))


async def test_what_objects_say_besides_the_events_is_in_it(tmp_path: Path) -> None:
    store = await cluster_in(tmp_path)
    bootstrap = Bootstrap(1, InstanceName("cp-a"), "token")
    await store.put(records.bootstrap_key(1), records.encode(bootstrap))
    await store.put(records.ETCD_CLUSTER_ID, records.encode(records.EtcdClusterId("777")))
    history = (await load_past(store)).history
    assert (history.bootstraps, history.etcd_cluster_id) == ((bootstrap,), "777")


async def test_a_store_without_a_cluster_has_no_past(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="risen up"):
        await load_past(DirectoryStore.create(tmp_path))
