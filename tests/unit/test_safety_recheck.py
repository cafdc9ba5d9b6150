"""The second check: what is read afresh before a step, and what may have changed since it was planned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import Cluster, id_of, pod_of
from risen.core.blocked import Blocked
from risen.core.names import InstanceName, MemberId
from risen.core.safety.recheck import needs_of, recheck
from risen.core.step import (
    AddBackend,
    AddLearner,
    ApplyAddon,
    DeleteNode,
    Destroy,
    FreePod,
    MoveLeader,
    PowerOn,
    RecordClusterId,
    RemoveMember,
    Step,
)


def name(text: str) -> InstanceName:
    return InstanceName(text)


def destroy(subject: str, holds_data: bool = True) -> Destroy:
    return Destroy(name(subject), id_of(subject), holds_data)


def remove(cluster: Cluster, subject: str) -> RemoveMember:
    member = cluster.members[subject]
    return RemoveMember(member.id, name(subject), not member.learner)


def why(cluster: Cluster, step: Step) -> Blocked | None:
    return recheck(step, cluster.picture(), cluster.history(), cluster.now)


@pytest.mark.parametrize("section", ["provider", "etcd"])
def test_a_step_whose_fresh_facts_cannot_be_read_is_not_sent(section: str) -> None:
    cluster = Cluster.standing().open("cp-a")
    cluster.unseen[section] = "Unreachable: timed out"
    blocked = why(cluster, destroy("cp-a"))
    assert blocked is not None and blocked.name == "cannot-see"


def test_what_a_step_needs_is_what_could_make_it_wrong() -> None:
    assert needs_of(destroy("cp-a")) == {"provider", "etcd"}
    assert needs_of(destroy("w-a", holds_data=False)) == {"provider"}
    assert needs_of(RemoveMember(MemberId("1"), name("cp-a"), True)) == {"provider", "etcd"}
    assert needs_of(DeleteNode(name("w-a"), "u")) == {"provider", "kubernetes"}
    assert needs_of(ApplyAddon("v1/Namespace//a", "d")) == frozenset()


def test_an_instance_that_runs_by_now_is_not_powered_on() -> None:
    assert why(Cluster.standing(), PowerOn(name("w-a"), id_of("w-a"))) is not None
    assert why(Cluster.standing().stop("w-a"), PowerOn(name("w-a"), id_of("w-a"))) is None


def test_a_pod_of_an_instance_that_runs_by_now_is_not_freed() -> None:
    cluster = Cluster.standing().open("w-a")
    step = FreePod("default", "web", "uid-web", name("w-a"))
    assert why(cluster, step) is not None
    assert why(cluster.lose("w-a"), step) is None


@pytest.mark.parametrize("stateful", [False, True])
def test_a_pod_is_not_freed_while_its_instance_is_only_off(stateful: bool) -> None:
    cluster = Cluster.standing().open("w-a").stop("w-a")
    cluster.pods = [pod_of("db-0", "w-a", stateful=stateful)]
    step = FreePod("default", "db-0", "uid-db-0", name("w-a"))
    assert why(cluster, step) is not None
    assert why(cluster.lose("w-a"), step) is None


def test_a_learner_is_added_only_at_the_address_that_the_provider_shows_now() -> None:
    cluster = Cluster.standing().run("cp-d")
    step = AddLearner(name("cp-d"), "https://10.77.0.99:2380")
    assert why(cluster, step) == Blocked(
        "cannot-see", "cp-d", "the provider does not show it at https://10.77.0.99:2380"
    )


def test_a_learner_that_was_promoted_meanwhile_is_not_removed_as_one() -> None:
    cluster = Cluster.standing().lose("cp-c").open("cp-c")
    blocked = why(cluster, replace(remove(cluster, "cp-c"), voter=False))
    assert blocked == Blocked("quorum", "cp-c", "it has become a voter")


def test_what_is_no_voter_by_now_becomes_no_backend() -> None:
    cluster = Cluster.standing()
    del cluster.members["cp-b"]
    assert why(cluster, AddBackend(name("cp-b"), "10.77.0.11")) is not None


def test_another_etcd_than_the_one_seen_is_not_recorded() -> None:
    cluster = Cluster.standing()
    cluster.etcd_id = ""
    assert why(cluster, RecordClusterId("888")) is not None


def test_a_step_that_shares_a_claim_with_one_in_flight_is_held_back() -> None:
    cluster = Cluster.standing().stop("w-a")
    cluster.in_flight = [MoveLeader(MemberId("1"), MemberId("2"))]
    blocked = why(cluster.open("cp-a"), destroy("cp-a"))
    assert blocked == Blocked("claims", "etcd", "MoveLeader is in flight")
