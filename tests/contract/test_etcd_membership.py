"""The etcd adapter against three real members: join, promote, remove, refusals, quorum lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from fault_proxy import Fault, fault_proxy
from servers import EtcdServers, etcd_servers

from risen.adapters.answer_file import noted
from risen.adapters.etcd import EtcdClient
from risen.core.names import MemberId
from risen.core.picture import EtcdSeen, MemberSeen
from risen.interfaces.errors import Conflict, Later, NotFound, Unreachable
from risen.interfaces.etcd import Etcd

pytestmark = pytest.mark.root

T = TypeVar("T")
SETTLED_SECONDS = 20.0


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServers]:
    with etcd_servers(tmp_path_factory.mktemp("three"), 3) as servers:
        yield servers


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[EtcdServers]:
    with etcd_servers(tmp_path, 3) as servers:
        yield servers


@contextlib.asynccontextmanager
async def etcd_of(servers: EtcdServers) -> AsyncIterator[EtcdClient]:
    client = noted(EtcdClient(servers.identity), Etcd)
    try:
        yield client
    finally:
        await client.close()


def addresses(servers: EtcdServers) -> tuple[str, ...]:
    return tuple(member.address for member in servers.members)


async def settled(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer once it is no longer *later*."""
    async with asyncio.timeout(SETTLED_SECONDS):
        while True:
            try:
                return await ask()
            except Later:
                await asyncio.sleep(0.1)


def leader_and_follower(seen: EtcdSeen) -> tuple[MemberSeen, MemberSeen]:
    leader = next(member for member in seen.members if member.leader)
    follower = next(member for member in seen.members if not member.leader and not member.learner)
    return leader, follower


async def test_leadership_moves_only_when_the_leader_is_asked(three: EtcdServers) -> None:
    async with etcd_of(three) as etcd:
        leader, follower = leader_and_follower(await etcd.observe(addresses(three)))
        await etcd.move_leader(leader.id, follower.id)
        moved, _ = leader_and_follower(await etcd.observe(addresses(three)))
        assert moved.id == follower.id
        with pytest.raises(Conflict, match="not leader"):
            await etcd.move_leader(leader.id, follower.id)


async def test_a_learner_joins_is_promoted_and_removed(three: EtcdServers) -> None:
    async with etcd_of(three) as etcd:
        await etcd.observe(addresses(three))
        new = three.prepare("m3")
        added = await settled(lambda: etcd.add_learner(new.peer_url))
        unstarted = {member.id: member for member in (await etcd.observe(addresses(three))).members}[added]
        assert (unstarted.name, unstarted.peer_url, unstarted.learner) == ("", new.peer_url, True)
        with pytest.raises(Conflict):
            await etcd.add_learner(new.peer_url)
        with pytest.raises(Later, match="too many learner"):
            await etcd.add_learner("https://127.0.0.1:9")
        with pytest.raises(Later, match="in sync"):
            await etcd.promote(added)
        await _start(three, new.name)
        await settled(lambda: etcd.promote(added))
        voters = [member for member in (await etcd.observe(addresses(three))).members if not member.learner]
        assert sorted(member.name for member in voters) == ["m0", "m1", "m2", "m3"]
        await settled(lambda: etcd.remove(added))
        assert added not in {member.id for member in (await etcd.observe(addresses(three))).members}


async def _start(servers: EtcdServers, name: str) -> None:
    new = next(member for member in servers.prepared if member.name == name)
    servers.members.append(new)
    initial = ",".join(f"{member.name}={member.peer_url}" for member in servers.members)
    servers.start(new, initial, "existing")
    await asyncio.to_thread(servers.wait_listening, new)


async def test_never_and_later_are_told_apart_on_promote_and_remove(three: EtcdServers) -> None:
    async with etcd_of(three) as etcd:
        voter = (await etcd.observe(addresses(three))).members[0]
        with pytest.raises(Conflict, match="can only promote a learner"):
            await etcd.promote(voter.id)
        for unknown in (etcd.promote, etcd.remove):
            with pytest.raises(NotFound):
                await unknown(MemberId("12345"))


async def test_with_a_member_down_adding_is_later_and_with_two_down_quorum_is_lost(
    doomed: EtcdServers,
) -> None:
    async with etcd_of(doomed) as etcd:
        leads = {member.name: member.leader for member in (await etcd.observe(addresses(doomed))).members}
        # the leader last: in the election after its loss nobody answers for the quorum, and a picture says so
        follower, other, leader = sorted(doomed.members, key=lambda member: leads[member.name])
        follower.program.kill()
        seen = await etcd.observe(addresses(doomed))
        assert {member.name: member.healthy for member in seen.members} == {
            follower.name: False,
            other.name: True,
            leader.name: True,
        }
        assert not seen.quorum_lost
        with pytest.raises(Later, match="unhealthy cluster"):
            await etcd.add_learner("https://127.0.0.1:9")
        other.program.kill()
        lost = await etcd.observe(addresses(doomed))
        assert (lost.quorum_lost, len(lost.members)) == (True, 3)
        leader.program.kill()
        with pytest.raises(Unreachable):
            await etcd.observe(addresses(doomed))


async def test_a_silent_member_does_not_hold_up_the_view_of_the_others(three: EtcdServers) -> None:
    silent = next(member for member in three.members if member.name == "m2")
    async with etcd_of(three) as etcd, fault_proxy(silent.client_port) as proxy:
        asked = (*(member.address for member in three.members[:2]), proxy.address)
        await etcd.observe(asked)
        await proxy.set(Fault.SILENT)
        started = asyncio.get_running_loop().time()
        seen = {member.name: member.healthy for member in (await etcd.observe(asked)).members}
        assert asyncio.get_running_loop().time() - started < 1.9
        assert seen == {"m0": True, "m1": True, "m2": False}


async def test_who_is_removed_is_asked_last(doomed: EtcdServers) -> None:
    """It stops as soon as it is removed: its answer may not come any more, and nobody would know what became of it."""
    first, *others = doomed.members
    async with fault_proxy(first.client_port) as proxy, etcd_of(doomed) as etcd:
        seen = await etcd.observe((proxy.address, *(member.address for member in others)))
        going = next(member for member in seen.members if member.name == first.name)
        await proxy.cut_all()
        connections = proxy.connections
        await settled(lambda: etcd.remove(going.id))
        assert proxy.connections == connections
        left = {member.id for member in (await etcd.observe(addresses(doomed)[1:])).members}
    assert going.id not in left
