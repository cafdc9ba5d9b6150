"""What etcd's refusals mean, and members as they are seen from a list and what each said of itself."""

from __future__ import annotations

import json

import pytest

from risen.adapters.etcd.answers import Header, Member, MemberList, Status, members_seen, refusal
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


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (9, "etcdserver: can only promote a learner member which is in sync with leader", Later),
        (9, "etcdserver: can only promote a learner member", Conflict),
        (9, "etcdserver: too many learner members in cluster", Later),
        (9, "etcdserver: re-configuration failed due to not enough started members", Later),
        (9, "etcdserver: Peer URLs already exists", Conflict),
        (9, "etcdserver: not leader", Conflict),
        (14, "etcdserver: unhealthy cluster", Later),
        (14, "etcdserver: no leader", Later),
        (14, "etcdserver: request timed out", OutcomeUnknown),
        (14, "etcdserver: leader changed", OutcomeUnknown),
        (8, "etcdserver: mvcc: database space exceeded", Later),
        (15, "etcdserver: corrupt cluster", Corrupt),
        (5, "etcdserver: member not found", NotFound),
        (3, "etcdserver: given member URLs are invalid", Invalid),
        (7, "etcdserver: permission denied", Denied),
    ],
)
def test_the_message_tells_later_from_never(code: int, message: str, kind: type[InterfaceError]) -> None:
    body = json.dumps({"code": code, "message": message}).encode()
    assert type(refusal(400, body, "POST x")) is kind


def test_an_answer_that_is_no_refusal_of_etcd_leaves_the_outcome_unknown() -> None:
    assert type(refusal(502, b"<html>bad gateway", "POST x")) is OutcomeUnknown


def status(member: str, *, cluster: str = "1", leader: str = "7", errors: tuple[str, ...] = ()) -> Status:
    return Status(Header(cluster, member, "5"), leader, "9", "100", errors)


def listed(*members: Member) -> MemberList:
    return MemberList(Header("1"), members)


def test_a_member_that_said_nothing_is_not_healthy_and_an_unstarted_learner_has_no_name() -> None:
    seen = members_seen(
        listed(Member("7", "a", ("https://a",)), Member("8", "", ("https://b",), True)), [status("7")]
    )
    assert [(member.name, member.healthy, member.leader, member.learner) for member in seen] == [
        ("a", True, True, False),
        ("", False, False, True),
    ]


def test_a_member_without_a_leader_is_not_healthy() -> None:
    (seen,) = members_seen(listed(Member("7", "a", ("https://a",))), [status("7", leader="0")])
    assert not seen.healthy


def test_corruption_told_by_any_member_is_its_subjects_alone() -> None:
    errors = ("memberID:8 alarm:CORRUPT ",)
    members = (Member("7", "a", ("https://a",)), Member("8", "b", ("https://b",)))
    seen = members_seen(listed(*members), [status("7", errors=errors), status("8")])
    assert [member.healthy for member in seen] == [True, False]


def test_what_a_member_of_another_cluster_says_is_not_taken() -> None:
    (seen,) = members_seen(listed(Member("7", "a", ("https://a",))), [status("7", cluster="2")])
    assert not seen.healthy
