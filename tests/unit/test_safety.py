"""Each invariant refuses what it is there to refuse, with its arithmetic, on the plan and on facts read afresh."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import NOW, Cluster, birth_of, id_of, life_of
from risen.core.blocked import Blocked
from risen.core.names import InstanceName, MemberId, ProviderId
from risen.core.safety.claims import MOST_IN_FLIGHT, Claims
from risen.core.safety.invariants import INVARIANTS, violations
from risen.core.safety.quorum import count_voters, quorum_of
from risen.core.safety.recheck import recheck
from risen.core.step import (
    AddBackend,
    AddLearner,
    Bootstrap,
    CordonNode,
    DeleteNode,
    DeletePod,
    Destroy,
    DrainBackend,
    EvictPod,
    FreePod,
    Launch,
    MarkNode,
    MoveLeader,
    OpenEntry,
    PowerOn,
    PressPowerButton,
    PromoteMember,
    RemoveBackend,
    RemoveMember,
    Step,
    UncordonNode,
    WriteBirth,
    WriteBootstrap,
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


def broken(cluster: Cluster, step: Step) -> list[str]:
    return [violation.invariant for violation in violations(step, cluster.facts())]


def unhealthy(cluster: Cluster, *names: str) -> Cluster:
    for one in names:
        cluster.members[one] = replace(cluster.members[one], healthy=False)
    return cluster


@pytest.mark.parametrize(("voters", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_quorum_is_more_than_half(voters: int, needed: int) -> None:
    assert quorum_of(voters) == needed


def test_the_list_of_invariants_is_the_one_the_design_names() -> None:
    assert [invariant.name for invariant in INVARIANTS] == [
        "quorum-kept", "data-before-cattle", "foreign-untouched", "bootstrap-once", "birth-before-launch",
        "entry-before-harm", "pool-budget-kept", "evictions-while-led", "do-not-disrupt-kept", "one-membership-change-at-a-time",
        "fault-tolerance-kept",
        "one-control-plane-change-at-a-time", "endpoint-of-the-living-kept", "no-revoked-release", "one-instance-tries-a-release",
    ]  # fmt: skip


# --- quorum-kept ------------------------------------------------------------------------------------------
def test_removing_a_dead_voter_beside_two_healthy_ones_is_allowed() -> None:
    cluster = Cluster.standing().lose("cp-c").open("cp-c")
    assert why(cluster, remove(cluster, "cp-c")) is None


def test_removing_a_healthy_voter_beside_a_sick_one_is_refused_with_its_arithmetic() -> None:
    cluster = unhealthy(Cluster.standing(), "cp-b").open("cp-c")
    blocked = why(cluster, remove(cluster, "cp-c"))
    assert blocked == Blocked("quorum", "cp-c", "3 voters, 1 unhealthy: removing one leaves 1 of 2")


def test_removing_without_a_quorum_is_refused_it_cannot_be_agreed() -> None:
    cluster = Cluster.standing().lose("cp-b").lose("cp-c").open("cp-c")
    assert broken(cluster, remove(cluster, "cp-c")) == ["quorum-kept"]


def test_removing_the_last_voter_is_refused() -> None:
    cluster = Cluster.standing(1, 0).open("cp-a")
    assert broken(cluster, remove(cluster, "cp-a")) == ["quorum-kept"]


def test_promoting_a_learner_that_is_not_healthy_is_refused() -> None:
    cluster = Cluster.standing(2, 0)
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], learner=True, healthy=False)
    step = PromoteMember(cluster.members["cp-b"].id, name("cp-b"))
    blocked = why(cluster, step)
    assert (
        blocked is not None and blocked.why == "1 voter, 0 unhealthy: promoting gives 1 healthy of 2 needed"
    )
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], healthy=True)
    assert why(cluster, step) is None


def test_promoting_what_etcd_does_not_list_is_refused() -> None:
    assert broken(Cluster.standing(), PromoteMember(MemberId("9"), name("cp-a"))) == ["quorum-kept"]


def test_leadership_moves_only_to_a_healthy_voter() -> None:
    cluster = unhealthy(Cluster.standing(), "cp-b")
    ids = {one: cluster.members[one].id for one in ("cp-a", "cp-b", "cp-c")}
    assert broken(cluster, MoveLeader(ids["cp-a"], ids["cp-b"])) == ["quorum-kept"]
    assert why(cluster, MoveLeader(ids["cp-a"], ids["cp-c"])) is None


def test_a_voter_being_taken_counts_as_lost_though_it_still_answers() -> None:
    cluster = Cluster.standing()
    cluster.in_flight = [PressPowerButton(name("cp-a"), id_of("cp-a"))]
    voters = count_voters(cluster.facts())
    assert voters is not None and (voters.total, len(voters.healthy)) == (3, 2)


def test_a_learner_being_promoted_counts_as_a_voter_that_fails() -> None:
    cluster = Cluster.standing(2, 0)
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], learner=True)
    cluster.in_flight = [PromoteMember(cluster.members["cp-b"].id, name("cp-b"))]
    voters = count_voters(cluster.facts())
    assert voters is not None and (voters.total, voters.keep_quorum) == (2, False)


def test_a_member_that_answered_before_its_instance_went_off_is_not_healthy() -> None:
    cluster = Cluster.standing().stop("cp-a")
    cluster.members["cp-a"] = replace(cluster.members["cp-a"], healthy=True)
    voters = count_voters(cluster.facts())
    assert voters is not None and len(voters.healthy) == 2


# --- data-before-cattle -----------------------------------------------------------------------------------
def test_a_voter_is_ended_beside_a_healthy_quorum_of_others() -> None:
    assert why(Cluster.standing().open("cp-a"), destroy("cp-a")) is None


def test_a_second_voter_is_not_ended_while_the_first_one_is_being_ended() -> None:
    cluster = Cluster.standing().open("cp-a").open("cp-b")
    cluster.in_flight = [destroy("cp-a")]
    assert broken(cluster, destroy("cp-b")) == ["data-before-cattle"]


def test_of_two_voters_neither_is_ended() -> None:
    cluster = Cluster.standing(2, 0).open("cp-b")
    blocked = why(cluster, destroy("cp-b"))
    assert blocked == Blocked(
        "quorum", "cp-b", "2 voters, 0 unhealthy: ending it leaves 1 healthy of 2 needed"
    )


def test_health_older_than_ten_seconds_does_not_count() -> None:
    cluster = Cluster.standing().open("cp-a")
    cluster.etcd_as_of = NOW.boot - 10.5
    blocked = why(cluster, destroy("cp-a"))
    assert blocked == Blocked("cannot-see", "cp-a", "etcd was last seen more than 10 s ago")


def test_with_quorum_lost_nothing_that_may_hold_data_is_ended() -> None:
    cluster = Cluster.standing().open("cp-a")
    cluster.quorum_lost = True
    blocked = why(cluster, destroy("cp-a"))
    assert blocked is not None and blocked.name == "quorum-lost"


def test_the_solo_member_is_ended_only_if_the_loss_is_accepted() -> None:
    cluster = Cluster.standing(1, 0).open("cp-a", "kill")
    blocked = why(cluster, destroy("cp-a"))
    assert blocked is not None and blocked.name == "accept-data-loss"
    assert why(cluster.kill("cp-a", accept_data_loss=True), destroy("cp-a")) is None


def test_a_founder_whose_etcd_never_came_is_ended_only_if_the_loss_is_accepted() -> None:
    cluster = Cluster.nothing().run("cp-a").run("cp-b").open("cp-a", "kill")
    cluster.lives["cp-a"] = life_of("cp-a", ready_at_unix=None)
    assert broken(cluster, destroy("cp-a")) == ["data-before-cattle"]
    assert broken(cluster.kill("cp-a", accept_data_loss=True), destroy("cp-a")) == []


def test_a_control_plane_instance_that_never_joined_holds_no_data() -> None:
    cluster = Cluster.standing(1, 0).run("cp-b").open("cp-b", "never-joined")
    cluster.lives["cp-b"] = life_of("cp-b", joined_at_unix=None, ready_at_unix=None)
    assert why(cluster, destroy("cp-b", holds_data=False)) is None


def test_a_step_that_claims_to_hold_no_data_is_judged_by_the_facts() -> None:
    cluster = Cluster.standing(1, 0).open("cp-a")
    assert "data-before-cattle" in broken(cluster, destroy("cp-a", holds_data=False))


# --- foreign-untouched ------------------------------------------------------------------------------------
def test_what_is_gone_may_be_ended_again_by_its_id_whatever_id_the_provider_makes_up_for_it() -> None:
    cluster = Cluster.standing().lose("w-a").open("w-a")
    cluster.instances["w-a"] = replace(cluster.instances["w-a"], provider_id=ProviderId("sim://none/w-a"))
    assert broken(cluster, destroy("w-a", holds_data=False)) == []


@pytest.mark.parametrize(
    "step",
    [
        Destroy(name("theirs"), ProviderId("x://y/theirs"), False),
        PowerOn(name("theirs"), ProviderId("x://y/theirs")),
        CordonNode(name("theirs"), "uid"),
        DeleteNode(name("theirs"), "uid"),
        MarkNode(name("theirs"), "uid", (), ()),
        UncordonNode(name("theirs"), "uid"),
        EvictPod("default", "web", "uid-web", name("theirs")),
        DeletePod("default", "web", "uid-web", name("theirs")),
        AddBackend(name("theirs"), "10.77.0.99"),
        DrainBackend(name("theirs")),
        OpenEntry("theirs-1", name("theirs"), "repair", ()),
    ],
)
def test_what_has_no_birth_record_is_never_touched(step: Step) -> None:
    assert "foreign-untouched" in broken(Cluster.standing(), step)


def test_a_provider_id_that_is_not_the_instance_s_own_is_refused() -> None:
    cluster = Cluster.standing().stop("w-a")
    assert broken(cluster, PowerOn(name("w-a"), ProviderId("risen-local://dev/w-a/2"))) == [
        "foreign-untouched"
    ]


@pytest.mark.parametrize(
    "step",
    [
        DeleteNode(name("w-a"), "node-w-a"),
        CordonNode(name("w-a"), "node-w-a"),
        UncordonNode(name("w-a"), "node-w-a"),
        MarkNode(name("w-a"), "node-w-a", (), ()),
        EvictPod("default", "web", "uid-web", name("w-a")),
        DeletePod("default", "web", "uid-web", name("w-a")),
        FreePod("default", "web", "uid-web", name("w-a")),
    ],
)
def test_a_node_whose_provider_id_is_not_ours_is_left_alone_with_what_runs_there(step: Step) -> None:
    cluster = Cluster.standing().open("w-a", forced=("default/web",))
    assert broken(cluster, step) == []
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], provider_id="aws:///i-1")
    assert broken(cluster, step) == ["foreign-untouched"]


# --- bootstrap-once ---------------------------------------------------------------------------------------
def test_nothing_is_founded_beside_a_recorded_cluster_id() -> None:
    step = WriteBootstrap(Bootstrap(2, name("cp-z"), "t"))
    assert broken(Cluster.standing().lose("cp-a"), step) == ["bootstrap-once"]


def test_nothing_is_founded_while_etcd_has_members_though_no_id_is_recorded() -> None:
    cluster = Cluster.standing()
    cluster.etcd_id = ""
    assert broken(cluster, WriteBootstrap(Bootstrap(2, name("cp-z"), "t"))) == ["bootstrap-once"]


@pytest.mark.parametrize(
    ("generation", "lost", "refused"), [(2, True, False), (2, False, True), (3, True, True)]
)
def test_the_next_generation_follows_only_a_founder_that_is_gone(
    generation: int, lost: bool, refused: bool
) -> None:
    cluster = Cluster.nothing(1, 0)
    cluster.bootstraps.append(Bootstrap(1, name("cp-a"), "t"))
    cluster.run("cp-a")
    if lost:
        cluster.lose("cp-a")
    step = WriteBootstrap(Bootstrap(generation, name("cp-z"), "t"))
    assert broken(cluster, step) == (["bootstrap-once"] if refused else [])


# --- birth-before-launch ----------------------------------------------------------------------------------
def test_nothing_is_launched_without_a_birth_record() -> None:
    assert broken(Cluster.standing(), Launch(name("w-z"))) == ["birth-before-launch"]


def test_what_is_gone_is_not_launched_again() -> None:
    cluster = Cluster.standing()
    cluster.lives["w-a"] = life_of("w-a", gone_at_unix=NOW.unix)
    assert broken(cluster, Launch(name("w-a"))) == ["birth-before-launch"]


def test_nobody_is_born_before_a_founder_is_named() -> None:
    assert broken(Cluster.nothing(), WriteBirth(birth_of("w-z"))) == ["birth-before-launch"]


def test_no_name_is_born_twice() -> None:
    assert broken(Cluster.standing(), WriteBirth(birth_of("w-a"))) == ["birth-before-launch"]


def test_what_the_ledger_ends_is_not_launched() -> None:
    cluster = Cluster.standing().open("w-a", "kill")
    blocked = why(cluster, Launch(name("w-a")))
    assert blocked == Blocked("budget", "w-a", "ledger entry w-a-1 ends it")


# --- entry-before-harm ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "step",
    [
        destroy("w-a", holds_data=False),
        PressPowerButton(name("w-a"), id_of("w-a")),
        CordonNode(name("w-a"), "node-w-a"),
        DeleteNode(name("w-a"), "node-w-a"),
        EvictPod("default", "web", "uid-web", name("w-a")),
        DeletePod("default", "web", "uid-web", name("w-a")),
        DrainBackend(name("cp-c")),
        RemoveBackend(name("cp-c")),
        FreePod("default", "web", "uid-web", name("w-a")),
        RemoveMember(MemberId("103"), name("cp-c"), True),
    ],
)
def test_no_harm_is_done_before_its_entry_is_open(step: Step) -> None:
    assert broken(Cluster.standing(), step) == ["entry-before-harm"]


def test_a_backend_of_what_is_gone_or_has_moved_or_is_known_no_more_is_forgotten_without_an_entry() -> None:
    cluster = Cluster.standing().lose("cp-a")
    cluster.instances["cp-b"] = replace(cluster.instances["cp-b"], address="10.77.0.99")
    for subject in ("cp-a", "cp-b", "cp-z"):
        assert broken(cluster, RemoveBackend(name(subject))) == []


def test_a_pod_is_deleted_past_its_budgets_only_where_the_entry_names_it() -> None:
    step = DeletePod("default", "web", "uid-web", name("w-a"))
    cluster = Cluster.standing().open("w-a", "rollout", forced=("default/api",))
    assert broken(cluster, step) == ["entry-before-harm"]
    assert broken(Cluster.standing().open("w-a", "rollout", forced=("default/web",)), step) == []


# --- one-membership-change-at-a-time ----------------------------------------------------------------------
def test_a_second_membership_change_waits_for_the_first() -> None:
    cluster = Cluster.standing().lose("cp-c").open("cp-c").run("cp-d")
    cluster.in_flight = [AddLearner(name("cp-d"), f"https://{cluster.instances['cp-d'].address}:2380")]
    assert broken(cluster, remove(cluster, "cp-c")) == ["one-membership-change-at-a-time"]


def test_a_second_learner_waits_for_the_first() -> None:
    cluster = Cluster.standing().run("cp-d")
    cluster.members["cp-c"] = replace(cluster.members["cp-c"], learner=True)
    step = AddLearner(name("cp-d"), f"https://{cluster.instances['cp-d'].address}:2380")
    assert broken(cluster, step) == ["one-membership-change-at-a-time"]


# --- claims -----------------------------------------------------------------------------------------------
def test_at_most_64_steps_are_in_flight() -> None:
    claims = Claims.of(tuple(Launch(name(f"w-{number}")) for number in range(MOST_IN_FLIGHT)))
    assert not claims.are_free(Launch(name("w-x")))
