"""The etcd adapter against one real member: what it reads, whom it refuses, what a broken line means."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fault_proxy import Fault, fault_proxy
from servers import Authority, EtcdServers, etcd_servers

from risen.adapters.answer_file import noted
from risen.adapters.etcd import EtcdClient
from risen.core.names import MemberId
from risen.interfaces.errors import Corrupt, Denied, Later, NotFound, OutcomeUnknown, Unreachable
from risen.interfaces.etcd import Etcd
from risen.transport.session import Request, Session
from risen.transport.tls import TlsIdentity

pytestmark = pytest.mark.root


@pytest.fixture
def other_etcd(tmp_path: Path, real_etcd: EtcdServers) -> Iterator[EtcdServers]:
    with etcd_servers(tmp_path, 1, real_etcd.authority) as servers:
        yield servers


@contextlib.asynccontextmanager
async def client(identity: TlsIdentity) -> AsyncIterator[EtcdClient]:
    etcd = noted(EtcdClient(identity), Etcd)
    try:
        yield etcd
    finally:
        await etcd.close()


async def put(servers: EtcdServers, path: str, body: dict[str, object]) -> dict[str, object]:
    """A request past the adapter, to prepare what it then sees."""
    session = Session(servers.identity)
    url = f"https://{servers.members[0].address}/v3/{path}"
    answer = await session.request(Request("POST", url, json.dumps(body).encode()))
    await session.close()
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


async def test_ids_keep_all_digits_and_the_revision_is_read(real_etcd: EtcdServers) -> None:
    await put(real_etcd, "kv/put", {"key": "YQ==", "value": "YQ=="})
    async with client(real_etcd.identity) as etcd:
        seen = await etcd.observe((real_etcd.members[0].address,))
    listed = await put(real_etcd, "cluster/member/list", {})
    member = seen.members[0]
    assert [member.id] == [entry["ID"] for entry in listed["members"]]  # type: ignore[attr-defined]
    assert member.healthy and member.leader and member.revision > 1 and member.db_bytes > 0


async def test_hash_is_given_for_a_kept_revision_only(real_etcd: EtcdServers) -> None:
    async with client(real_etcd.identity) as etcd:
        for _ in range(3):
            await put(real_etcd, "kv/put", {"key": "YQ==", "value": "YQ=="})
        member = (await etcd.observe((real_etcd.members[0].address,))).members[0]
        await put(real_etcd, "kv/compaction", {"revision": str(member.revision - 1), "physical": True})
        value, compacted = await etcd.hash_kv(member.id, member.revision)
        assert value > 0 and compacted == member.revision - 1
        with pytest.raises(NotFound, match="compacted"):
            await etcd.hash_kv(member.id, member.revision - 2)
        with pytest.raises(Later, match="future"):
            await etcd.hash_kv(member.id, member.revision + 100)


async def test_an_alarm_is_the_clusters_when_space_is_out(real_etcd: EtcdServers) -> None:
    alarm = {"action": "ACTIVATE", "memberID": "0", "alarm": "NOSPACE"}
    await put(real_etcd, "maintenance/alarm", alarm)
    try:
        async with client(real_etcd.identity) as etcd:
            seen = await etcd.observe((real_etcd.members[0].address,))
        assert seen.alarms == ("NOSPACE",) and seen.members[0].healthy
    finally:
        await put(real_etcd, "maintenance/alarm", {**alarm, "action": "DEACTIVATE"})


async def test_a_member_marked_corrupt_is_not_healthy(real_etcd: EtcdServers) -> None:
    async with client(real_etcd.identity) as etcd:
        address = (real_etcd.members[0].address,)
        member = (await etcd.observe(address)).members[0].id
        alarm = {"action": "ACTIVATE", "memberID": member, "alarm": "CORRUPT"}
        await put(real_etcd, "maintenance/alarm", alarm)
        try:
            seen = await etcd.observe(address)
            assert seen.alarms == ("CORRUPT",) and not seen.members[0].healthy
        finally:
            await put(real_etcd, "maintenance/alarm", {**alarm, "action": "DEACTIVATE"})


async def test_a_client_of_another_authority_is_denied(real_etcd: EtcdServers) -> None:
    stranger = Authority("stranger").identity("stranger")
    own = TlsIdentity(stranger.certificate, stranger.key, real_etcd.authority.pem)
    async with client(own) as etcd:
        with pytest.raises(Denied, match="refused this client's certificate"):
            await etcd.observe((real_etcd.members[0].address,))


async def test_a_server_of_another_authority_is_denied(real_etcd: EtcdServers) -> None:
    trusting = TlsIdentity(real_etcd.identity.certificate, real_etcd.identity.key, Authority("other").pem)
    async with client(trusting) as etcd:
        with pytest.raises(Denied, match="server's certificate is not accepted"):
            await etcd.observe((real_etcd.members[0].address,))


async def test_members_of_two_clusters_are_never_taken_for_one(
    real_etcd: EtcdServers, other_etcd: EtcdServers
) -> None:
    async with client(real_etcd.identity) as etcd:
        with pytest.raises(Corrupt, match="2 different etcd clusters"):
            await etcd.observe((real_etcd.members[0].address, other_etcd.members[0].address))


async def test_a_change_sent_without_an_answer_is_unknown_and_one_not_sent_is_unreachable(
    real_etcd: EtcdServers,
) -> None:
    async with (
        fault_proxy(real_etcd.members[0].client_port) as proxy,
        client(real_etcd.identity) as etcd,
    ):
        await etcd.observe((proxy.address,))
        await proxy.set(Fault.CUT_ANSWER)
        with pytest.raises(OutcomeUnknown):
            await etcd.remove(MemberId("12345"))
        await proxy.set(Fault.CUT_NEW)
        with pytest.raises(Unreachable):
            await etcd.remove(MemberId("12345"))
        await proxy.set(Fault.REFUSE)
        with pytest.raises(Unreachable):
            await etcd.remove(MemberId("12345"))
