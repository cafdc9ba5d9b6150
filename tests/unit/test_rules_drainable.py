"""What cannot be drained now goes last and holds up nobody: not its pool, not its release's verdict, no other pool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import CP, NOW, Cluster, W, pod_of
from risen.core.history import ReplaceIntent, RolloutIntent
from risen.core.names import ImageDigest, InstanceName, PoolName, ReleaseId, Role
from risen.core.picture import BudgetSeen
from risen.core.spec import Disruption, PoolRelease, PoolSpec, Share, Strategy
from risen.core.step import (
    STEP_TIMEOUT_SECONDS,
    AddBackend,
    CloseEntry,
    CordonNode,
    EvictPod,
    MarkNode,
    OpenEntry,
    PassRelease,
    PressPowerButton,
    Step,
    UncordonNode,
    WriteBirth,
)

V = PoolName("v")
DRAIN_SECONDS = 60.0
APP = (("app", "strict"),)
CLOSED = BudgetSeen("default", "strict", 0, 2, 2, APP)


def held(cluster: Cluster, *nodes: str, what: str = "stop") -> Cluster:
    """On each of these a pod whose budget allows nothing."""
    spec = replace(cluster.revision.spec, disruption=Disruption(DRAIN_SECONDS, what))
    cluster.revision = replace(cluster.revision, spec=spec)
    cluster.pods = [pod_of(f"strict-{node}", node, labels=APP) for node in nodes]
    cluster.budgets = [CLOSED]
    return cluster


def rolling(workers: int = 3, passed: bool = True) -> Cluster:
    """One more than wanted serves and is of the release headed for."""
    cluster = Cluster.standing(3, workers).apply(W)
    if passed:
        cluster.passed[ReleaseId("r-w-new")] = ("tried",)
    return cluster.serve("w-x").of_release("w-x")


def taken(cluster: Cluster, name: str, ago: float, reason: str = "rollout") -> Cluster:
    cluster.open(name, reason, opened=NOW.unix - ago)
    cluster.nodes[name] = replace(cluster.nodes[name], unschedulable=True, our_cordon=True)
    return cluster


def let_live(cluster: Cluster, name: str, outcome: str) -> Cluster:
    """As the two steps that let it live leave it."""
    cluster.nodes[name] = replace(cluster.nodes[name], unschedulable=False, our_cordon=False)
    entry = cluster.entries[f"{name}-1"]
    cluster.entries[entry.id] = replace(entry, closed_unix=NOW.unix, outcome=outcome)
    return cluster


def opened(cluster: Cluster) -> list[str]:
    return [step.subject for step in cluster.steps(OpenEntry)]  # type: ignore[attr-defined]


def calls_off(cluster: Cluster) -> list[Step]:
    return cluster.steps(UncordonNode, CloseEntry)


# --- who goes first -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("passed", [True, False])
def test_one_that_can_be_drained_now_is_taken_before_one_that_cannot(passed: bool) -> None:
    cluster = held(rolling(passed=passed), "w-a")
    assert opened(cluster) == ["w-b"]
    cluster.budgets = [replace(CLOSED, allowed=1)]
    assert opened(cluster) == ["w-a"]


def test_where_none_can_be_drained_one_is_tried_all_the_same() -> None:
    assert opened(held(rolling(2), "w-a", "w-b")) == ["w-a"]


def test_one_whose_pod_was_told_to_end_and_is_still_there_goes_later() -> None:
    cluster = rolling(2)
    cluster.pods = [pod_of("web", "w-a", terminating=True)]
    assert opened(cluster) == ["w-b"]


def test_a_control_plane_instance_that_can_be_drained_goes_before_one_that_cannot() -> None:
    cluster = Cluster.standing(3, 0).apply(CP)
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    cluster = held(cluster.serve("cp-x").of_release("cp-x"), "cp-b")
    assert opened(cluster) == ["cp-c"]
    cluster.pods = [replace(pod_of("batch", "cp-b"), protected=True)]
    assert opened(cluster) == ["cp-c"]
    assert "do-not-disrupt" in cluster.blocked()


# --- what takes too long ------------------------------------------------------------------------------------
def test_a_drain_that_takes_too_long_is_put_off_where_another_can_be_drained() -> None:
    cluster = held(taken(rolling(), "w-a", DRAIN_SECONDS - 1), "w-a")
    assert calls_off(cluster) == []
    cluster = held(taken(rolling(), "w-a", DRAIN_SECONDS), "w-a")
    assert [type(step) for step in calls_off(cluster)] == [UncordonNode]
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], unschedulable=False, our_cordon=False)
    assert calls_off(cluster) == [CloseEntry("w-a-1", "put off")]
    assert opened(let_live(cluster, "w-a", "put off")) == ["w-b"]


def test_what_was_put_off_goes_after_those_that_were_not_and_then_it_is_tried_again() -> None:
    cluster = let_live(held(taken(rolling(2), "w-a", DRAIN_SECONDS)), "w-a", "put off")
    assert opened(cluster) == ["w-b"]
    assert opened(cluster.of_release("w-b")) == ["w-a"]


def test_two_whose_evictions_are_refused_unseen_do_not_take_turns_for_ever() -> None:
    cluster = taken(rolling(2), "w-b", 1800)
    cluster.pods = [pod_of("refused", "w-b")]
    for number in range(1, 4):
        assert [type(step) for step in calls_off(cluster)] == [UncordonNode]
        closed = NOW.unix - 10 + number
        entry = replace(
            cluster.entries["w-b-1"], id=f"w-a-{number}", subject=cluster.lives["w-a"].birth.instance
        )
        cluster.entries[entry.id] = replace(entry, closed_unix=closed, outcome="put off")
    assert calls_off(cluster) == []


def test_with_nobody_else_to_drain_evictions_are_tried_on() -> None:
    cluster = held(taken(rolling(2), "w-a", DRAIN_SECONDS), "w-a", "w-b")
    assert calls_off(cluster) == []
    assert len(cluster.steps(EvictPod)) == 1
    assert "drain-timeout" in cluster.blocked()


def test_nothing_is_put_off_in_a_pause_for_nobody_else_would_go() -> None:
    cluster = held(taken(rolling(), "w-a", DRAIN_SECONDS), "w-a")
    cluster.orders[2] = RolloutIntent("i", 2, "pause", "jane")
    assert calls_off(cluster) == []


def test_what_a_person_asked_another_for_is_asked_for_still_when_it_was_put_off() -> None:
    cluster = held(taken(Cluster.standing(3, 2).serve("w-x"), "w-a", DRAIN_SECONDS, "replace"), "w-a")
    assert calls_off(cluster) == []
    cluster.replaces = [ReplaceIntent("i", cluster.lives["w-b"].birth.instance, "jane", "slow")]
    assert [type(step) for step in calls_off(cluster)] == [UncordonNode]
    cluster = let_live(cluster, "w-a", "put off")
    cluster.replaces = []
    assert opened(cluster) == ["w-a"]


def test_a_control_plane_instance_is_put_off_too_and_serves_requests_again() -> None:
    cluster = Cluster.standing(3, 0).apply(CP)
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    cluster = held(taken(cluster.serve("cp-x").of_release("cp-x"), "cp-b", DRAIN_SECONDS), "cp-b")
    cluster.backends["cp-b"] = replace(cluster.backends["cp-b"], draining=True)
    assert [type(step) for step in calls_off(cluster)] == [UncordonNode]
    cluster = let_live(cluster, "cp-b", "put off")
    assert opened(cluster) == ["cp-c"]
    assert [step.instance for step in cluster.steps(AddBackend)] == ["cp-b"]  # type: ignore[attr-defined]


# --- the verdict, and other pools ---------------------------------------------------------------------------
def two_pools() -> Cluster:
    """The first instance of `v` has come and the only old one cannot be drained; `w` is to be rolled as well."""
    cluster = Cluster.standing(3, 2)
    spec = cluster.revision.spec
    pools = (*spec.pools, PoolSpec(V, Role.WORKER, 1))
    releases = (*cluster.revision.releases, PoolRelease(V, ReleaseId("r-v"), ImageDigest("sha256:v")))
    cluster.revision = replace(cluster.revision, spec=replace(spec, pools=pools), releases=releases)
    cluster.serve("v-a").complete().apply(W, V)
    return cluster.serve("v-x").of_release("v-x")


def born(cluster: Cluster) -> list[str]:
    return [step.birth.release for step in cluster.steps(WriteBirth)]  # type: ignore[attr-defined]


def test_a_release_whose_first_instance_cannot_take_over_passes_after_the_drains_time_and_its_soak() -> None:
    told = "pods stayed on v-a: its drain took too long"
    for ago, passes in ((DRAIN_SECONDS + 9, False), (DRAIN_SECONDS + 10, True)):
        cluster = held(taken(two_pools(), "v-a", ago), "v-a")
        cluster.nodes["v-x"] = replace(cluster.nodes["v-x"], lease_renewed_unix=NOW.unix)
        passed: list[PassRelease] = cluster.steps(PassRelease)  # type: ignore[assignment]
        assert [step.evidence[1:] for step in passed] == ([(told,)] if passes else [])
        assert born(cluster) == []


def test_then_the_release_of_another_pool_is_tried_while_the_first_is_still_stuck() -> None:
    cluster = held(taken(two_pools(), "v-a", DRAIN_SECONDS + 20), "v-a")
    cluster.passed[ReleaseId("r-v-new")] = ("tried",)
    assert born(cluster) == ["r-w-new"]
    assert len(cluster.steps(EvictPod)) == 1


def test_a_first_instance_waits_for_another_to_take_over_where_there_is_one() -> None:
    cluster = held(taken(rolling(passed=False), "w-a", DRAIN_SECONDS + 60), "w-a")
    assert cluster.steps(PassRelease) == []
    assert [type(step) for step in calls_off(cluster)] == [UncordonNode]
    cluster = let_live(cluster, "w-a", "put off")
    assert cluster.steps(PassRelease) == []
    assert opened(cluster) == ["w-b"]


def test_a_release_passes_without_pods_that_ask_not_to_be_disrupted() -> None:
    cluster = two_pools()
    cluster.nodes["v-x"] = replace(cluster.nodes["v-x"], lease_renewed_unix=NOW.unix)
    cluster.pods = [replace(pod_of("batch", "v-a"), protected=True)]
    passed: list[PassRelease] = cluster.steps(PassRelease)  # type: ignore[assignment]
    assert passed[0].evidence[1:] == ("pods stayed on v-a: one asks not to be disrupted",)
    assert opened(cluster) == []


def test_by_force_the_pods_leave_and_are_waited_for() -> None:
    cluster = held(taken(two_pools(), "v-a", DRAIN_SECONDS + 60), "v-a", what="force")
    cluster.nodes["v-x"] = replace(cluster.nodes["v-x"], lease_renewed_unix=NOW.unix)
    assert cluster.steps(PassRelease) == []


def test_without_surge_another_is_ended_first_where_one_cannot_be_drained() -> None:
    cluster = Cluster.standing(3, 3).apply(W)
    strategy = Strategy(Share(0), Share(1))
    pools = tuple(replace(pool, strategy=strategy) for pool in cluster.revision.spec.pools)
    cluster.revision = replace(cluster.revision, spec=replace(cluster.revision.spec, pools=pools))
    cluster = held(taken(cluster, "w-a", DRAIN_SECONDS), "w-a")
    assert [type(step) for step in calls_off(cluster)] == [UncordonNode]
    assert opened(let_live(cluster, "w-a", "put off")) == ["w-b"]


# --- the control plane before its release has passed, and a change of mind ------------------------------------
def soaking() -> Cluster:
    return Cluster.standing(3, 0).apply(CP).serve("cp-x", ready_at_unix=NOW.unix - 2).of_release("cp-x")


def test_a_sick_old_voter_is_not_touched_for_a_release_that_nobody_has_judged() -> None:
    cluster = soaking()
    cluster.nodes["cp-b"] = replace(cluster.nodes["cp-b"], lease_renewed_unix=NOW.unix - 26)
    assert opened(cluster) == []
    waits = [one.for_what for one in cluster.plan().waiting if one.subject == "cp-b"]
    assert waits == ["r-cp-new to pass before it is taken: it is Suspect"]
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    assert opened(cluster) == ["cp-b"]


def test_what_repair_takes_in_mid_soak_goes_by_its_own_rule() -> None:
    cluster = soaking().lose("cp-b")
    assert [(step.subject, step.reason) for step in cluster.steps(OpenEntry)] == [  # type: ignore[attr-defined]
        ("cp-b", "repair")
    ]


def test_a_voter_that_does_not_answer_holds_the_rollout_and_what_mends_it_is_said() -> None:
    cluster = Cluster.standing(3, 0).apply(CP)
    cluster.nodes["cp-b"] = replace(cluster.nodes["cp-b"], lease_renewed_unix=NOW.unix - 26)
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], healthy=False)
    assert cluster.steps(OpenEntry, WriteBirth) == []
    assert cluster.blocked()["quorum"].endswith("`risen kill cp-b` replaces it by the release that stood")


def aborted(opened_ago: float = 5) -> Cluster:
    """In the drain of cp-b the revision is aborted."""
    cluster = Cluster.standing(3, 0).apply(CP).serve("cp-x").of_release("cp-x")
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    cluster = taken(cluster, "cp-b", opened_ago)
    cluster.pods = [pod_of("dns", "cp-b")]
    cluster.orders[2] = RolloutIntent("i", 2, "abort", "jane")
    return cluster


def test_an_aborted_rollout_lets_the_control_plane_instance_live_that_is_in_its_drain() -> None:
    cluster = aborted()
    kinds = (UncordonNode, CloseEntry, EvictPod, CordonNode, PressPowerButton)
    assert [type(step) for step in cluster.steps(*kinds)] == [UncordonNode]
    cluster.nodes["cp-b"] = replace(cluster.nodes["cp-b"], unschedulable=False, our_cordon=False)
    assert cluster.steps(*kinds) == [CloseEntry("cp-b-1", "called off")]
    assert opened(let_live(cluster, "cp-b", "called off")) == ["cp-x"]


@pytest.mark.parametrize("on_its_way", [True, False])
def test_but_not_once_its_power_button_is_pressed_or_that_is_on_its_way(on_its_way: bool) -> None:
    cluster = aborted()
    seen = cluster.instances["cp-b"]
    if on_its_way:
        cluster.in_flight = [PressPowerButton(seen.name, seen.provider_id, 3)]
    else:
        cluster.instances["cp-b"] = replace(seen, power_pressed_at=NOW.boot - 1)
    assert calls_off(cluster) == []


def test_nor_while_an_eviction_is_on_its_way_that_needs_the_entry() -> None:
    cluster = aborted()
    cluster.in_flight = [EvictPod("default", "dns", "uid-dns", InstanceName("cp-b"))]
    assert calls_off(cluster) == []
    assert "the answer to an eviction" in [one.for_what for one in cluster.plan().waiting]
    cluster.in_flight = [EvictPod("default", "dns", "uid-dns", InstanceName("cp-c"))]
    assert calls_off(cluster) != []


def test_nor_while_what_a_controller_sent_before_it_died_may_still_be_carried_out() -> None:
    cluster = aborted(opened_ago=20)
    cluster.now = replace(NOW, leading_since_unix=NOW.unix - STEP_TIMEOUT_SECONDS + 1)
    assert calls_off(cluster) == []
    assert "what an earlier controller may have sent" in [one.for_what for one in cluster.plan().waiting]
    cluster.now = replace(NOW, leading_since_unix=NOW.unix - STEP_TIMEOUT_SECONDS)
    assert calls_off(cluster) != []
    opened_by_this_one = aborted(opened_ago=5)
    opened_by_this_one.now = replace(NOW, leading_since_unix=NOW.unix - STEP_TIMEOUT_SECONDS + 1)
    assert calls_off(opened_by_this_one) != []


@pytest.mark.parametrize("outcome", ["called off", "put off", "skipped"])
@pytest.mark.parametrize("name", ["w-a", "cp-b"])
def test_what_was_let_live_and_dies_later_is_repaired_like_any_other(name: str, outcome: str) -> None:
    cluster = taken(Cluster.standing(3, 2), name, 100)
    cluster = let_live(cluster, name, outcome).lose(name)
    assert opened(cluster) == [name]
    assert cluster.steps(MarkNode) == []
