"""Implements `interfaces.etcd.Etcd`: asks whichever member answers, through the JSON gateway.

It remembers only where members answered at the last `observe`; it judges nothing and repairs nothing.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar

import msgspec

from risen.adapters.etcd.answers import (
    Hash,
    MemberAdded,
    MemberList,
    Ranged,
    SnapshotLine,
    Status,
    alarms_of,
    members_seen,
    refusal,
)
from risen.core.names import MemberId
from risen.core.picture import EtcdSeen
from risen.interfaces.errors import Corrupt, Denied, InterfaceError, Later, NoCapacity, Unreachable
from risen.transport.session import Request, Session
from risen.transport.tls import TlsIdentity

CLIENT_PORT = 2379
READ_SECONDS = 4.0
"""A linearizable read waits out an election (1 to 2 s) and no more."""
STATUS_SECONDS = 2.0
STRAGGLER_SECONDS = 1.0
SNAPSHOT_SILENCE_SECONDS = 10.0
CHANGE_SECONDS = 8.0
"""etcd itself gives up on a membership change after 5 s plus two election time-outs."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call of the gateway: path below /v3, what is sent, what is answered."""

    path: str
    body: Mapping[str, object]
    answer: type[T]
    read: bool = False
    seconds: float = CHANGE_SECONDS


NO_KEY = base64.b64encode(b"\0").decode()
ENDPOINT_LEASES = "/registry/masterleases/"
"""Below it kube-apiserver keeps, by its address, that it is an endpoint of the Service `kubernetes`; for 15 s, renewed
every 10 s. Source: kubernetes pkg/controlplane/instance.go."""
STATUS = Call("maintenance/status", MappingProxyType({}), Status, read=True, seconds=STATUS_SECONDS)


