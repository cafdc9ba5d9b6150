"""What is gone, stopped, never joined or asked to be killed: its entry, its end, its power button or none of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import BORN_UNIX, NOW, STOPPED, Cluster, birth_of, life_of
from risen.core.names import InstanceName
from risen.core.picture import InstanceState
from risen.core.spec import Repair
from risen.core.step import (
    AddLearner,
    CloseEntry,
    Destroy,
    OpenEntry,
    PowerOn,
    PromoteMember,
    RemoveMember,
    WriteBirth,
    claims_of,
)

HARM = (OpenEntry, PowerOn, Destroy)
OBSERVE = Repair(mode="observe")


def opened(cluster: Cluster) -> list[tuple[str, str]]:
    return [(step.subject, step.reason) for step in cluster.steps() if isinstance(step, OpenEntry)]


def powered_on(cluster: Cluster) -> list[str]:
    return [step.instance for step in cluster.steps() if isinstance(step, PowerOn)]


def destroyed(cluster: Cluster) -> list[str]:
    return [step.instance for step in cluster.steps() if isinstance(step, Destroy)]


def born(cluster: Cluster) -> list[str]:
    return [step.birth.reason for step in cluster.steps() if isinstance(step, WriteBirth)]


def test_a_healthy_cluster_needs_nothing() -> None:
    plan = Cluster.standing().plan()
    assert (plan.steps, plan.blocked, plan.waiting, plan.recheck_at) == ((), (), (), None)


def test_a_gone_worker_gets_an_entry_before_anything_else_is_done_about_it() -> None:
    cluster = Cluster.standing().lose("w-a")
    assert opened(cluster) == [("w-a", "repair")]
    assert born(cluster) == []


def test_the_replacement_is_born_as_soon_as_the_entry_is_open() -> None:
    assert born(Cluster.standing().lose("w-a").open("w-a")) == ["replace w-a"]


def test_the_replacement_is_born_once() -> None:
    cluster = Cluster.standing().lose("w-a").open("w-a")
    cluster.lives["w-c"] = replace(life_of("w-c"), birth=birth_of("w-c", entry="w-a-1"))
    cluster.run("w-c")
    assert born(cluster) == []


def test_a_lone_stopped_worker_is_dead_and_ended_as_the_fence() -> None:
    cluster = Cluster.standing(3, 3).stop("w-a")
    assert opened(cluster) == [("w-a", "repair")]
    cluster.open("w-a")
    assert destroyed(cluster) == ["w-a"]
    assert born(cluster) == ["replace w-a"]


def test_a_stop_settles_a_second_before_it_is_judged() -> None:
    cluster = Cluster.standing(3, 3).stop("w-a", ago=0.4)
    assert cluster.steps(*HARM) == []
    assert cluster.plan().recheck_at == NOW.boot + 0.6


def test_what_stopped_together_is_powered_on_and_nothing_is_ended() -> None:
    cluster = Cluster.standing().stop("w-a").stop("w-b")
    assert powered_on(cluster) == ["w-a", "w-b"]
    assert opened(cluster) == []


def test_after_a_power_cut_everything_is_powered_on_at_once() -> None:
    cluster = Cluster.standing()
    for name in cluster.instances:
        cluster.stop(name)
    cluster.unseen = {"etcd": "Unreachable: no instance runs", "kubernetes": "Unreachable: no backend"}
    assert powered_on(cluster) == ["cp-a", "cp-b", "cp-c", "w-a", "w-b"]
    assert [type(step) for step in cluster.plan().steps] == [PowerOn] * 5


def test_the_last_of_many_to_be_powered_on_is_no_lone_death() -> None:
    cluster = Cluster.standing().stop("w-b")
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], lease_renewed_unix=NOW.unix - 40)
    assert powered_on(cluster) == ["w-b"]


def test_the_last_of_many_is_powered_on_while_kubernetes_is_still_silent() -> None:
    cluster = Cluster.standing().stop("w-b")
    cluster.unseen["kubernetes"] = "Unreachable: no backend"
    assert powered_on(cluster) == ["w-b"]


def test_a_controller_that_has_only_just_looked_does_not_take_a_lone_death_for_a_silent_kubernetes() -> None:
    cluster = Cluster.standing().stop("w-b").open("w-b", "repair")
    cluster.unseen["kubernetes"] = "Unreachable: not in sync with the API: nodes: not listed yet"
    cluster.unseen_for_seconds = 2.0
    assert powered_on(cluster) == []
    assert "Kubernetes to answer" in {waiting.for_what for waiting in cluster.plan().waiting}


def test_a_lone_worker_is_powered_on_when_its_host_rebooted() -> None:
    cluster = Cluster.standing(3, 3).stop("w-a")
    cluster.host_boot = "boot-2"
    assert powered_on(cluster) == ["w-a"]


def test_the_stopped_leader_is_replaced_once_the_others_elected() -> None:
    cluster = Cluster.standing().stop("cp-a")
    assert opened(cluster) == [("cp-a", "repair")]


def test_while_the_others_elect_the_stopped_leader_is_neither_powered_on_nor_ended() -> None:
    cluster = Cluster.standing().stop("cp-a", ago=2)
    cluster.quorum_lost = True
    assert cluster.steps(*HARM) == []
    assert any(waiting.for_what == "etcd to elect a leader" for waiting in cluster.plan().waiting)


def test_a_stopped_instance_without_which_etcd_stays_without_quorum_is_powered_on() -> None:
    cluster = Cluster.standing().stop("cp-a", ago=11)
    cluster.quorum_lost = True
    assert powered_on(cluster) == ["cp-a"]


def test_a_stopped_solo_member_is_powered_on_at_once() -> None:
    cluster = Cluster.standing(1, 2).stop("cp-a", ago=2)
    cluster.unseen["etcd"] = "Unreachable: no instance runs"
    assert powered_on(cluster) == ["cp-a"]


def test_with_one_gone_and_one_stopped_of_three_the_stopped_is_powered_on() -> None:
    cluster = Cluster.standing().lose("cp-b").open("cp-b").stop("cp-c")
    assert powered_on(cluster) == ["cp-c"]
    assert destroyed(cluster) == []


def test_with_quorum_lost_what_was_to_be_ended_is_powered_on_instead() -> None:
    cluster = Cluster.standing().stop("cp-b").open("cp-b").lose("cp-c").open("cp-c")
    assert powered_on(cluster) == ["cp-b"]
    assert destroyed(cluster) == []


def test_a_control_plane_replacement_is_born_only_after_the_old_is_proven_gone() -> None:
    cluster = Cluster.standing().stop("cp-b").open("cp-b")
    assert destroyed(cluster) == ["cp-b"]
    assert born(cluster) == []
    cluster.lose("cp-b")
    assert born(cluster) == ["replace cp-b"]


def test_no_control_plane_instance_is_born_while_quorum_is_lost() -> None:
    cluster = Cluster.standing().lose("cp-b").open("cp-b").lose("cp-c").open("cp-c")
    assert born(cluster) == []


def test_unknown_is_not_gone() -> None:
    cluster = Cluster.standing()
    cluster.instances["w-a"] = replace(cluster.instances["w-a"], state=InstanceState.UNKNOWN)
    assert cluster.steps() == []


def test_a_subject_whose_state_is_unknown_is_not_ended_blindly() -> None:
    cluster = Cluster.standing().open("w-a", "kill")
    cluster.instances["w-a"] = replace(cluster.instances["w-a"], state=InstanceState.UNKNOWN)
    assert destroyed(cluster) == []
    assert cluster.blocked()["cannot-see"] == "the provider says unknown: that is not gone"


def test_not_listed_is_not_gone() -> None:
    cluster = Cluster.standing()
    del cluster.instances["w-a"]
    assert cluster.steps() == []


def test_without_sight_of_the_provider_nobody_is_repaired() -> None:
    cluster = Cluster.standing().lose("w-a")
    cluster.unseen["provider"] = "Unreachable: timed out"
    assert cluster.steps() == []
    assert cluster.blocked()["cannot-see"] == "Unreachable: timed out"


def test_in_observe_mode_a_death_is_only_said() -> None:
    cluster = Cluster.standing(3, 2, OBSERVE).lose("w-a")
    assert cluster.steps() == []
    assert cluster.blocked()["observe-only"] == "would be replaced: repair, provider: gone"


def test_in_observe_mode_a_power_on_is_only_said() -> None:
    cluster = Cluster.standing(3, 2, OBSERVE).stop("w-a").stop("w-b")
    assert cluster.steps() == []
    assert cluster.blocked()["observe-only"].startswith("would be powered on: 2 of 2")


def test_in_observe_mode_a_person_s_kill_still_goes() -> None:
    assert opened(Cluster.standing(3, 2, OBSERVE).kill("w-a")) == [("w-a", "kill")]


def test_a_killed_worker_is_ended_while_it_runs_and_replaced_at_once() -> None:
    cluster = Cluster.standing().kill("w-a").open("w-a", "kill")
    assert destroyed(cluster) == ["w-a"]
    assert born(cluster) == ["replace w-a"]


def test_a_kill_is_entered_once() -> None:
    assert opened(Cluster.standing().kill("w-a").open("w-a", "kill")) == []


def test_a_killed_voter_is_ended_beside_a_healthy_quorum_of_others() -> None:
    cluster = Cluster.standing().kill("cp-a").open("cp-a", "kill")
    assert cluster.steps(Destroy) == [
        Destroy(InstanceName("cp-a"), cluster.instances["cp-a"].provider_id, holds_data=True)
    ]


def test_a_kill_that_would_cost_the_quorum_is_refused_before_its_entry_is_opened() -> None:
    cluster = Cluster.standing().kill("cp-a")
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], healthy=False)
    assert opened(cluster) == []
    assert cluster.blocked()["quorum"] == "3 voters, 1 unhealthy: ending it leaves 1 healthy of 2 needed"


def test_the_solo_member_is_killed_only_by_who_accepts_the_loss_of_its_data() -> None:
    assert opened(Cluster.standing(1, 1).kill("cp-a")) == []
    assert "accept-data-loss" in Cluster.standing(1, 1).kill("cp-a").blocked()
    assert opened(Cluster.standing(1, 1).kill("cp-a", accept_data_loss=True)) == [("cp-a", "kill")]


def test_a_repaired_instance_that_came_back_by_itself_is_let_live() -> None:
    assert destroyed(Cluster.standing().open("w-a", "repair")) == []


def silent(cluster: Cluster, *names: str, launched_ago: float = 601.0) -> Cluster:
    """These were launched and never joined."""
    for name in names:
        cluster.lives[name] = life_of(
            name, launched_at_unix=NOW.unix - launched_ago, joined_at_unix=None, ready_at_unix=None
        )
        cluster.nodes.pop(name, None)
    return cluster


def test_one_that_came_back_and_does_not_join_in_its_time_is_ended() -> None:
    assert destroyed(silent(Cluster.standing().open("w-a", "repair"), "w-a", launched_ago=50)) == []
    assert destroyed(silent(Cluster.standing().open("w-a", "repair"), "w-a")) == ["w-a"]


def test_one_that_came_back_as_a_learner_is_removed_and_then_ended_for_with_an_entry_it_is_never_promoted() -> (
    None
):
    cluster = Cluster.standing().open("cp-b", "repair")
    assert destroyed(cluster) == []
    member = cluster.members["cp-b"] = replace(cluster.members["cp-b"], learner=True)
    assert (cluster.steps(PromoteMember), destroyed(cluster)) == ([], [])
    assert cluster.steps(RemoveMember) == [RemoveMember(member.id, InstanceName("cp-b"), voter=False)]
    del cluster.members["cp-b"]
    assert (cluster.steps(AddLearner), destroyed(cluster)) == ([], ["cp-b"])


def test_while_etcd_has_no_quorum_nobody_knows_who_votes_and_none_that_came_back_is_ended() -> None:
    cluster = Cluster.standing().open("cp-b", "repair")
    del cluster.members["cp-b"]
    assert destroyed(cluster) == ["cp-b"]
    cluster.quorum_lost = True
    assert destroyed(cluster) == []


def test_one_that_never_joined_is_entered_after_its_bound_and_then_ended() -> None:
    cluster = silent(Cluster.standing(), "w-a")
    assert opened(cluster) == [("w-a", "never-joined")]
    assert destroyed(cluster.open("w-a", "never-joined")) == ["w-a"]


def test_before_its_bound_it_is_waited_for_and_the_plan_says_until_when() -> None:
    cluster = silent(Cluster.standing(), "w-a", launched_ago=50)
    assert opened(cluster) == []
    assert cluster.plan().recheck_at == NOW.boot + 10


def test_all_that_never_joined_are_given_up_at_once_that_is_no_storm() -> None:
    assert opened(silent(Cluster.standing(), "w-a", "w-b")) == [
        ("w-a", "never-joined"),
        ("w-b", "never-joined"),
    ]


def test_a_condemned_instance_is_ended_at_once() -> None:
    cluster = silent(Cluster.standing(), "w-a", launched_ago=1)
    cluster.lives["w-a"] = replace(cluster.lives["w-a"], condemned="a second key used its ticket")
    assert opened(cluster) == [("w-a", "never-joined")]


@pytest.mark.parametrize(("failures", "pause"), [(1, 5), (2, 10), (4, 40), (9, 300)])
def test_after_instances_that_never_joined_births_back_off(failures: int, pause: int) -> None:
    cluster = Cluster.standing(3, 1)
    cluster.lives["w-a"] = life_of("w-a", ready_at_unix=BORN_UNIX)
    cluster.bury("w-a")
    for number in range(failures - 1):
        cluster.open(f"w-x{number}", "never-joined", opened=BORN_UNIX + 1, closed_unix=NOW.unix - 400)
    cluster.open("w-a", "never-joined", opened=NOW.unix - pause + 1)
    assert born(cluster) == []
    waiting = next(one for one in cluster.plan().waiting if one.subject == "w")
    assert waiting.give_up_at == NOW.boot + 1
    cluster.entries["w-a-1"] = replace(cluster.entries["w-a-1"], opened_unix=NOW.unix - pause)
    assert born(cluster) == ["replace w-a"]


@pytest.mark.parametrize(("reason", "ready"), [("repair", False), ("kill", False), ("repair", True)])
def test_births_back_off_after_one_that_died_before_it_was_ready(reason: str, ready: bool) -> None:
    cluster = Cluster.standing(3, 2)
    cluster.lives["w-a"] = life_of("w-a", ready_at_unix=BORN_UNIX if ready else None)
    cluster.bury("w-a").open("w-a", reason, opened=NOW.unix - 4)
    held = reason == "repair" and not ready
    assert born(cluster) == ([] if held else ["replace w-a"])
    cluster.entries["w-a-1"] = replace(cluster.entries["w-a-1"], opened_unix=NOW.unix - 5)
    assert born(cluster) == ["replace w-a"]


@pytest.mark.parametrize("reason", ["repair", "kill", "never-joined", "scale-down"])
def test_what_is_left_of_a_launch_that_was_cut_short_is_cleared_away_whatever_its_entry_says(
    reason: str,
) -> None:
    cluster = silent(Cluster.standing(3, 2), "w-a").open("w-a", reason)
    cluster.run("w-a", state=InstanceState.UNFINISHED)
    assert destroyed(cluster) == ["w-a"]


def test_what_is_left_of_a_launch_after_its_entry_was_closed_is_ours_again() -> None:
    cluster = silent(Cluster.standing(), "w-b").open("w-b", "kill", closed_unix=NOW.unix - 5)
    cluster.run("w-b", state=InstanceState.UNFINISHED)
    assert InstanceName("w-b") in cluster.facts().lives


def test_an_instance_of_ours_that_shows_up_after_its_entry_was_closed_is_ours_again() -> None:
    cluster = Cluster.standing().open("w-b", "kill", closed_unix=NOW.unix - 5, outcome="removed")
    assert InstanceName("w-b") in cluster.facts().lives


def test_stopped_and_never_joined_goes_like_the_dead() -> None:
    cluster = silent(Cluster.standing(3, 3), "w-a", launched_ago=60)
    cluster.instances["w-a"] = replace(cluster.instances["w-a"], state=STOPPED, stopped_at=NOW.boot - 30)
    assert opened(cluster) == [("w-a", "repair")]


def test_no_step_of_a_repair_claims_what_another_of_the_plan_claims() -> None:
    steps = Cluster.standing().lose("w-a").open("w-a").lose("cp-b").open("cp-b").steps()
    claims = [claim for step in steps for claim in claims_of(step)]
    assert len(steps) > 2
    assert len(claims) == len(set(claims))


def test_a_node_that_is_ready_only_by_an_old_lease_has_not_recovered() -> None:
    cluster = Cluster.standing().open("w-a", opened=NOW.unix - 2)
    assert cluster.steps(CloseEntry) == []


def test_a_lease_renewed_since_the_entry_was_opened_is_a_recovery() -> None:
    cluster = Cluster.standing().open("w-a", opened=NOW.unix - 20)
    assert [step.outcome for step in cluster.steps(CloseEntry)] == ["recovered"]
