"""What people ask for and cannot be read: it is told by name, stays, and holds up nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders import NOW, Cluster
from risen.adapters.store.directory import DirectoryStore
from risen.adapters.system import SystemClock
from risen.cli.consoles import Consoles
from risen.cli.glimpse import Glimpse
from risen.cli.status import _wrong
from risen.codec import records
from risen.core.blocked import Blocked
from risen.core.events import PoolScaled
from risen.core.history import ScaleIntent
from risen.core.names import ClusterUid
from risen.core.plan import Plan
from risen.engine.journal import Journal
from risen.engine.loop import Engine
from risen.engine.record import Records, read_intents

BAD, GOOD = f"{records.INTENTS}a-bad", f"{records.INTENTS}b-good"


@pytest.fixture
async def store(tmp_path: Path) -> DirectoryStore:
    """Of a cluster with two intents: the first cannot be read."""
    store = DirectoryStore.create(tmp_path)
    await store.put(records.CLUSTER, records.encode(records.ClusterRecord(ClusterUid("uid"), "dev", 1.0)))
    await store.put(BAD, b"{}")
    await store.put(GOOD, records.encode(ScaleIntent("b-good", "w", 3, "somebody", "more")))
    return store


@pytest.mark.parametrize("spoilt_on_disk", [False, True])
async def test_an_intent_that_cannot_be_read_stays_and_the_others_are_taken_in(
    store: DirectoryStore, tmp_path: Path, spoilt_on_disk: bool
) -> None:
    if spoilt_on_disk:
        (tmp_path / "objects" / f"{BAD}.OBJECT").write_bytes(b"zeros and the like")
    known = await Records.load(store, SystemClock())
    await known.refresh()
    await known.refresh()
    events = [records.decode_event(data, seq) for seq, data in await store.read(records.EVENTS)]
    assert [type(event) for event in events] == [PoolScaled]
    assert await store.list(records.INTENTS) == (BAD,)
    assert [(one.name, one.subject) for one in known.unread] == [("store", BAD)]


async def test_an_intent_of_a_newer_risen_waits_for_one_that_can_read_it(store: DirectoryStore) -> None:
    kind = records.encode(ScaleIntent("a", "w", 3, "", "")).replace(b'"schema":2', b'"schema":9')
    await store.put(BAD, kind)
    intents, unread = await read_intents(store)
    assert list(intents) == [GOOD]
    assert "written by a newer Risen" in unread[0].why


async def test_the_controller_tells_of_it_once(store: DirectoryStore) -> None:
    lines: list[str] = []
    world = SimpleNamespace(observer=Journal(SystemClock(), lines.append))
    known = await Records.load(store, SystemClock())
    engine = Engine(world, None, known, None, 0.0)  # type: ignore[arg-type]
    for _ in range(2):
        await known.refresh()
        engine._say(Plan())
    assert [json.loads(line)["subject"] for line in lines] == [BAD]


def test_status_tells_it_as_wrong_and_nobody_waits_for_it() -> None:
    cluster = Cluster.standing()
    glimpse = replace(
        Glimpse(
            None,  # type: ignore[arg-type]
            cluster.history(), cluster.picture(), cluster.plan(), "somebody", NOW.boot, NOW.unix, Consoles({}, {}),
        ),
        unread=(Blocked("store", BAD, "not taken in"),),
    )  # fmt: skip
    assert glimpse.settled
    assert _wrong(glimpse) == [f"store: {BAD}: not taken in"]
