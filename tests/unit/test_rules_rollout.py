"""Rollout: who is taken next and when, how many more are launched, and what holds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import CP, NOW, Cluster, W, life_of, pod_of
from risen.core.history import ReplaceIntent, Revoked, RolloutIntent
from risen.core.names import ImageDigest, InstanceName, PoolName, ReleaseId, Role
from risen.core.picture import BudgetSeen
from risen.core.spec import Disruption, PoolRelease, PoolSpec, Share, Strategy
from risen.core.step import (
    CloseEntry,
    CompleteRevision,
    DeletePod,
    EvictPod,
    ForceDrain,
    MarkNode,
    OpenEntry,
    PressPowerButton,
    UncordonNode,
    WriteBirth,
)


def with_strategy(cluster: Cluster, pool: PoolName = W, **changes: Any) -> Cluster:
    spec = cluster.revision.spec
    pools = tuple(
        replace(one, strategy=replace(one.strategy, **changes)) if one.name == pool else one
        for one in spec.pools
    )
    cluster.revision = replace(cluster.revision, spec=replace(spec, pools=pools))
    return cluster


def rolling(workers: int = 2, **strategy: Any) -> Cluster:
    """A worker rollout whose release has passed: all instances are of the old one."""
    cluster = with_strategy(Cluster.standing(3, workers), **strategy).apply(W)
    cluster.passed[ReleaseId("r-w-new")] = ("tried",)
    return cluster


def opened(cluster: Cluster) -> list[tuple[str, str]]:
    return [(step.subject, step.reason) for step in cluster.steps(OpenEntry)]  # type: ignore[attr-defined]


def born(cluster: Cluster) -> list[tuple[str, str]]:
    return [(step.birth.pool, step.birth.release) for step in cluster.steps(WriteBirth)]  # type: ignore[attr-defined]


# --- the first instance ------------------------------------------------------------------------------------
def test_of_a_release_that_has_not_passed_one_instance_is_launched_whatever_the_surge() -> None:
    cluster = with_strategy(Cluster.standing(3, 6), max_surge=Share(3)).apply(W)
    assert born(cluster) == [("w", "r-w-new")]


def test_while_it_is_tried_no_other_is_launched_and_one_is_taken() -> None:
    cluster = with_strategy(Cluster.standing(3, 6), max_surge=Share(3)).apply(W)
    cluster.serve("w-x").of_release("w-x")
    assert born(cluster) == []
    assert opened(cluster) == [("w-a", "rollout")]
    cluster.open("w-a", "rollout")
    assert opened(cluster) == []


def test_a_release_is_tried_by_taking_over_pods_where_there_are_any() -> None:
    cluster = Cluster.standing(3, 3).apply(W)
    cluster.serve("w-x").of_release("w-x")
    cluster.pods = [pod_of("web", "w-c"), pod_of("logs", "w-b", daemon=True)]
    assert opened(cluster) == [("w-c", "rollout")]


def test_one_release_is_tried_at_a_time_over_all_pools() -> None:
    cluster = Cluster.standing(3, 2)
    other = PoolSpec(PoolName("v"), Role.WORKER, 1)
    cluster.revision = replace(
        cluster.revision,
        spec=replace(cluster.revision.spec, pools=(*cluster.revision.spec.pools, other)),
        releases=(
            *cluster.revision.releases,
            PoolRelease(other.name, ReleaseId("r-v"), ImageDigest("sha256:v")),
        ),
    )
    cluster.serve("v-a").complete().apply(W, other.name)
    assert born(cluster) == [("v", "r-v-new")]
    cluster.run("v-x").of_release("v-x")
    assert born(cluster) == []
    cluster.bury("v-x").open("v-x", "repair")
    assert born(cluster) == [], "it is judged first"


def superseded(*pools: PoolName) -> Cluster:
    """A newer revision is applied while `w-x` still tries the worker release of the one before; it took over."""
    cluster = Cluster.standing(3, 2).apply(W)
    cluster.serve("w-x").of_release("w-x")
    cluster.bury("w-b")
    cluster.apply(*pools, release="newer")
    for part in (cluster.lives, cluster.instances):
        part.pop("w-b")
    return cluster


def test_what_an_older_revision_still_tries_is_sent_away_before_a_newer_one_tries_anything() -> None:
    cluster = superseded(CP, W)
    assert (born(cluster), cluster.blocked()) == ([("w", "r-w")], {}), "nothing is tried and refused"
    cluster.serve("w-y")
    assert born(cluster) == []
    assert opened(cluster) == [("w-x", "rollout")]
    cluster.bury("w-x").open("w-x", "rollout")
    assert born(cluster) == [("cp", "r-cp-newer")]


def test_a_revision_is_not_complete_while_what_an_older_one_tried_is_not_gone() -> None:
    cluster = superseded(W).open("w-x", "repair")
    cluster.serve("w-y")
    assert cluster.steps(CompleteRevision) == []


def test_in_a_pool_that_never_stood_a_newer_release_takes_the_place_of_the_older() -> None:
    cluster = superseded(CP, W)
    cluster.settled = tuple(one for one in cluster.settled if one.pool != W)
    assert born(cluster) == [("cp", "r-cp-newer")]


def test_what_dies_while_a_release_is_tried_is_replaced_by_the_last_good_one() -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    cluster.serve("w-x").of_release("w-x")
    cluster.bury("w-a").bury("w-b").open("w-a", "kill").open("w-b", "kill")
    assert born(cluster) == [("w", "r-w")]


def test_none_is_launched_in_the_place_of_a_first_instance_that_was_lost_before_it_is_judged() -> None:
    cluster = Cluster.standing(3, 3).apply(W)
    cluster.serve("w-x").of_release("w-x").bury("w-x").open("w-x", "repair")
    assert born(cluster) == []


def test_a_first_release_of_all_needs_no_trial() -> None:
    cluster = Cluster.nothing(1, 3)
    assert [step for step in cluster.plan().blocked if step.name == "halted"] == []
    standing = Cluster.standing(3, 2)
    standing.completed, standing.settled, standing.passed = 0, (), {}
    assert [type(step) for step in standing.steps()] == [CompleteRevision]


# --- how many ----------------------------------------------------------------------------------------------
def test_as_many_more_as_the_surge_allows_and_no_more_than_are_outdated() -> None:
    assert len(born(rolling(6, max_surge=Share(3)))) == 3
    assert len(born(rolling(2, max_surge=Share(5)))) == 2
    assert len(born(rolling(6, max_surge=Share(1, percent=50)))) == 3


def test_what_is_leaving_still_takes_a_place_of_the_surge() -> None:
    cluster = rolling(3, max_surge=Share(1))
    cluster.serve("w-x").of_release("w-x").open("w-a", "rollout")
    assert born(cluster) == []


def test_without_surge_one_is_taken_first_and_what_replaces_it_is_the_new_release() -> None:
    cluster = rolling(3, max_surge=Share(0), max_unavailable=Share(1))
    assert born(cluster) == []
    assert opened(cluster) == [("w-a", "rollout")]
    cluster.bury("w-a").open("w-a", "rollout")
    assert (opened(cluster), "budget" in cluster.blocked()) == ([], False)
    assert born(cluster) == [("w", "r-w-new")]


def test_without_surge_what_is_taken_takes_its_place_until_it_is_gone() -> None:
    cluster = rolling(3, max_surge=Share(0), max_unavailable=Share(1)).open("w-a", "rollout")
    assert born(cluster) == []
    cluster.bury("w-a")
    assert born(cluster) == [("w", "r-w-new")]


def test_nobody_is_taken_before_the_launched_one_has_been_ready_for_long_enough() -> None:
    cluster = rolling(2)
    cluster.serve("w-x", ready_at_unix=NOW.unix - 9).of_release("w-x")
    assert opened(cluster) == []
    cluster.serve("w-x", ready_at_unix=NOW.unix - 10).of_release("w-x")
    assert opened(cluster) == [("w-a", "rollout")]


def test_one_that_is_out_already_costs_the_strategy_its_place() -> None:
    cluster = rolling(3, max_surge=Share(0), max_unavailable=Share(1))
    cluster.nodes["w-c"] = replace(cluster.nodes["w-c"], ready=False)
    assert opened(cluster) == [("w-c", "rollout")]


def test_what_was_launched_ahead_is_no_surplus_of_scale_down() -> None:
    cluster = rolling(2)
    cluster.serve("w-x", ready_at_unix=NOW.unix - 1).of_release("w-x")
    assert opened(cluster) == []


# --- order -------------------------------------------------------------------------------------------------
def test_forward_the_control_plane_goes_first() -> None:
    cluster = Cluster.standing(3, 2).apply(CP, W)
    assert born(cluster) == [("cp", "r-cp-new")]
    assert "cp to be rolled first" in [waiting.for_what for waiting in cluster.plan().waiting]


def test_back_the_workers_go_first() -> None:
    cluster = Cluster.standing(3, 2).apply(CP, W)
    for name in ("cp-a", "cp-b", "cp-c", "w-a"):
        cluster.of_release(name)
    cluster.orders[2] = RolloutIntent("o", 2, "abort", "jane")
    assert born(cluster) == [("w", "r-w")]


def test_a_control_plane_instance_is_taken_only_beside_one_more_that_votes_and_serves() -> None:
    cluster = Cluster.standing(3, 1).apply(CP)
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    assert opened(cluster) == []
    assert born(cluster) == [("cp", "r-cp-new")]
    cluster.serve("cp-x").of_release("cp-x")
    assert opened(cluster) == [("cp-b", "rollout")]


def test_one_more_that_votes_and_does_not_serve_yet_is_not_enough_and_nothing_is_refused() -> None:
    cluster = Cluster.standing(3, 1).apply(CP)
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    assert "fault-tolerance" not in cluster.blocked()
    cluster.serve("cp-x").of_release("cp-x")
    cluster.nodes["cp-x"] = replace(cluster.nodes["cp-x"], ready=False)
    assert opened(cluster) == []


def test_the_leader_of_etcd_goes_last() -> None:
    cluster = Cluster.standing(3, 1).apply(CP)
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    for name in ("cp-b", "cp-c"):
        cluster.of_release(name)
    cluster.serve("cp-x").of_release("cp-x")
    assert cluster.members["cp-a"].leader
    assert opened(cluster) == [("cp-a", "rollout")]


def test_a_control_plane_canary_soaks_beside_all_others() -> None:
    cluster = Cluster.standing(3, 1).apply(CP)
    cluster.serve("cp-x", ready_at_unix=NOW.unix - 5).of_release("cp-x")
    assert opened(cluster) == []


# --- what holds it -----------------------------------------------------------------------------------------
def test_a_protected_pod_is_named_and_others_go_on() -> None:
    cluster = rolling(3, max_surge=Share(0), max_unavailable=Share(1))
    cluster.pods = [pod_of("job", "w-a", protected=True)]
    assert opened(cluster) == [("w-b", "rollout")]
    assert "pod default/job" in cluster.blocked()["do-not-disrupt"]


def test_a_pause_holds_the_rollout_and_not_what_a_person_asks_for() -> None:
    cluster = rolling(2, max_surge=Share(0), max_unavailable=Share(1))
    cluster.orders[2] = RolloutIntent("o", 2, "pause", "jane", "lunch")
    assert opened(cluster) == []
    assert cluster.blocked()["paused"] == "revision 2 is paused by jane: lunch"
    cluster.orders[2] = RolloutIntent("o", 2, "resume", "jane")
    assert opened(cluster) == [("w-a", "rollout")]


def test_outdated_nodes_had_better_get_no_pods_until_it_is_paused() -> None:
    cluster = rolling(2)
    marked = [(step.node, step.taints) for step in cluster.steps(MarkNode)]  # type: ignore[attr-defined]
    assert [(name, [taint.key for taint in taints]) for name, taints in marked] == [
        ("w-a", ["risen.dev/outdated"]),
        ("w-b", ["risen.dev/outdated"]),
    ]
    cluster.orders[2] = RolloutIntent("o", 2, "pause")
    assert cluster.steps(MarkNode) == []


# --- people and age ----------------------------------------------------------------------------------------
def test_a_person_asks_for_another_in_its_place() -> None:
    cluster = Cluster.standing(3, 2)
    cluster.replaces = [ReplaceIntent("r", InstanceName("w-b"), "jane", "slow disk")]
    assert born(cluster) == [("w", "r-w")]
    cluster.serve("w-x")
    (step,) = cluster.steps(OpenEntry)
    said = ("asked by jane: slow disk",)
    assert step == OpenEntry("w-b-1", InstanceName("w-b"), "replace", said, 2, 10.0)  # type: ignore[comparison-overlap]


def test_what_is_older_than_its_pool_allows_is_replaced() -> None:
    cluster = Cluster.standing(3, 2)
    spec = cluster.revision.spec
    pools = tuple(replace(one, expire_after_seconds=1500.0) if one.name == W else one for one in spec.pools)
    cluster.revision = replace(cluster.revision, spec=replace(spec, pools=pools))
    assert born(cluster) == []
    birth = replace(cluster.lives["w-a"].birth, born_unix=NOW.unix - 1500)
    cluster.lives["w-a"] = life_of("w-a", birth=birth)
    assert born(cluster) == [("w", "r-w")]


def test_an_autoscaler_owns_the_number_between_its_bounds() -> None:
    cluster = Cluster.standing(3, 2)
    spec = cluster.revision.spec
    pools = tuple(replace(one, max_replicas=4) if one.name == W else one for one in spec.pools)
    cluster.revision = replace(cluster.revision, spec=replace(spec, pools=pools))
    for asked, count in ((1, 0), (3, 1), (9, 2)):
        cluster.scaled[W] = asked
        assert len(born(cluster)) == count


# --- the drain ---------------------------------------------------------------------------------------------
def draining(what: str = "stop", opened_ago: float = 100.0) -> Cluster:
    cluster = rolling(2)
    spec = replace(cluster.revision.spec, disruption=Disruption(60.0, what))
    cluster.revision = replace(cluster.revision, spec=spec)
    cluster.serve("w-x").of_release("w-x").open("w-a", "rollout", opened=NOW.unix - opened_ago)
    cluster.off_balancers("w-a")
    cluster.pods = [pod_of("web-1", "w-a", labels=(("app", "web"),))]
    cluster.budgets = [BudgetSeen("default", "web", 0, 4, 4, (("app", "web"),))]
    return cluster


def test_a_drain_that_takes_too_long_names_pod_and_budget_and_goes_on_trying() -> None:
    cluster = draining()
    cluster.pods.append(pod_of("web-2", "w-b", labels=(("app", "web"),)))
    assert cluster.blocked()["drain-timeout"] == (
        "1 pods did not leave within 60 s: default/web-1 (budget web allows 0 (4 healthy, needs 4))"
    )
    assert [type(step) for step in cluster.steps(EvictPod)] == [EvictPod]


def test_or_lets_the_instance_live_until_the_next_revision() -> None:
    cluster = draining("skip")
    assert [type(step) for step in cluster.steps(UncordonNode, CloseEntry)] == [UncordonNode]
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], unschedulable=False, our_cordon=False)
    assert cluster.steps(CloseEntry) == [CloseEntry("w-a-1", "skipped")]
    cluster.entries["w-a-1"] = replace(cluster.entries["w-a-1"], closed_unix=NOW.unix, outcome="skipped")
    cluster.revision = replace(cluster.revision, applied_unix=NOW.unix - 200)
    assert opened(cluster) == [("w-b", "rollout")]


def test_or_deletes_the_pods_past_their_budgets_and_says_so_once_the_ledger_names_them() -> None:
    cluster = draining("force")
    assert [step.pods for step in cluster.steps(ForceDrain, DeletePod)] == [("default/web-1",)]  # type: ignore[attr-defined]
    cluster.open("w-a", "rollout", opened=NOW.unix - 100, forced=("default/web-1",))
    assert [type(step) for step in cluster.steps(DeletePod, EvictPod)] == [DeletePod]
    assert cluster.blocked()["drain-timeout"].endswith("; forced")


def test_volumes_are_seen_detached_before_the_power_button_is_pressed() -> None:
    cluster = draining(opened_ago=10)
    cluster.pods = []
    cluster.attachments = [("csi-1", InstanceName("w-a"))]
    assert cluster.steps(PressPowerButton) == []
    cluster.attachments = [("csi-1", InstanceName("w-b"))]
    assert [type(step) for step in cluster.steps(PressPowerButton)] == [PressPowerButton]


def test_what_a_rollout_took_is_let_live_once_it_is_what_is_wanted_after_all() -> None:
    cluster = draining(opened_ago=10)
    cluster.orders[2] = RolloutIntent("i", 2, "abort", "jane")
    assert cluster.steps(EvictPod) == []
    assert [type(step) for step in cluster.steps(UncordonNode, CloseEntry)] == [UncordonNode]
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], unschedulable=False, our_cordon=False)
    assert cluster.steps(CloseEntry) == [CloseEntry("w-a-1", "called off")]


def test_there_is_no_way_back_once_the_power_button_is_pressed() -> None:
    cluster = draining(opened_ago=10)
    cluster.orders[2] = RolloutIntent("i", 2, "abort", "jane")
    cluster.instances["w-a"] = replace(cluster.instances["w-a"], power_pressed_at=NOW.boot - 1)
    assert cluster.steps(UncordonNode, CloseEntry) == []


# --- the end -----------------------------------------------------------------------------------------------
def test_the_revision_is_complete_once_every_instance_is_on_it_and_serves() -> None:
    cluster = rolling(2)
    cluster.of_release("w-a")
    assert cluster.steps(CompleteRevision) == []
    cluster.of_release("w-b")
    assert cluster.steps(CompleteRevision) == [CompleteRevision(2, cluster.revision.releases)]
    cluster.open("w-b", "rollout")
    assert cluster.steps(CompleteRevision) == []


@pytest.mark.parametrize("strategy", [Strategy(), Strategy(Share(0), Share(1))])
def test_a_cluster_that_is_as_wanted_needs_nothing(strategy: Strategy) -> None:
    cluster = Cluster.standing(3, 2)
    spec = cluster.revision.spec
    pools = tuple(replace(one, strategy=strategy) if one.name == W else one for one in spec.pools)
    cluster.revision = replace(cluster.revision, spec=replace(spec, pools=pools))
    assert cluster.steps() == []


def test_what_is_revoked_is_not_even_proposed_where_no_other_release_stood() -> None:
    cluster = Cluster.standing(3, 2).bury("w-a").open("w-a")
    cluster.settled, cluster.completed = (), 0
    release = cluster.revision.release_of(W).release
    cluster.revoked[release] = Revoked(release, W, 1, ("never Ready",), cluster.now.unix)
    assert cluster.steps(WriteBirth) == []
    assert {blocked.subject for blocked in cluster.plan().blocked if blocked.name == "revoked"} == {W}
