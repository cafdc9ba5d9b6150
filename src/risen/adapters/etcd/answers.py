"""What etcd's JSON gateway answers, and what each refusal means. Pure; asks nothing.

64-bit numbers arrive as JSON text. Source: etcd 3.6 api/etcdserverpb/rpc.proto, api/v3rpc/rpctypes/error.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from risen.core.names import MemberId
from risen.core.picture import MemberSeen
from risen.interfaces.errors import (
    Conflict,
    Corrupt,
    Denied,
    InterfaceError,
    Invalid,
    Later,
    NotFound,
    OutcomeUnknown,
)


class Header(msgspec.Struct, frozen=True):
    """Of every answer: who said it."""

    cluster_id: str = "0"
    member_id: str = "0"
    revision: str = "0"


class Member(msgspec.Struct, frozen=True):
    """One entry of a member list; `name` is empty until it has started."""

    ID: str
    name: str = ""
    peerURLs: tuple[str, ...] = ()
    isLearner: bool = False


class MemberList(msgspec.Struct, frozen=True):
    """Answer of member list."""

    header: Header
    members: tuple[Member, ...] = ()


class MemberAdded(msgspec.Struct, frozen=True):
    """Answer of member add."""

    member: Member


class Status(msgspec.Struct, frozen=True):
    """What one member says of itself; `errors` holds every alarm of the cluster as text."""

    header: Header
    leader: str = "0"
    raftIndex: str = "0"
    dbSize: str = "0"
    errors: tuple[str, ...] = ()


class Hash(msgspec.Struct, frozen=True):
    """Answer of hashkv."""

    hash: int = 0
    compact_revision: str = "0"


class KeyValue(msgspec.Struct, frozen=True):
    """What a read found; `key` in base64."""

    key: str


class Ranged(msgspec.Struct, frozen=True):
    """Answer of a read."""

    header: Header
    kvs: tuple[KeyValue, ...] = ()


class SnapshotPart(msgspec.Struct, frozen=True):
    """A piece of a snapshot; `blob` in base64."""

    remaining_bytes: str = "0"
    blob: str = ""


class SnapshotLine(msgspec.Struct, frozen=True):
    """One line of a snapshot's stream: a piece, or why there are no more."""

    result: SnapshotPart | None = None
    error: msgspec.Raw = msgspec.Raw(b"")


class Refusal(msgspec.Struct, frozen=True):
    """A gRPC status as the gateway writes it."""

    message: str = ""
    code: int = 2


_ALARM = re.compile(r"(?:memberID:(\d+) )?alarm:(\w+)")

_BY_MESSAGE: tuple[tuple[str, type[InterfaceError]], ...] = (
    ("in sync with leader", Later),
    ("too many learner", Later),
    ("unhealthy cluster", Later),
    ("not enough started members", Later),
    ("too many requests", Later),
    ("no leader", Later),
    ("not supported for learner", Later),
    ("database space exceeded", Later),
    ("future revision", Later),
    ("has been compacted", NotFound),
    ("not found", NotFound),
    ("already exist", Conflict),
    ("can only promote a learner member", Conflict),
    ("not leader", Conflict),
    ("bad leader transferee", Conflict),
    ("cluster ID mismatch", Conflict),
    ("corrupt cluster", Corrupt),
)
"""First match wins: "not in sync" and "already a voter" share code 9 and a beginning, only the text differs."""

_BY_CODE: Mapping[int, type[InterfaceError]] = MappingProxyType(
    {
        3: Invalid,
        5: NotFound,
        7: Denied,
        8: Later,
        9: Conflict,
        12: Invalid,
        15: Corrupt,
        16: Denied,
    }
)


def refusal(status: int, body: bytes, what: str) -> InterfaceError:
    """The error of an answer whose HTTP status is not 200. What is not known to be refused is OutcomeUnknown
    ("request timed out" and "leader changed" may have been carried out)."""
    try:
        said = msgspec.json.decode(body, type=Refusal)
    except msgspec.DecodeError:
        said = Refusal(body[:200].decode(errors="replace"), 16 if status in (401, 403) else 2)
    text = f"{what}: {said.message or 'no text'} (HTTP {status}, code {said.code})"
    for words, kind in _BY_MESSAGE:
        if words in said.message:
            return kind(text)
    return _BY_CODE.get(said.code, OutcomeUnknown)(text)


def alarms_of(statuses: Iterable[Status]) -> frozenset[tuple[str, str]]:
    """(member id, alarm) raised anywhere in the cluster: NOSPACE is the cluster's trouble, CORRUPT its member's."""
    return frozenset(
        (found.group(1) or "", found.group(2))
        for status in statuses
        for error in status.errors
        for found in _ALARM.finditer(error)
    )


def members_seen(listed: MemberList, statuses: Iterable[Status]) -> tuple[MemberSeen, ...]:
    """The members of a list, each with what it said of itself. One that said nothing is not healthy."""
    own = {
        status.header.member_id: status
        for status in statuses
        if status.header.cluster_id == listed.header.cluster_id
    }
    corrupt = {member for member, alarm in alarms_of(own.values()) if alarm == "CORRUPT"}
    seen = (_member_seen(member, own.get(member.ID), member.ID in corrupt) for member in listed.members)
    return tuple(sorted(seen, key=lambda member: member.peer_url))


def _member_seen(member: Member, status: Status | None, corrupt: bool) -> MemberSeen:
    peer_url = member.peerURLs[0] if member.peerURLs else ""
    identity = MemberId(member.ID)
    if status is None:
        return MemberSeen(identity, member.name, peer_url, member.isLearner, healthy=False)
    return MemberSeen(
        id=identity,
        name=member.name,
        peer_url=peer_url,
        learner=member.isLearner,
        healthy=status.leader != "0" and not corrupt,
        leader=status.leader == member.ID,
        revision=int(status.header.revision),
        raft_index=int(status.raftIndex),
        db_bytes=int(status.dbSize),
    )
