"""etcd's membership changes serially, the dead go first, and nothing is done blindly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import NOW, Cluster, life_of
from risen.core.history import TaskResult
from risen.core.names import InstanceName, MemberId
from risen.core.picture import InstanceState
from risen.core.step import (
    AddBackend,
    AddLearner,
    Bootstrap,
    Destroy,
    PromoteMember,
    RemoveBackend,
    RemoveMember,
    Step,
)
from risen.core.task import RehearseSnapshot

CHANGES = (AddLearner, PromoteMember, RemoveMember)


def growing() -> Cluster:
    """One voter serves; two more instances run and wait for their turn."""
    cluster = Cluster.standing(3, 0)
    for name in ("cp-b", "cp-c"):
        del cluster.members[name], cluster.backends[name], cluster.nodes[name]
        cluster.lives[name] = life_of(name, joined_at_unix=None, ready_at_unix=None)
    return cluster


def with_learner(name: str = "cp-b", healthy: bool = True) -> Cluster:
    cluster = growing()
    cluster.join(name, learner=True, healthy=healthy)
    return cluster


def test_one_learner_is_added_for_the_first_that_waits() -> None:
    assert growing().steps(*CHANGES) == [AddLearner(InstanceName("cp-b"), "https://10.77.0.11:2380")]


def test_no_learner_is_added_while_another_is_there() -> None:
    assert with_learner(healthy=False).steps(AddLearner) == []


def test_a_started_learner_is_promoted_and_tried_again_half_a_second_later() -> None:
    plan = with_learner().plan()
    assert PromoteMember(MemberId("102"), InstanceName("cp-b")) in plan.steps
    assert plan.recheck_at == NOW.boot + 0.5


def test_a_learner_that_has_not_started_is_waited_for() -> None:
    cluster = growing().join("cp-b", learner=True)
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], name="", healthy=False)
    assert cluster.steps(*CHANGES) == []
    assert any(waiting.for_what == "its etcd member to start" for waiting in cluster.plan().waiting)


def test_a_learner_that_runs_and_is_not_healthy_is_waited_for_and_not_tried() -> None:
    plan = with_learner(healthy=False).plan()
    assert not [step for step in plan.steps if isinstance(step, CHANGES)]
    assert any(waiting.for_what == "its etcd member to start" for waiting in plan.waiting)
    assert "quorum" not in {blocked.name for blocked in plan.blocked}


def test_nothing_is_added_while_a_voter_has_not_started_though_a_quorum_is_healthy() -> None:
    cluster = Cluster.standing(3, 0).run("cp-d")
    cluster.members["cp-c"] = replace(cluster.members["cp-c"], name="", healthy=False)
    assert cluster.steps(AddLearner) == []


def test_a_learner_at_an_address_where_nobody_is_left_is_removed() -> None:
    cluster = growing().join("cp-b", learner=True)
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], name="", peer_url="https://10.77.0.99:2380")
    assert cluster.steps(*CHANGES) == [RemoveMember(MemberId("102"), InstanceName(""), False)]


def test_a_learner_is_kept_while_one_instance_s_address_is_not_known() -> None:
    cluster = growing().join("cp-b", learner=True)
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], name="", peer_url="https://10.77.0.99:2380")
    cluster.instances["cp-c"] = replace(cluster.instances["cp-c"], state=InstanceState.UNKNOWN, address=None)
    assert cluster.steps(*CHANGES) == []


@pytest.mark.parametrize("started", [True, False])
def test_a_learner_goes_before_its_instance_is_ended_for_a_promotion_may_still_be_on_its_way(
    started: bool,
) -> None:
    cluster = with_learner(healthy=started)
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], name="cp-b" if started else "")
    cluster.stop("cp-b").open("cp-b", "repair")
    assert cluster.steps(*CHANGES, Destroy) == [RemoveMember(MemberId("102"), InstanceName("cp-b"), False)]
    del cluster.members["cp-b"]
    assert {type(step) for step in cluster.steps(*CHANGES, Destroy)} == {AddLearner, Destroy}


def test_the_dead_member_is_removed_before_the_replacement_is_added() -> None:
    cluster = Cluster.standing(3, 0).lose("cp-b").open("cp-b").run("cp-d")
    assert cluster.steps(*CHANGES) == [RemoveMember(MemberId("102"), InstanceName("cp-b"), True)]
    del cluster.members["cp-b"]
    assert [type(step) for step in cluster.steps(*CHANGES)] == [AddLearner]


def test_a_member_whose_instance_is_only_stopped_is_not_removed() -> None:
    assert Cluster.standing(3, 0).stop("cp-b").open("cp-b").steps(*CHANGES) == []


def test_a_dead_member_stays_until_its_loss_is_in_the_ledger() -> None:
    assert Cluster.standing(3, 0).lose("cp-b").steps(*CHANGES) == []


def test_with_quorum_lost_no_membership_change_is_proposed_and_the_arithmetic_is_said() -> None:
    cluster = Cluster.standing(3, 0).lose("cp-b").open("cp-b").stop("cp-c")
    assert cluster.steps(*CHANGES) == []
    assert cluster.blocked()["quorum-lost"].startswith("3 voters, 2 unhealthy")


def test_nothing_is_added_before_the_cluster_id_is_recorded() -> None:
    cluster = growing()
    cluster.etcd_id = ""
    assert cluster.steps(*CHANGES) == []


def test_an_etcd_of_another_id_is_foreign_and_left_alone() -> None:
    cluster = growing()
    cluster.answering_id = "888"
    assert cluster.steps(*CHANGES) == []
    assert cluster.blocked()["foreign"] == "it is 888, ours is 777"


def test_an_instance_that_runs_without_an_address_is_not_added_yet() -> None:
    cluster = growing()
    for name in ("cp-b", "cp-c"):
        cluster.instances[name] = replace(cluster.instances[name], address=None)
    assert cluster.steps(*CHANGES) == []


def test_a_member_without_a_birth_record_is_listed_and_left_alone() -> None:
    cluster = Cluster.standing(1, 0)
    cluster.members["x"] = replace(cluster.members["cp-a"], id=MemberId("500"), name="stranger", leader=False)
    assert cluster.steps(*CHANGES) == []
    assert cluster.blocked()["foreign"] == "etcd member 500 has no birth record: left alone"


def test_etcd_unseen_after_it_was_seen_is_a_refusal() -> None:
    cluster = growing()
    cluster.unseen["etcd"] = "Unreachable: nobody answers"
    assert cluster.steps(*CHANGES) == []
    assert "cannot-see" in cluster.blocked()


@pytest.mark.parametrize("other", [AddLearner(InstanceName("cp-c"), "https://10.77.0.12:2380")])
def test_a_membership_change_in_flight_holds_every_other_back(other: Step) -> None:
    cluster = growing()
    cluster.in_flight = [other]
    assert cluster.steps(*CHANGES) == []


def test_a_voter_becomes_a_backend_and_a_learner_does_not() -> None:
    cluster = Cluster.standing(3, 0)
    del cluster.backends["cp-b"], cluster.backends["cp-c"]
    cluster.members["cp-c"] = replace(cluster.members["cp-c"], learner=True)
    assert cluster.steps(AddBackend) == [AddBackend(InstanceName("cp-b"), "10.77.0.11")]


def test_a_backend_of_what_is_gone_is_removed_even_while_etcd_is_silent() -> None:
    cluster = Cluster.standing(3, 0).lose("cp-b").open("cp-b")
    cluster.unseen["etcd"] = "Unreachable: nobody answers"
    assert cluster.steps(RemoveBackend) == [RemoveBackend(InstanceName("cp-b"))]


def test_a_backend_of_a_stopped_instance_stays_its_own_check_takes_it_out() -> None:
    assert Cluster.standing(3, 0).stop("cp-b").steps(RemoveBackend) == []


def test_a_backend_at_an_address_where_its_instance_is_no_longer_is_removed() -> None:
    cluster = Cluster.standing(3, 0)
    cluster.backends["cp-b"] = replace(cluster.backends["cp-b"], address="10.77.0.99")
    assert cluster.steps(RemoveBackend, AddBackend) == [RemoveBackend(InstanceName("cp-b"))]


def test_a_founder_is_never_added_as_a_learner() -> None:
    cluster = growing()
    cluster.bootstraps = [Bootstrap(1, InstanceName("cp-b"), "token")]
    assert [step.instance for step in cluster.steps() if isinstance(step, AddLearner)] == ["cp-c"]


def test_an_unseen_endpoint_is_a_refusal_not_an_empty_one() -> None:
    cluster = Cluster.standing(3, 0)
    cluster.unseen["endpoint"] = "Unreachable: no socket"
    assert cluster.steps(AddBackend) == []
    assert cluster.blocked()["cannot-see"] == "Unreachable: no socket"


# --- one voter wanted ---------------------------------------------------------------------------------------
def solo(joined_ago: float = 30.0) -> Cluster:
    """The only voter, and the learner that is to take its place."""
    cluster = Cluster.standing(1, 0).run("cp-z").join("cp-z", learner=True)
    cluster.lives["cp-z"] = replace(cluster.lives["cp-z"], joined_at_unix=NOW.unix - joined_ago)
    return cluster


def test_beside_an_only_voter_a_learner_soaks_before_it_votes() -> None:
    cluster = solo(joined_ago=4.0)
    cluster.results["snapshot/cp-a/1"] = TaskResult(True, "revision 7", NOW.unix - 60)
    plan = cluster.plan()
    assert [step for step in plan.steps if isinstance(step, PromoteMember)] == []
    assert "its soak as a learner" in {waiting.for_what for waiting in plan.waiting}
    assert plan.recheck_at == NOW.boot + 6


def test_then_a_snapshot_is_rehearsed_and_only_with_it_the_learner_votes() -> None:
    cluster = solo()
    assert (cluster.steps(PromoteMember), cluster.plan().tasks) == ([], (RehearseSnapshot("cp-a", 1),))
    cluster.results["snapshot/cp-a/1"] = TaskResult(True, "revision 7", NOW.unix - 60)
    assert [type(step) for step in cluster.steps(*CHANGES)] == [PromoteMember]


def test_where_more_voters_are_wanted_a_learner_votes_at_once() -> None:
    cluster = with_learner()
    assert [type(step) for step in cluster.steps(*CHANGES)] == [PromoteMember]
    assert cluster.plan().tasks == ()
