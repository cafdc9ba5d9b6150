"""What an answer is boiled down to: enough to decide by, and nothing that differs from call to call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import UID, id_of, pod_of
from risen.core.names import InstanceName, MemberId
from risen.core.picture import (
    BackendSeen,
    EtcdSeen,
    InstanceSeen,
    InstanceState,
    KubernetesSeen,
    MemberSeen,
    NodeSeen,
    ProviderSeen,
)
from risen.interfaces.answers import Answer, answered, refused
from risen.interfaces.errors import Conflict, Later, Unreachable

NAME = InstanceName("w-a")
RUNNING = InstanceSeen(NAME, id_of(NAME), UID, InstanceState.RUNNING)
VOTER = MemberSeen(MemberId("1"), "cp-a", "https://10.0.0.1:2380", learner=False, healthy=True)
NODE = NodeSeen(NAME, "uid", id_of(NAME), ready=True, unschedulable=True)


def test_etcds_reason_tells_later_from_later() -> None:
    sync = Later(
        "POST …: etcdserver: can only promote a learner member which is in sync with leader (HTTP 400)"
    )
    voter = Conflict("etcdserver: can only promote a learner member")
    assert [str(refused("etcd.promote", error)) for error in (sync, voter, Unreachable("no leader"))] == [
        "etcd.promote  Later  in sync with leader",
        "etcd.promote  Conflict  can only promote a learner",
        "etcd.promote  Unreachable",
    ]


def test_an_adapters_own_kind_of_error_counts_as_the_interfaces() -> None:
    class Expired(Unreachable):
        """As the Kubernetes adapter has one."""

    assert refused("kubernetes.observe", Expired("410")).outcome == "Unreachable"


@pytest.mark.parametrize(
    ("operation", "value", "kinds"),
    [
        ("store.get", None, {"ok  nothing"}),
        ("leadership.try_lead", object(), {"ok  something"}),
        ("provider.get", replace(RUNNING, state=InstanceState.GONE), {"ok  gone"}),
        ("etcd.promote", None, {"ok"}),
        (
            "provider.list",
            ProviderSeen((RUNNING, replace(RUNNING, cluster=None))),
            {"ok", "shows  running", "shows  foreign running"},
        ),
        (
            "endpoint.list",
            (BackendSeen(InstanceName("a"), "10.0.0.1", up=False, draining=True),),
            {"ok", "shows  down draining"},
        ),
        (
            "kubernetes.observe",
            KubernetesSeen(
                (NODE,),
                (pod_of("web", NAME, terminating=True),),
                lease_holders=(("kube-scheduler", ""),),
            ),
            {"ok", "shows  node ready cordoned", "shows  pod terminating", "shows  lease free"},
        ),
    ],
)
def test_a_value_is_boiled_down_to_what_decides(operation: str, value: object, kinds: set[str]) -> None:
    assert {str(answer).removeprefix(f"{operation}  ") for answer in answered(operation, value)} == kinds


def test_members_are_told_by_what_they_are_to_the_quorum() -> None:
    seen = EtcdSeen("1", (VOTER, replace(VOTER, learner=True, name="", healthy=False)), alarms=("NOSPACE",))
    lost = replace(seen, quorum_lost=True, members=seen.members[:1], alarms=())
    told = {str(answer) for value in (seen, lost) for answer in answered("etcd.observe", value)}
    assert told == {
        "etcd.observe  ok  quorum NOSPACE",
        "etcd.observe  shows  healthy named voter",
        "etcd.observe  shows  unhealthy without a name learner",
        "etcd.observe  ok  quorum lost",
        "etcd.observe  shows  quorum lost: healthy named voter",
    }


def test_an_answer_is_read_back_from_its_line() -> None:
    for answer in (
        Answer("etcd.promote", "ok"),
        Answer("etcd.observe", "shows", "quorum lost: healthy named voter"),
    ):
        assert Answer.parse(str(answer)) == answer
