"""A control-plane instance that is taken by plan is walked in order, and every step follows from what is seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import CP, NOW, Cluster, id_of, pod_of
from risen.core.history import Revoked, TaskResult
from risen.core.names import InstanceName, ReleaseId
from risen.core.picture import BudgetSeen, InstanceState
from risen.core.rules import handover
from risen.core.rules.view import View
from risen.core.step import (
    AddBackend,
    CordonNode,
    Destroy,
    DrainBackend,
    EvictPod,
    MoveLeader,
    OpenEntry,
    PowerOn,
    PressPowerButton,
    PromoteMember,
    RemoveMember,
    Step,
)
from risen.core.task import RehearseSnapshot

WALK = (
    CordonNode, EvictPod, DrainBackend, PressPowerButton, MoveLeader, RemoveMember, Destroy, PowerOn,
)  # fmt: skip


def name(text: str) -> InstanceName:
    return InstanceName(text)


def taken(control_plane: int = 3, subject: str = "cp-a", reason: str = "rollout") -> Cluster:
    """One more than wanted votes and serves, and `subject` is in the ledger."""
    cluster = Cluster.standing(control_plane, 0).apply(CP)
    cluster.serve("cp-z").of_release("cp-z")
    return cluster.open(subject, reason)


def rehearsed(cluster: Cluster, ago: float = 60.0, subject: str = "cp-a") -> Cluster:
    cluster.results[f"snapshot/{subject}/1"] = TaskResult(True, "revision 7", NOW.unix - ago)
    return cluster


def cordoned(cluster: Cluster, subject: str = "cp-a") -> Cluster:
    return rehearsed(cluster.off_balancers(subject), subject=subject)


def drained(cluster: Cluster, subject: str = "cp-a") -> Cluster:
    cordoned(cluster, subject).backends[subject] = replace(cluster.backends[subject], draining=True)
    return cluster


def pressed(cluster: Cluster, subject: str = "cp-a", ago: float = 5.0, silent: bool = False) -> Cluster:
    drained(cluster, subject).instances[subject] = replace(
        cluster.instances[subject], power_pressed_at=NOW.boot - ago
    )
    cluster.backends[subject] = replace(cluster.backends[subject], up=False, silent=silent)
    return cluster


def follows(cluster: Cluster, subject: str = "cp-a") -> Cluster:
    """Let another lead."""
    for key, member in cluster.members.items():
        cluster.members[key] = replace(member, leader=key == "cp-c" or (subject == "cp-c" and key == "cp-b"))
    return cluster


def walk(cluster: Cluster) -> list[Step]:
    return cluster.steps(*WALK)


def waits(cluster: Cluster) -> list[str]:
    return [waiting.for_what for waiting in cluster.plan().waiting if waiting.subject == "cp-a"]


# --- the order --------------------------------------------------------------------------------------------
def test_first_it_is_cordoned_and_a_snapshot_is_rehearsed_meanwhile() -> None:
    plan = taken().plan()
    assert [step for step in plan.steps if isinstance(step, WALK)] == [CordonNode(name("cp-a"), "node-cp-a")]
    assert plan.tasks == (RehearseSnapshot("cp-a", 1),)


def test_then_its_pods_are_evicted() -> None:
    cluster = cordoned(taken())
    cluster.pods.append(pod_of("dns-1", "cp-a"))
    assert walk(cluster) == [EvictPod("default", "dns-1", "uid-dns-1", name("cp-a"))]


def test_then_the_endpoint_sends_it_nothing_new() -> None:
    assert walk(cordoned(taken())) == [DrainBackend(name("cp-a"))]


def test_then_its_power_button_is_pressed_and_the_step_says_what_is_to_be_left() -> None:
    assert walk(drained(taken())) == [PressPowerButton(name("cp-a"), id_of("cp-a"), leaves=3)]


def test_then_leadership_moves_to_one_that_stays_with_the_longest_log() -> None:
    cluster = pressed(taken()).of_release("cp-b")
    for key, index in (("cp-b", 90), ("cp-c", 99), ("cp-z", 80)):
        cluster.members[key] = replace(cluster.members[key], raft_index=index)
    ids = {key: member.id for key, member in cluster.members.items()}
    assert walk(cluster) == [MoveLeader(ids["cp-a"], ids["cp-b"])]


def test_leadership_does_not_move_to_one_that_is_to_be_ended_however_long_its_log() -> None:
    cluster = pressed(taken()).open("cp-b", "kill")
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], raft_index=900)
    ids = {key: member.id for key, member in cluster.members.items()}
    assert cluster.steps(MoveLeader) == [MoveLeader(ids["cp-a"], ids["cp-z"])]


def test_while_its_apiserver_ends_in_order_its_member_stays() -> None:
    cluster = follows(pressed(taken()))
    assert walk(cluster) == []
    assert waits(cluster) == ["its apiserver to end"]


def test_once_its_apiserver_has_ended_its_member_is_removed_while_all_are_alive() -> None:
    cluster = follows(pressed(taken(), silent=True))
    member = cluster.members["cp-a"]
    assert walk(cluster) == [RemoveMember(member.id, name("cp-a"), True, leaves=3)]


def test_then_only_its_power_off_is_awaited() -> None:
    cluster = follows(pressed(taken(), silent=True))
    del cluster.members["cp-a"]
    assert walk(cluster) == []
    assert waits(cluster) == ["its power-off"]


def test_off_and_no_member_any_more_it_is_ended() -> None:
    cluster = follows(pressed(taken(), silent=True))
    del cluster.members["cp-a"]
    cluster.stop("cp-a", ago=1.0)
    assert walk(cluster) == [Destroy(name("cp-a"), id_of("cp-a"), True)]


# --- what holds it ----------------------------------------------------------------------------------------
def test_without_a_fresh_verified_snapshot_the_button_is_not_pressed() -> None:
    cluster = rehearsed(drained(taken()), ago=601.0)
    assert walk(cluster) == []
    assert cluster.plan().tasks == (RehearseSnapshot("cp-a", 2),)


def test_each_replacement_has_a_snapshot_of_its_own() -> None:
    cluster = drained(taken())
    cluster.results = {"snapshot/cp-b/1": TaskResult(True, "of the one before it", NOW.unix - 60)}
    assert walk(cluster) == []
    assert cluster.plan().tasks == (RehearseSnapshot("cp-a", 1),)


def test_a_rehearsal_that_failed_is_said_and_tried_again_with_the_next_number_after_a_while() -> None:
    cluster = drained(taken())
    cluster.results = {
        "snapshot/cp-a/1": TaskResult(False, "hashes differ", NOW.unix - 30),
        "snapshot/cp-a/2": TaskResult(False, "hashes differ", NOW.unix - 4),
    }
    plan = cluster.plan()
    assert (plan.tasks, cluster.blocked()["snapshot"]) == (
        (), "attempt 2: hashes differ; tried again after 10 s",
    )  # fmt: skip
    assert plan.recheck_at == NOW.boot + 6
    cluster.results["snapshot/cp-a/2"] = TaskResult(False, "hashes differ", NOW.unix - 10)
    assert cluster.plan().tasks == (RehearseSnapshot("cp-a", 3),)


def test_nothing_is_begun_while_one_of_the_others_is_unhealthy() -> None:
    cluster = taken()
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], healthy=False)
    assert walk(cluster) == []
    assert cluster.blocked()["fault-tolerance"] == (
        "4 voters, 1 unhealthy: without it 2 of 3 are healthy and 0 may fail, of 3 wanted it is 1"
    )


def test_it_stays_in_the_endpoint_until_enough_others_are_up() -> None:
    cluster = cordoned(taken())
    for other in ("cp-b", "cp-c"):
        cluster.backends[other] = replace(cluster.backends[other], up=False)
    assert walk(cluster) == []
    assert cluster.blocked()["fault-tolerance"].startswith("1 other apiservers are up")


@pytest.mark.parametrize("begun", [False, True], ids=["before its cordon", "before its button"])
def test_nothing_is_taken_while_the_new_one_is_not_up_behind_the_endpoint_though_its_node_is_ready(
    begun: bool,
) -> None:
    cluster = drained(taken()) if begun else rehearsed(taken())
    cluster.backends["cp-z"] = replace(cluster.backends["cp-z"], up=False)
    assert (walk(cluster), waits(cluster)) == ([], ["cp-z to be up behind the endpoint"])
    del cluster.backends["cp-z"]
    assert (walk(cluster), waits(cluster)) == ([], ["cp-z to be up behind the endpoint"])


def test_an_old_one_whose_apiserver_is_down_does_not_hold_up_what_mends_it() -> None:
    cluster = cordoned(taken())
    cluster.backends["cp-b"] = replace(cluster.backends["cp-b"], up=False)
    assert walk(cluster) == [DrainBackend(name("cp-a"))]


@pytest.mark.parametrize("section", ["provider", "etcd", "kubernetes", "endpoint"])
def test_unseen_sections_hold_it(section: str) -> None:
    cluster = cordoned(taken())
    cluster.unseen[section] = "Unreachable: timed out"
    assert walk(cluster) == []
    assert "cannot-see" in cluster.blocked()


def test_a_person_is_told_when_its_pods_do_not_leave_and_it_is_never_let_live_as_a_fourth_voter() -> None:
    cluster = cordoned(taken())
    spec = cluster.revision.spec
    disruption = replace(spec.disruption, on_drain_timeout="skip")
    cluster.revision = replace(cluster.revision, spec=replace(spec, disruption=disruption))
    cluster.pods += [pod_of(f"dns-{node}", node) for node in ("cp-a", "cp-b", "cp-c")]
    cluster.budgets = [BudgetSeen("default", "dns", 0, 3, 3, ())]
    cluster.open("cp-a", "rollout", opened=NOW.unix - 1801)
    assert [type(step) for step in walk(cluster)] == [EvictPod]
    assert "drain-timeout" in cluster.blocked()


def test_pods_of_a_kubelet_that_has_been_silent_for_a_minute_are_not_waited_for() -> None:
    cluster = cordoned(taken())
    cluster.pods.append(pod_of("dns-1", "cp-a"))
    cluster.nodes["cp-a"] = replace(cluster.nodes["cp-a"], lease_renewed_unix=NOW.unix - 61)
    assert walk(cluster) == [DrainBackend(name("cp-a"))]


def test_pods_are_waited_for_where_the_kubelet_could_say_nothing_for_the_api_was_away() -> None:
    cluster = cordoned(taken())
    cluster.pods.append(pod_of("dns-1", "cp-a"))
    cluster.nodes["cp-a"] = replace(cluster.nodes["cp-a"], lease_renewed_unix=NOW.unix - 120)
    cluster.api_back_for = 1.0
    assert [type(step) for step in walk(cluster)] == [EvictPod]


# --- bounds -----------------------------------------------------------------------------------------------
def test_an_apiserver_that_does_not_end_holds_the_removal_for_so_long_only() -> None:
    assert [type(step) for step in walk(follows(pressed(taken(), ago=99.0)))] == []
    assert [type(step) for step in walk(follows(pressed(taken(), ago=100.0)))] == [RemoveMember]


def test_leadership_that_cannot_be_moved_holds_the_removal_for_so_long_only() -> None:
    assert [type(step) for step in walk(pressed(taken(), ago=100.0))] == [RemoveMember]


def test_an_instance_that_does_not_power_off_is_ended() -> None:
    cluster = follows(pressed(taken(), ago=180.0))
    del cluster.members["cp-a"]
    assert walk(cluster) == [Destroy(name("cp-a"), id_of("cp-a"), True)]


def test_an_endpoint_that_is_unseen_after_the_press_does_not_hold_the_removal_for_ever() -> None:
    cluster = follows(pressed(taken(), ago=100.0))
    cluster.unseen["endpoint"] = "Unreachable: no socket"
    assert [type(step) for step in walk(cluster)] == [RemoveMember]


# --- crash and bad luck anywhere --------------------------------------------------------------------------
def test_one_that_went_off_before_its_member_was_removed_loses_it_then() -> None:
    cluster = follows(drained(taken())).stop("cp-a", ago=20.0)
    assert [type(step) for step in walk(cluster)] == [RemoveMember]


def test_after_the_press_its_member_goes_though_another_voter_has_died() -> None:
    cluster = follows(pressed(taken(), silent=True)).lose("cp-b")
    assert [type(step) for step in walk(cluster)] == [RemoveMember]


def test_one_that_went_off_and_without_which_there_is_no_quorum_is_wanted_back() -> None:
    cluster = follows(drained(taken())).stop("cp-a", ago=20.0).lose("cp-b")
    assert walk(cluster) == [PowerOn(name("cp-a"), id_of("cp-a"))]


def test_a_member_that_does_not_answer_is_removed_without_waiting_for_its_apiserver() -> None:
    cluster = follows(pressed(taken()))
    cluster.members["cp-a"] = replace(cluster.members["cp-a"], healthy=False)
    assert [type(step) for step in walk(cluster)] == [RemoveMember]


def test_a_leader_that_does_not_answer_cannot_be_asked_and_is_removed_by_the_others() -> None:
    cluster = pressed(taken())
    cluster.members["cp-a"] = replace(cluster.members["cp-a"], healthy=False, leader=True)
    assert [type(step) for step in walk(cluster)] == [RemoveMember]


def test_an_unknown_instance_is_not_touched() -> None:
    cluster = cordoned(taken())
    cluster.instances["cp-a"] = replace(cluster.instances["cp-a"], state=InstanceState.UNKNOWN)
    assert walk(cluster) == []


def test_no_pressed_button_is_proposed_twice() -> None:
    assert PressPowerButton not in {type(step) for step in walk(pressed(taken()))}


# --- bad ones go the shorter way --------------------------------------------------------------------------
def bad() -> Cluster:
    """A canary beside three healthy ones, in the ledger to be rolled back."""
    cluster = Cluster.standing(3, 0).apply(CP).run("cp-z").of_release("cp-z")
    release = cluster.lives["cp-z"].birth.release
    cluster.revoked[release] = Revoked(release, CP, 2, ("never Ready",), NOW.unix)
    return cluster.open("cp-z", "rollback")


def test_a_canary_that_never_joined_is_ended_at_once() -> None:
    assert walk(bad()) == [Destroy(name("cp-z"), id_of("cp-z"), False)]


def test_a_canary_that_is_a_learner_is_ended_and_not_promoted() -> None:
    cluster = bad().join("cp-z", learner=True)
    cluster.lives["cp-z"] = replace(cluster.lives["cp-z"], joined_at_unix=NOW.unix - 60)
    assert walk(cluster) == [Destroy(name("cp-z"), id_of("cp-z"), True)]
    assert cluster.steps(PromoteMember) == []


def test_a_canary_whose_member_does_not_answer_needs_no_snapshot() -> None:
    cluster = bad().join("cp-z", healthy=False)
    cluster.lives["cp-z"] = replace(cluster.lives["cp-z"], joined_at_unix=NOW.unix - 60)
    assert walk(cluster) == [PressPowerButton(name("cp-z"), id_of("cp-z"), leaves=3)]
    assert cluster.plan().tasks == ()


def test_a_canary_that_votes_but_never_became_a_node_is_powered_off_with_a_snapshot() -> None:
    cluster = rehearsed(bad().join("cp-z"), subject="cp-z")
    cluster.lives["cp-z"] = replace(cluster.lives["cp-z"], joined_at_unix=NOW.unix - 60)
    assert walk(cluster) == [PressPowerButton(name("cp-z"), id_of("cp-z"), leaves=3)]


# --- solo -------------------------------------------------------------------------------------------------
def test_a_solo_member_is_handed_over_beside_its_one_replacement() -> None:
    cluster = taken(1)
    assert [type(step) for step in walk(drained(cluster))] == [PressPowerButton]
    ids = {key: member.id for key, member in cluster.members.items()}
    assert walk(pressed(cluster)) == [MoveLeader(ids["cp-a"], ids["cp-z"])]
    pressed(cluster, silent=True).members["cp-a"] = replace(cluster.members["cp-a"], leader=False)
    assert walk(cluster) == [RemoveMember(ids["cp-a"], name("cp-a"), True, leaves=1)]


def test_a_solo_member_that_went_off_too_early_is_wanted_back() -> None:
    cluster = drained(taken(1)).stop("cp-a", ago=20.0)
    assert walk(cluster) == [PowerOn(name("cp-a"), id_of("cp-a"))]


# --- around it --------------------------------------------------------------------------------------------
def test_a_backend_that_is_drained_without_an_entry_takes_requests_again() -> None:
    cluster = Cluster.standing(3, 0)
    cluster.backends["cp-b"] = replace(cluster.backends["cp-b"], draining=True)
    assert cluster.steps(AddBackend) == [AddBackend(name("cp-b"), "10.77.0.11")]


def test_a_drained_backend_of_an_open_entry_stays_so() -> None:
    assert drained(taken()).steps(AddBackend) == []


def test_workers_are_not_walked_here() -> None:
    cluster = Cluster.standing(3, 2).open("w-a", "rollout")
    facts = cluster.facts()
    assert handover.propose(View(cluster.revision, facts, {}, None)).steps == ()  # type: ignore[arg-type]


def test_the_entry_of_a_second_one_is_not_opened() -> None:
    assert [step for step in taken().steps(OpenEntry) if step.subject != "cp-a"] == []  # type: ignore[attr-defined]


def test_nor_is_that_of_one_that_has_gone_bad_meanwhile_tried_and_refused() -> None:
    cluster = taken(subject="cp-c")
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    cluster.nodes["cp-a"] = replace(cluster.nodes["cp-a"], ready=False)
    assert (cluster.steps(OpenEntry), cluster.blocked()) == ([], {})