class EtcdClient:
    """One etcd cluster under one client certificate. Addresses are `ADDRESS` (port 2379) or `ADDRESS:PORT`."""

    def __init__(self, identity: TlsIdentity) -> None:
        self._session = Session(identity)
        self._addresses: tuple[str, ...] = ()
        self._address_of: dict[MemberId, str] = {}

    def renew(self, identity: TlsIdentity) -> None:
        """Use another certificate from now on."""
        self._session.renew(identity)

    async def close(self) -> None:
        """End all connections."""
        await self._session.close()

    async def observe(self, addresses: tuple[str, ...]) -> EtcdSeen:
        """See `Etcd.observe`. Raises Corrupt when members of two different clusters answer."""
        found = await self._statuses(addresses)
        statuses = {address: said for address, said in found if isinstance(said, Status)}
        if not statuses:
            raise self._nobody(found)
        clusters = {status.header.cluster_id for status in statuses.values()}
        if len(clusters) > 1:
            raise Corrupt(f"members of {len(clusters)} different etcd clusters answer at {sorted(statuses)}")
        self._remember(statuses)
        listed, quorum_lost = await self._list(tuple(statuses))
        return EtcdSeen(
            cluster_id=listed.header.cluster_id,
            members=members_seen(listed, statuses.values()),
            quorum_lost=quorum_lost,
            alarms=tuple(sorted({alarm for _, alarm in alarms_of(statuses.values())})),
            endpoint_leases=await self._endpoint_leases(),
        )

    async def add_learner(self, peer_url: str) -> MemberId:
        """See `Etcd.add_learner`."""
        body = {"peerURLs": [peer_url], "isLearner": True}
        added = await self._change(Call("cluster/member/add", body, MemberAdded))
        return MemberId(added.member.ID)

    async def promote(self, member: MemberId) -> None:
        """See `Etcd.promote`. Raises Conflict for what is a voter already."""
        await self._change(Call("cluster/member/promote", {"ID": member}, MemberList))

    async def remove(self, member: MemberId) -> None:
        """See `Etcd.remove`. Raises NotFound when it is no member (any more).

        It is asked itself only when no other can be: a member stops as soon as it is removed, and its answer with it."""
        await self._change(Call("cluster/member/remove", {"ID": member}, MemberList), last=member)

    async def move_leader(self, leader: MemberId, to: MemberId) -> None:
        """See `Etcd.move_leader`. Raises Conflict when `leader` does not lead or `to` cannot."""
        call = Call("maintenance/transfer-leadership", {"targetID": to}, dict)
        await self._ask(self._where(leader), call)

    async def remove_endpoint_lease(self, address: str) -> None:
        """See `Etcd.remove_endpoint_lease`."""
        await self._change(Call("kv/deleterange", {"key": _in_base64(ENDPOINT_LEASES + address)}, dict))

    async def hash_kv(self, member: MemberId, revision: int) -> tuple[int, int]:
        """See `Etcd.hash_kv`. Raises NotFound for a compacted revision, Later for one that is yet to come."""
        call = Call("maintenance/hashkv", {"revision": str(revision)}, Hash, read=True)
        said = await self._ask(self._where(member), call)
        return said.hash, int(said.compact_revision)

    async def observe_again(self) -> EtcdSeen:
        """The same, of where members answered last."""
        return await self.observe(self._addresses)

    async def revision(self, member: MemberId) -> int:
        """etcd's revision by a linearizable read of this member, which has applied it."""
        call = Call("kv/range", {"key": NO_KEY}, Ranged, read=True, seconds=READ_SECONDS)
        return int((await self._ask(self._where(member), call)).header.revision)

    async def snapshot(self, member: MemberId, write: Callable[[bytes], object]) -> None:
        """A snapshot of this member's data, piece by piece, its checksum at the end. Raises NoCapacity where `write`
        raises OSError. Source: rpc.proto, Snapshot."""
        url = f"https://{_with_port(self._where(member))}/v3/maintenance/snapshot"
        request = Request("POST", url, b"{}", read=True)
        remaining = "unknown"
        async with self._session.stream(request, SNAPSHOT_SILENCE_SECONDS) as lines:
            if lines.status != 200:
                error = refusal(lines.status, await lines.rest(), request.what)
                raise error
            async for batch in lines:
                for line in batch:
                    remaining = _write_part(line, write, request.what)
        if remaining != "0":
            raise Unreachable(f"{request.what}: ended with {remaining} bytes to come")

    # --- asking -------------------------------------------------------------------------------------------
    async def _statuses(self, addresses: tuple[str, ...]) -> list[tuple[str, Status | InterfaceError]]:
        """What each says, or why not. Once more than half have said something, the rest get 1 s: a dead
        member's address swallows packets, and every look would otherwise take the whole time-out."""
        asked = {address: asyncio.ensure_future(self._status(address)) for address in addresses}
        try:
            await _most_of(tuple(asked.values()))
        finally:
            late = [one for one in asked.values() if not one.done()]
            for one in late:
                one.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        return [
            one.result() if not one.cancelled() else (address, Unreachable(f"{address}: no answer in time"))
            for address, one in asked.items()
        ]

    async def _status(self, address: str) -> tuple[str, Status | InterfaceError]:
        try:
            said = await self._ask(address, STATUS)
        except InterfaceError as error:
            return address, error
        return address, said

    async def _list(self, addresses: tuple[str, ...]) -> tuple[MemberList, bool]:
        """The first linearizable list, or else a local one and True."""
        for linearizable in (True, False):
            body = {"linearizable": linearizable}
            call = Call("cluster/member/list", body, MemberList, read=True, seconds=READ_SECONDS)
            asked = [asyncio.ensure_future(self._ask(address, call)) for address in addresses]
            answer = await _first(asked)
            if answer is not None:
                return answer, not linearizable
        raise Unreachable(f"no etcd member gives its member list at {', '.join(addresses)}")

    async def _endpoint_leases(self) -> tuple[str, ...]:
        """As one member has them, be it behind the others: who is taken away is decided by who is off. None if it
        does not say: then they run out by themselves."""
        body = {
            "key": _in_base64(ENDPOINT_LEASES),
            "range_end": _in_base64(ENDPOINT_LEASES[:-1] + "0"),  # the character after "/"
            "keys_only": True,
            "serializable": True,
        }
        call = Call("kv/range", body, Ranged, read=True, seconds=STATUS_SECONDS)
        try:
            found = await self._ask(self._addresses[0], call)
        except InterfaceError:
            return ()
        keys = (base64.b64decode(one.key).decode() for one in found.kvs)
        return tuple(sorted(key.removeprefix(ENDPOINT_LEASES) for key in keys))

    async def _change(self, call: Call[T], last: MemberId | None = None) -> T:
        """Ask the members in turn, `last` at the end, until one was reached; a refusal or an unknown outcome ends
        the turn."""
        failure = Unreachable("no etcd member is known: none was observed")
        own = self._address_of.get(last) if last is not None else None
        for address in sorted(self._addresses, key=lambda one: one == own):
            try:
                return await self._ask(address, call)
            except Unreachable as error:
                failure = error
            except Later as error:
                if "not supported for learner" not in str(error):
                    raise
                failure = Unreachable(str(error))
        raise failure

    async def _ask(self, address: str, call: Call[T]) -> T:
        url = f"https://{_with_port(address)}/v3/{call.path}"
        data = msgspec.json.encode(dict(call.body))
        request = Request("POST", url, data, read=call.read, seconds=call.seconds)
        answer = await self._session.request(request)
        if answer.status != 200:
            error = refusal(answer.status, answer.body, answer.what)
            raise error
        try:
            return msgspec.json.decode(answer.body, type=call.answer)
        except msgspec.DecodeError as error:
            raise Corrupt(f"{answer.what}: an answer that cannot be read: {error}") from error

    # --- remembering --------------------------------------------------------------------------------------
    def _remember(self, statuses: Mapping[str, Status]) -> None:
        with_leader = sorted(statuses, key=lambda address: statuses[address].leader == "0")
        self._addresses = tuple(with_leader)
        self._address_of = {
            MemberId(status.header.member_id): address for address, status in statuses.items()
        }

    def _where(self, member: MemberId) -> str:
        address = self._address_of.get(member)
        if address is None:
            raise Unreachable(f"etcd member {member} did not answer when last observed")
        return address

    @staticmethod
    def _nobody(found: list[tuple[str, Status | InterfaceError]]) -> InterfaceError:
        said = "; ".join(str(error) for _, error in found) or "no address to ask"
        denied = bool(found) and all(isinstance(error, Denied) for _, error in found)
        return Denied(said) if denied else Unreachable(f"no etcd member answers: {said}")


