"""A request to join whose k-th write is lost, done with its answer lost, or never sent: asked again, it ends the
same, and nobody else gets in between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from join_world import FOUNDER, HERE, WORKER, World, birth, csrs_of, make_world, ticket_of

from risen.adapters.store.directory import DirectoryStore
from risen.authority.binding import Binding
from risen.authority.grant import JoinRequest, Later, Refusal
from risen.codec import records
from risen.core.events import Alarm, Joined
from risen.core.names import InstanceName, Role
from risen.interfaces.errors import InterfaceError, OutcomeUnknown, Unreachable
from risen.interfaces.store import IfAbsent, IfVersion, Object
from risen.services.join_desk import Answered


@dataclass
class FaultyStore:
    """A store whose `at`-th write (from 1) fails: `after` it was done, or before."""

    inner: DirectoryStore
    at: int = 0
    after: bool = False
    writes: int = 0

    async def get(self, key: str) -> Object | None:
        return await self.inner.get(key)

    async def list(self, prefix: str) -> tuple[str, ...]:
        return await self.inner.list(prefix)

    async def read(
        self, stream: str, after: int = 0, most: int | None = None
    ) -> tuple[tuple[int, bytes], ...]:
        return await self.inner.read(stream, after, most)

    async def delete(self, key: str) -> None:
        await self.inner.delete(key)

    async def put(self, key: str, data: bytes, condition: IfAbsent | IfVersion | None = None) -> str:
        self._fail_before()
        version = await self.inner.put(key, data, condition)
        self._fail_after()
        return version

    async def append(self, stream: str, data: bytes) -> int:
        self._fail_before()
        seq = await self.inner.append(stream, data)
        self._fail_after()
        return seq

    def _fail_before(self) -> None:
        self.writes += 1
        if self.writes == self.at and not self.after:
            raise Unreachable("the write was never sent")

    def _fail_after(self) -> None:
        if self.writes == self.at and self.after:
            raise OutcomeUnknown("the answer was lost")


@pytest.fixture
def store(tmp_path: Path) -> FaultyStore:
    return FaultyStore(DirectoryStore.create(tmp_path / "store"))


def request_of(name: InstanceName, role: Role, which: str = "first") -> JoinRequest:
    return JoinRequest(name, ticket_of(birth(name, role)), csrs_of(role, which), HERE)


async def born(store: FaultyStore, name: InstanceName, role: Role) -> World:
    world = make_world(store)
    await world.bear(name, role)
    await world.bootstrap(FOUNDER)
    return world


async def binding_of(store: FaultyStore, name: InstanceName) -> Binding | None:
    found = await store.get(records.join_key(name))
    return None if found is None else records.decode(found.data, Binding, "joins")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", [1, 2, 3])
@pytest.mark.parametrize(("name", "role"), [(WORKER, Role.WORKER), (FOUNDER, Role.CONTROL_PLANE)])
async def test_a_crash_at_any_write_costs_one_more_request_and_nothing_else(
    store: FaultyStore, name: InstanceName, role: Role, write: int, after: bool
) -> None:
    world = await born(store, name, role)
    store.writes, store.at, store.after = 0, write, after
    with pytest.raises(InterfaceError):
        await world.service.desk.answer(request_of(name, role))
    started_anew = make_world(store)
    started_anew.facts.place(name)
    answer = await started_anew.service.desk.answer(request_of(name, role))
    again = await started_anew.service.desk.answer(request_of(name, role))
    assert isinstance(answer, Answered) and answer == again
    binding = await binding_of(store, name)
    assert binding is not None and binding.granted is not None and not binding.condemned
    found = [records.decode_event(data, seq) for seq, data in await store.read(records.EVENTS)]
    assert found and all(isinstance(event, Joined) for event in found)


async def test_three_writes_are_all_there_are(store: FaultyStore) -> None:
    world = await born(store, WORKER, Role.WORKER)
    store.writes = 0
    assert isinstance(await world.service.desk.answer(request_of(WORKER, Role.WORKER)), Answered)
    assert store.writes == 3


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", [1, 2, 3])
async def test_after_a_crash_at_any_write_the_thief_of_a_ticket_never_shares_it_with_its_owner(
    store: FaultyStore, write: int, after: bool
) -> None:
    world = await born(store, WORKER, Role.WORKER)
    store.writes, store.at, store.after = 0, write, after
    with pytest.raises(InterfaceError):
        await world.service.desk.answer(request_of(WORKER, Role.WORKER))
    thief = await world.service.desk.answer(request_of(WORKER, Role.WORKER, "other"))
    owner = await world.service.desk.answer(request_of(WORKER, Role.WORKER))
    assert not (isinstance(thief, Answered) and isinstance(owner, Answered))
    assert isinstance(owner, Refusal)
    assert any(isinstance(event, Alarm) for event in world.events)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", [1, 2])
async def test_a_crash_while_condemning_is_made_good_by_the_next_request(
    store: FaultyStore, write: int, after: bool
) -> None:
    world = await born(store, WORKER, Role.WORKER)
    assert isinstance(await world.service.desk.answer(request_of(WORKER, Role.WORKER)), Answered)
    store.writes, store.at, store.after = 0, write, after
    with pytest.raises(InterfaceError):
        await world.service.desk.answer(request_of(WORKER, Role.WORKER, "other"))
    assert isinstance(await world.service.desk.answer(request_of(WORKER, Role.WORKER, "other")), Refusal)
    binding = await binding_of(store, WORKER)
    assert binding is not None and binding.condemned
    found = [records.decode_event(data, seq) for seq, data in await store.read(records.EVENTS)]
    assert any(isinstance(event, Alarm) for event in found)


async def test_while_two_ask_for_ever_the_answer_is_later(store: FaultyStore) -> None:
    """A store on which every put conflicts must not spin."""
    world = await born(store, WORKER, Role.WORKER)
    await store.put(records.join_key(WORKER), records.encode(Binding(WORKER, "0" * 64, 0.0)))
    world.service.desk.store = AlwaysBehind(store.inner)
    answer = await world.service.desk.answer(request_of(WORKER, Role.WORKER))
    assert answer == Later("another request for this instance is being answered")


@dataclass
class AlwaysBehind(FaultyStore):
    """Never shows the binding, which is there."""

    async def get(self, key: str) -> Object | None:
        return None if key.startswith(records.JOINS) else await self.inner.get(key)
