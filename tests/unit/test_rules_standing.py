"""When a revision stands, and what a later one then goes back to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import CP, NOW, SUPPLIES, Cluster, W, pod_of
from risen.core.history import Revoked, RolloutIntent
from risen.core.judge.verdict import judge
from risen.core.names import ReleaseId
from risen.core.picture import BudgetSeen
from risen.core.rules.target import target
from risen.core.rules.view import View
from risen.core.spec import Disruption
from risen.core.step import CloseEntry, CompleteRevision, OpenEntry

LABELS = (("app", "web"),)


def left_one(on_drain_timeout: str = "stop") -> Cluster:
    """All but worker `w-b` are on revision 2, whose release has passed; its pod has a budget that allows nothing."""
    cluster = Cluster.standing(3, 2).apply(W)
    spec = replace(cluster.revision.spec, disruption=Disruption(60.0, on_drain_timeout))
    cluster.revision = replace(cluster.revision, spec=spec)
    cluster.passed[ReleaseId("r-w-new")] = ("tried",)
    cluster.of_release("w-a").serve("w-x").of_release("w-x")
    cluster.pods = [pod_of("web-1", "w-b", labels=LABELS)]
    cluster.budgets = [BudgetSeen("default", "web", 0, 4, 4, LABELS)]
    return cluster


def stands(cluster: Cluster) -> list[tuple[str, ...]]:
    return [step.but for step in cluster.steps(CompleteRevision)]  # type: ignore[attr-defined]


def test_a_drain_holds_the_revision_up_until_it_has_taken_too_long() -> None:
    cluster = left_one().open("w-b", "rollout", opened=NOW.unix - 50)
    assert stands(cluster) == []
    cluster.open("w-b", "rollout", opened=NOW.unix - 70)
    assert stands(cluster) == [("w-b: its pods do not leave it",)]
    cluster.pods = []
    assert stands(cluster) == [], "it goes: nothing keeps it"


def test_one_that_is_forced_is_waited_for() -> None:
    assert stands(left_one("force").open("w-b", "rollout", opened=NOW.unix - 70)) == []


def test_those_that_wait_behind_the_one_that_is_stuck_are_not_replaced_yet() -> None:
    """What closes a budget may be the new release, on which an app is not Ready."""
    cluster = left_one()
    cluster.pods.append(pod_of("web-2", "w-a", labels=LABELS))
    cluster.lives["w-a"] = Cluster.standing(3, 2).lives["w-a"]
    cluster.open("w-b", "rollout", opened=NOW.unix - 70)
    assert stands(cluster) == []


def test_nor_while_it_is_paused() -> None:
    cluster = left_one().open("w-b", "rollout", opened=NOW.unix - 70)
    cluster.orders[2] = RolloutIntent("i", 2, "pause", "jane")
    assert stands(cluster) == []


@pytest.mark.parametrize("pool_stood_before", [True, False])
def test_nor_on_an_instance_whose_release_never_passed(pool_stood_before: bool) -> None:
    """It would be another trial, beside which nothing else is ever tried."""
    cluster = left_one().open("w-b", "rollout", opened=NOW.unix - 70)
    life = cluster.lives["w-b"]
    cluster.lives["w-b"] = replace(life, birth=replace(life.birth, release=ReleaseId("r-tried-once")))
    if not pool_stood_before:
        cluster.settled = tuple(one for one in cluster.settled if one.pool != W)
    assert stands(cluster) == []


def test_nor_while_a_place_is_empty() -> None:
    """One is protected, and the only other is dead: it is not counted twice."""
    cluster = left_one()
    cluster.pods = [pod_of("job", "w-b", protected=True)]
    cluster.bury("w-x")
    cluster.lives.pop("w-x")
    assert stands(cluster) == [("w-b: pod default/job is annotated so; others go on",)]
    cluster.bury("w-a").open("w-a", "repair")
    assert stands(cluster) == []


def test_once_none_stays_any_more_it_stands_whole() -> None:
    cluster = left_one()
    cluster.pods = []
    cluster.completed, cluster.settled = 2, cluster.revision.releases
    cluster.completed_but = ("w-b: its pods do not leave it",)
    assert stands(cluster) == [], "it is there still"
    cluster.bury("w-b")
    cluster.lives.pop("w-b")
    assert stands(cluster) == [()]
    cluster.completed_but = ()
    assert stands(cluster) == []


def test_a_pool_that_is_wanted_empty_and_is_has_nobody_to_try_its_release() -> None:
    cluster = Cluster.standing(3, 0).apply(W)
    assert stands(cluster) == [()]


def test_one_that_was_skipped_stays_until_the_next_revision_and_this_one_stands() -> None:
    cluster = left_one("skip").open("w-b", "rollout", closed_unix=NOW.unix, outcome="skipped")
    cluster.revision = replace(cluster.revision, applied_unix=NOW.unix - 200)
    cluster.bury("w-x")
    cluster.lives.pop("w-x")
    cluster.instances.pop("w-x")
    assert stands(cluster) == [("w-b: it was skipped, its drain took too long",)]
    cluster.revision = replace(cluster.revision, applied_unix=NOW.unix)
    assert stands(cluster) == [], "it was skipped in an older revision"


def test_the_first_instance_is_no_surplus_while_it_is_tried_though_all_others_were_skipped() -> None:
    cluster = left_one("skip").open("w-b", "rollout", closed_unix=NOW.unix, outcome="skipped")
    cluster.lives["w-a"] = Cluster.standing(3, 2).lives["w-a"]
    cluster.open("w-a", "rollout", closed_unix=NOW.unix, outcome="skipped")
    cluster.revision = replace(cluster.revision, applied_unix=NOW.unix - 200)
    assert [step.reason for step in cluster.steps(OpenEntry)] == ["scale-down"]  # type: ignore[attr-defined]
    cluster.passed.pop(ReleaseId("r-w-new"))
    assert cluster.steps(OpenEntry) == []


def test_a_pod_that_may_not_be_disrupted_does_not_keep_the_revision_from_standing() -> None:
    cluster = left_one()
    cluster.pods = [pod_of("job", "w-b", protected=True)]
    assert stands(cluster) == [("w-b: pod default/job is annotated so; others go on",)]
    cluster.nodes["w-b"] = replace(cluster.nodes["w-b"], ready=False)
    assert stands(cluster) == [], "what stays has to serve"


def test_a_bad_revision_after_it_goes_back_to_it_and_not_to_what_was_before_both() -> None:
    cluster = left_one().open("w-b", "rollout", opened=NOW.unix - 70)
    (step,) = cluster.steps(CompleteRevision)
    assert isinstance(step, CompleteRevision)
    cluster.completed, cluster.settled = step.revision, step.releases
    cluster.apply(CP, W, release="bad")
    bad = cluster.revision.release_of(W).release
    cluster.revoked[bad] = Revoked(bad, W, cluster.revision.number, ("never Ready",), NOW.unix)
    facts = cluster.facts()
    view = View(cluster.revision, facts, judge(facts), SUPPLIES)
    assert [getattr(target(view, pool), "release", None) for pool in (CP, W)] == ["r-cp", "r-w-new"]


@pytest.mark.parametrize(("of_the_bad_one", "outcome"), [(True, "put off"), (False, "skipped")])
def test_going_back_nothing_of_the_bad_revision_is_skipped(of_the_bad_one: bool, outcome: str) -> None:
    """What stood before may be, as before: nobody asked for it to go."""
    cluster = left_one("skip").open("w-b", "rollback", opened=NOW.unix - 70)
    old = ReleaseId("r-older")
    cluster.passed[old] = ("completed",)
    release = cluster.revision.release_of(W).release if of_the_bad_one else old
    life = cluster.lives["w-b"]
    cluster.lives["w-b"] = replace(life, birth=replace(life.birth, release=release))
    cluster.orders[2] = RolloutIntent("i", 2, "abort", "jane")
    assert [step.outcome for step in cluster.steps(CloseEntry)] == [outcome]  # type: ignore[attr-defined]