def _in_base64(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


def _with_port(address: str) -> str:
    return address if ":" in address else f"{address}:{CLIENT_PORT}"


def _write_part(line: bytes, write: Callable[[bytes], object], what: str) -> str:
    """How many bytes are to come after this piece."""
    try:
        said = msgspec.json.decode(line, type=SnapshotLine)
        piece = b"" if said.result is None else base64.b64decode(said.result.blob, validate=True)
    except ValueError as error:
        raise Corrupt(f"{what}: a piece that cannot be read: {error}") from error
    if said.result is not None:
        try:
            write(piece)
        except OSError as error:  # the disk's here, not a connection's
            raise NoCapacity(f"{what}: what came cannot be kept: {error.strerror or error}") from error
        return said.result.remaining_bytes
    refused = refusal(200, bytes(said.error), what)
    raise refused


async def _first(asked: Sequence[asyncio.Future[MemberList]]) -> MemberList | None:
    """The first answer that is no error; the others are let go."""
    try:
        for done in asyncio.as_completed(asked):
            try:
                return await done
            except InterfaceError:
                continue
        return None
    finally:
        for future in asked:
            future.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _most_of(asked: Sequence[asyncio.Future[tuple[str, Status | InterfaceError]]]) -> None:
    """Until all are done, or more than half have said something and the others had their time."""
    waiting = set(asked)
    seconds: float | None = None
    while waiting:
        done, waiting = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return
        answered = [one for one in asked if one.done() and isinstance(one.result()[1], Status)]
        if 2 * len(answered) > len(asked):
            seconds = STRAGGLER_SECONDS
