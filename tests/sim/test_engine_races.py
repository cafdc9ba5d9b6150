"""Races between the engine's look and its own steps, found by seeds. Each failed before its mend."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest

from builders import birth_of
from risen.codec import records
from risen.core.events import Born, EntryOpened, Joined, KillAsked, KillDone, Launched, SeenGone
from risen.core.fold import apply
from risen.core.names import InstanceName, ProviderId
from risen.core.picture import InstanceSeen, InstanceState, Picture, Seen, Unseen
from risen.engine.notice import noticed
from risen.engine.record import Records
from risen.interfaces.errors import InterfaceError, NotFound
from risen.interfaces.store import IfAbsent, IfVersion, Object
from risen.services.join_engine import EngineFacts
from risen.sim.bucket import Bucket
from risen.sim.enumeration import standing_for
from risen.sim.harness import brought_up, fresh_world, simulate
from risen.sim.rolling import victim
from risen.sim.scenario import Happening, Scenario
from risen.sim.soak import random_faults


@pytest.mark.parametrize("seed", [10, 19])
def test_a_launch_that_lands_during_the_look_is_not_taken_for_gone(seed: int) -> None:
    trace = simulate(Scenario(3, 0), seed)
    assert trace.violations == ()
    launches = {line.operation for line in trace.lines if line.operation.startswith("provider.launch")}
    assert len(launches) == 3


def test_a_birth_whose_event_could_not_be_written_is_a_birth() -> None:
    scenario = Scenario.parse("3+2:kill-leader")
    trace = simulate(scenario, 14, random_faults(14), standing_for(scenario, 14))
    assert trace.violations == ()


def test_a_kill_lets_what_is_gone_be_replaced_in_a_storm() -> None:
    scenario = Scenario.parse("3+2:storm")
    trace = simulate(scenario, 32, random_faults(32), standing_for(scenario, 32))
    assert trace.violations == ()


def test_a_kill_is_done_only_once_the_loss_is_in_the_ledger() -> None:
    world = brought_up(Scenario(1, 1), 1)
    worker = victim(world, Happening.KILL_WORKER)
    known = apply(world.history(), KillAsked(1.0, "kill-1", worker, "asked", False))
    known = apply(known, SeenGone(2.0, worker))
    unseen = Unseen("not asked", 0.0)
    picture = Picture(unseen, unseen, unseen, unseen)
    assert noticed(known, picture, 3.0) == ()
    known = apply(known, EntryOpened(3.0, "e-1", worker, "kill", ()))
    assert noticed(known, picture, 4.0) == (KillDone(4.0, "kill-1"),)


def test_a_launch_whose_answer_was_lost_is_known_by_the_id_it_is_seen_with() -> None:
    world = brought_up(Scenario(1, 1), 1)
    name = victim(world, Happening.KILL_WORKER)
    lives = {key: replace(life, provider_id=None) for key, life in world.history().lives.items()}
    known = replace(world.history(), lives=lives)
    unseen = Unseen("not asked", 0.0)
    picture = Picture(Seen(world.instances.whole(), 0.0), unseen, unseen, unseen)
    events = noticed(known, picture, 3.0)
    assert Launched(3.0, name, world.instances.all[name].provider_id) in events
    assert len(events) == len(known.lives)


def test_what_was_done_is_not_sent_again_while_a_cache_lags() -> None:
    trace = simulate(Scenario(3, 2), 1)
    marks = [line.operation for line in trace.lines if line.operation.startswith("kubernetes.")]
    assert len(marks) == len(set(marks))


@dataclass
class PlainStore:
    """A bucket behind the interface, without delay or fault."""

    bucket: Bucket

    async def get(self, key: str) -> Object | None:
        return self.bucket.get(key)

    async def put(self, key: str, data: bytes, condition: IfAbsent | IfVersion | None = None) -> str:
        return self.bucket.put(key, data, condition)

    async def delete(self, key: str) -> None:
        self.bucket.delete(key)

    async def list(self, prefix: str) -> tuple[str, ...]:
        return self.bucket.list(prefix)

    async def append(self, stream: str, data: bytes) -> int:
        return self.bucket.append(stream, data)

    async def read(
        self, stream: str, after: int = 0, most: int | None = None
    ) -> tuple[tuple[int, bytes], ...]:
        return self.bucket.read(stream, after, most)


class StillClock:
    """Time stands."""

    def boot(self) -> float:
        return 0.0

    def unix(self) -> float:
        return 1_800_000_000.0

    async def sleep(self, seconds: float) -> None:
        return None


async def test_what_join_appends_reaches_a_running_engines_history() -> None:
    world = fresh_world(Scenario(1, 1), 1)
    store = PlainStore(world.store)
    known = await Records.load(store, StillClock())
    joined = Joined(5.0, InstanceName("worker-1"))
    await store.append(records.EVENTS, records.encode(joined))
    await known.append(Joined(6.0, InstanceName("worker-2")))
    assert known.seq == 2
    await store.append(records.EVENTS, records.encode(joined))
    await known.refresh()
    assert known.seq == 3


async def test_a_refused_launch_is_told_once_whatever_its_numbers_are() -> None:
    world = fresh_world(Scenario(1, 1), 1)
    known = await Records.load(PlainStore(world.store), StillClock())
    name = InstanceName("worker-1")
    await known.append(Born(5.0, birth_of(name)))
    for words in ("NoCapacity: 512 MiB free", "NoCapacity: 480 MiB free", "NotFound: no image"):
        await known.launch_refused(name, words)
    assert known.seq == 3 and known.history.lives[name].refused == "NotFound: no image"


async def test_a_shut_store_is_open_once_the_engine_has_proved_it_whoever_wrote_before() -> None:
    """Else the first to join after it would keep the clocks of all the others from beginning again."""
    world = fresh_world(Scenario(1, 1), 1)
    known = await Records.load(PlainStore(world.store), StillClock())
    world.store.full = True
    with pytest.raises(InterfaceError):
        await known.prove_writable()
    world.store.full = False
    await known.append(Joined(6.0, InstanceName("worker-2")))
    assert known.shut
    assert (await known.prove_writable(), known.shut, await known.prove_writable()) == (True, False, False)


@dataclass
class OneThere:
    """A provider that shows one running instance."""

    async def get(self, instance: InstanceName) -> InstanceSeen:
        return InstanceSeen(instance, ProviderId("p-1"), None, InstanceState.RUNNING, "10.77.0.10")


async def test_the_time_of_a_ticket_begins_again_once_those_who_hold_one_can_join() -> None:
    """A full disk lasts longer than a ticket: who asks then must neither be refused nor take that for its end."""
    world = fresh_world(Scenario(1, 1), 1)
    known = await Records.load(PlainStore(world.store), StillClock())
    name = InstanceName("worker-1")
    await known.append(Born(5.0, birth_of(name)))
    facts = EngineFacts(OneThere(), None, known, None)  # type: ignore[arg-type]
    at = await facts.address_of(name)
    assert at is not None and at.launched_unix == StillClock().unix()
    known.shut = True
    at = await facts.address_of(name)
    assert at is not None and at.launched_unix == math.inf


@dataclass
class FailingMeanwhile(PlainStore):
    """While all is read, a write of another step loses its answer."""

    known: list[Records]

    async def list(self, prefix: str) -> tuple[str, ...]:
        for one in self.known if prefix == records.BIRTHS else ():
            one.doubtful = True
        return await super().list(prefix)


async def test_doubt_that_arises_while_all_is_read_again_is_not_forgotten() -> None:
    world = fresh_world(Scenario(1, 1), 1)
    known = await Records.load(PlainStore(world.store), StillClock())
    known.store, known.doubtful = FailingMeanwhile(world.store, [known]), True
    await known.refresh()
    assert known.doubtful
    known.store = PlainStore(world.store)
    await known.refresh()
    assert not known.doubtful


async def test_doubt_stays_when_nothing_can_be_read() -> None:
    world = fresh_world(Scenario(1, 1), 1)
    known = await Records.load(PlainStore(world.store), StillClock())
    known.store, known.doubtful = PlainStore(Bucket()), True
    with pytest.raises(NotFound):
        await known.refresh()
    assert known.doubtful
