"""Budgets: what a planned change must leave of a pool, on the plan and on facts read afresh; and who may be evicted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import NOW, Cluster, W, id_of, revision_of
from risen.core import deciding
from risen.core.blocked import Blocked
from risen.core.judge.verdict import judge
from risen.core.names import InstanceName
from risen.core.safety.budget import budget_blocks, used_budget
from risen.core.safety.invariants import violations
from risen.core.safety.recheck import needs_of, recheck
from risen.core.spec import Share, Strategy
from risen.core.step import (
    DeletePod,
    Destroy,
    DrainBackend,
    EvictPod,
    MarkNode,
    OpenEntry,
    PressPowerButton,
    RemoveBackend,
    Step,
    UncordonNode,
)


def name(text: str) -> InstanceName:
    return InstanceName(text)


def entry(subject: str, reason: str = "rollout", leaves: int = 2, seconds: float = 10.0) -> OpenEntry:
    return OpenEntry(f"{subject}-1", name(subject), reason, (), leaves, seconds)


def surged() -> Cluster:
    """Two workers are wanted and three serve: one more was launched, and has served for long enough."""
    return Cluster.standing(3, 2).serve("w-x")


def broken(cluster: Cluster, step: Step) -> list[str]:
    return [violation.invariant for violation in violations(step, cluster.facts())]


def why(cluster: Cluster, step: Step) -> Blocked | None:
    return recheck(step, cluster.picture(), cluster.history(), cluster.now)


# --- pool-budget-kept --------------------------------------------------------------------------------------
def test_one_more_than_wanted_may_be_taken_and_no_second() -> None:
    assert why(surged(), entry("w-a")) is None
    assert broken(surged().open("w-a", "rollout"), entry("w-b")) == ["pool-budget-kept"]


@pytest.mark.parametrize("befalls", ["stop", "lose", "unready", "silent", "just-ready", "killed"])
def test_an_entry_is_not_opened_when_another_of_the_pool_has_gone_out_since_it_was_planned(
    befalls: str,
) -> None:
    cluster = surged()
    node = cluster.nodes["w-b"]
    match befalls:
        case "stop" | "lose":
            getattr(cluster, befalls)("w-b")
        case "unready":
            cluster.nodes["w-b"] = replace(node, ready=False)
        case "silent":
            cluster.nodes["w-b"] = replace(node, lease_renewed_unix=NOW.unix - 26)
        case "just-ready":
            cluster.nodes["w-b"] = replace(node, ready_since_unix=NOW.unix - 9)
        case "killed":
            cluster.open("w-b", "kill")
    assert why(cluster, entry("w-a")) == Blocked(
        "budget", "w-a", "2 of w are available: taking it leaves 1 of 2 needed"
    )


@pytest.mark.parametrize("section", ["provider", "kubernetes"])
def test_nor_when_nobody_can_see_who_is_out(section: str) -> None:
    cluster = surged()
    cluster.unseen[section] = "Unreachable: timed out"
    blocked = why(cluster, entry("w-a"))
    assert blocked is not None and blocked.name == "cannot-see"


@pytest.mark.parametrize("reason", ["repair", "kill", "never-joined"])
def test_what_is_repaired_or_asked_for_costs_nothing_of_it(reason: str) -> None:
    cluster = Cluster.standing(3, 2).stop("w-b").open("w-b")
    assert "pool-budget-kept" not in broken(cluster, entry("w-a", reason))


def test_what_is_not_available_itself_takes_nothing_away() -> None:
    cluster = Cluster.standing(3, 2)
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], ready=False)
    assert broken(cluster, entry("w-a")) == []


@pytest.mark.parametrize(
    "step",
    [
        entry("w-a"),
        PressPowerButton(name("w-a"), id_of("w-a")),
        Destroy(name("w-a"), id_of("w-a"), holds_data=False),
    ],
)
def test_what_steps_in_flight_take_is_out_already(step: Step) -> None:
    cluster = surged()
    cluster.in_flight = [step]
    assert broken(cluster, entry("w-b")) == ["pool-budget-kept"]


def test_of_a_plan_that_takes_two_the_second_is_dropped() -> None:
    both = (entry("w-a"), entry("w-b"))
    passed, refused = deciding._safe(surged().facts(), both)
    assert (passed, [blocked.subject for blocked in refused]) == (both[:1], ["w-b"])


@pytest.mark.parametrize(
    ("unavailable", "reason", "leaves"),
    [(Share(0), "rollout", 3), (Share(2), "rollout", 1), (Share(2), "scale-down", 1)],
)
def test_a_planned_entry_says_what_its_pool_has_to_be_left_with(
    unavailable: Share, reason: str, leaves: int
) -> None:
    cluster = Cluster.standing(3, 3).serve("w-x")
    if reason == "rollout":
        cluster.apply(W).passed |= {cluster.revision.release_of(W).release: ("served",)}
    spec = cluster.revision.spec
    pools = tuple(
        replace(one, strategy=replace(one.strategy, max_unavailable=unavailable)) if one.name == W else one
        for one in spec.pools
    )
    cluster.revision = replace(cluster.revision, spec=replace(spec, pools=pools))
    steps = [step for step in cluster.steps() if isinstance(step, OpenEntry)]
    assert {(step.reason, step.leaves) for step in steps} == {(reason, leaves)}


# --- evictions-while-led -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "step", [EvictPod("d", "web", "uid-web", name("w-a")), DeletePod("d", "web", "uid-web", name("w-a"))]
)
def test_a_pod_is_not_sent_away_when_the_lease_has_run_out_since_it_was_planned(step: Step) -> None:
    cluster = surged().open("w-a", "rollout", forced=("d/web",))
    assert why(cluster, step) is None
    cluster.leases_until_unix = (("kube-controller-manager", NOW.unix),)
    blocked = why(cluster, step)
    assert (
        blocked is not None
        and blocked.why == "nobody holds the lease of kube-controller-manager: no pod is evicted"
    )


# --- what is read afresh -----------------------------------------------------------------------------------
def test_what_could_make_a_step_of_a_rollout_wrong_is_read_before_it() -> None:
    pod = ("d", "web", "uid-web", name("w-a"))
    assert needs_of(entry("w-a")) == {"provider", "etcd", "kubernetes"}
    assert needs_of(EvictPod(*pod)) == needs_of(DeletePod(*pod)) == {"kubernetes"}
    assert (
        needs_of(UncordonNode(name("w-a"), "u"))
        == needs_of(MarkNode(name("w-a"), "u", (), ()))
        == {"kubernetes"}
    )
    assert (
        needs_of(DrainBackend(name("cp-a")))
        == needs_of(RemoveBackend(name("cp-a")))
        == {"provider", "endpoint"}
    )


# --- the budget of scale-down ------------------------------------------------------------------------------
def test_used_budget_is_the_union_of_who_is_out_and_who_is_in_the_ledger() -> None:
    cluster = Cluster.standing(3, 4).stop("w-a").open("w-a").open("w-b", "kill")
    facts = cluster.facts()
    assert used_budget(facts, judge(facts), revision_of().spec.pools[1].name) == {"w-a", "w-b"}


@pytest.mark.parametrize("unavailable", [1, 2])
def test_the_budget_is_the_strategys_and_what_is_out_already_costs_nothing(unavailable: int) -> None:
    cluster = Cluster.standing(3, 4).stop("w-a")
    strategy = Strategy(max_unavailable=Share(unavailable))
    facts, pool = cluster.facts(), revision_of(3, 4, strategy=strategy).spec.pools[1]
    assert budget_blocks(pool, facts, judge(facts), frozenset({name("w-a")})) is None
    most = frozenset(name(one) for one in ("w-b", "w-c")[: unavailable - 1])
    assert budget_blocks(pool, facts, judge(facts), most) is None
    blocked = budget_blocks(pool, facts, judge(facts), most | {name("w-d")})
    assert blocked is not None
    assert blocked.why.endswith(f"more than {unavailable} (0 surplus + {unavailable} unavailable)")
