"""A pod that asks not to be disrupted once its instance is taken: it stays, is named, and is waited for like a budget."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import CP, NOW, Cluster, W, pod_of
from risen.core.history import ReplaceIntent, TaskResult
from risen.core.names import InstanceName, ReleaseId
from risen.core.spec import Disruption
from risen.core.step import (
    CloseEntry,
    DeletePod,
    DrainBackend,
    EvictPod,
    ForceDrain,
    OpenEntry,
    PressPowerButton,
    Step,
    UncordonNode,
)

DRAIN_SECONDS = 60.0
ENDS = (EvictPod, DeletePod, ForceDrain, PressPowerButton)


def draining(ago: float = 20.0, what: str = "stop", workers: int = 2) -> Cluster:
    """`w-a` was taken so long ago; `web` may leave it, `batch` has asked not to be disrupted since."""
    cluster = Cluster.standing(3, workers).apply(W, disruption=Disruption(DRAIN_SECONDS, what))
    cluster.passed[ReleaseId("r-w-new")] = ("tried",)
    cluster.serve("w-x").of_release("w-x").open("w-a", "rollout", NOW.unix - ago)
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], unschedulable=True, our_cordon=True)
    cluster.pods = [pod_of("web", "w-a"), pod_of("batch", "w-a", protected=True)]
    return cluster


def alone(cluster: Cluster) -> Cluster:
    """Nobody else of its pool is to go."""
    return cluster.of_release("w-b")


def evicted(cluster: Cluster) -> list[str]:
    assert not cluster.steps(DeletePod, ForceDrain, PressPowerButton)
    return [step.pod for step in cluster.steps(EvictPod)]  # type: ignore[attr-defined]


def forced(cluster: Cluster) -> list[Step]:
    return cluster.steps(DeletePod, ForceDrain)


# --- while the drain is waited for --------------------------------------------------------------------------
def test_it_is_not_evicted_and_named_and_the_others_leave() -> None:
    cluster = draining()
    assert evicted(cluster) == ["web"]
    assert cluster.blocked()["do-not-disrupt"].startswith("pod default/batch is annotated so; it stays")
    assert [one.for_what for one in cluster.plan().waiting if one.subject == "w-a"] == ["2 pods to leave"]


def test_its_instance_is_not_powered_off_when_all_others_have_left() -> None:
    cluster = draining()
    del cluster.pods[0]
    assert evicted(cluster) == []
    assert "do-not-disrupt" in cluster.blocked()


def test_the_drain_goes_on_once_it_asks_no_more() -> None:
    cluster = draining()
    cluster.pods[1] = replace(cluster.pods[1], protected=False)
    assert evicted(cluster) == ["batch", "web"]
    assert "do-not-disrupt" not in cluster.blocked()


@pytest.mark.parametrize("past", ["finished", "terminating"])
def test_one_that_has_ended_or_was_told_to_holds_nothing(past: str) -> None:
    cluster = draining()
    cluster.pods[1] = replace(cluster.pods[1], **{past: True})  # type: ignore[arg-type]
    assert "do-not-disrupt" not in cluster.blocked()


def test_on_a_control_plane_instance_too_and_where_its_kubelet_is_silent() -> None:
    cluster = Cluster.standing(3, 0).apply(CP).serve("cp-x").of_release("cp-x").open("cp-b", "rollout")
    cluster.off_balancers("cp-b").results["snapshot/cp-b/1"] = TaskResult(True, "12 MiB", NOW.unix - 5)
    cluster.pods = [pod_of("batch", "cp-b", protected=True)]
    assert (cluster.steps(*ENDS, DrainBackend), "do-not-disrupt" in cluster.blocked()) == ([], True)
    cluster.nodes["cp-b"] = replace(cluster.nodes["cp-b"], ready=None, lease_renewed_unix=NOW.unix - 90)
    assert (cluster.steps(*ENDS, DrainBackend), "do-not-disrupt" in cluster.blocked()) == ([], True)
    cluster.pods = [replace(cluster.pods[0], terminating=True)]
    assert cluster.steps(DrainBackend) != []


# --- once it took too long ----------------------------------------------------------------------------------
def test_then_another_that_can_be_drained_goes_first() -> None:
    assert [type(step) for step in draining(DRAIN_SECONDS).steps(UncordonNode, *ENDS)] == [UncordonNode]


def test_with_nobody_else_the_instance_is_waited_for_and_why_it_stays_is_told() -> None:
    cluster = alone(draining(DRAIN_SECONDS))
    assert evicted(cluster) == ["web"]
    told = cluster.blocked()
    assert "default/batch (asks not to be disrupted)" in told["drain-timeout"]
    assert "do-not-disrupt" in told


def test_where_the_user_said_so_it_is_skipped() -> None:
    cluster = alone(draining(DRAIN_SECONDS, "skip"))
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], unschedulable=False, our_cordon=False)
    assert cluster.steps(CloseEntry) == [CloseEntry("w-a-1", "skipped")]


def test_force_passes_budgets_and_not_what_a_pod_asks_nor_ends_others_for_nothing() -> None:
    cluster = alone(draining(DRAIN_SECONDS, "force"))
    assert (forced(cluster), evicted(cluster)) == ([], ["web"])
    assert "forced" not in cluster.blocked()["drain-timeout"]
    cluster.pods[1] = replace(cluster.pods[1], protected=False)
    (step,) = forced(cluster)
    assert isinstance(step, ForceDrain) and step.pods == ("default/batch", "default/web")


def test_force_that_may_not_be_used_holds_up_nobody_else() -> None:
    steps = draining(DRAIN_SECONDS, "force").steps(UncordonNode, *ENDS)
    assert [type(step) for step in steps] == [UncordonNode]


# --- who is taken -------------------------------------------------------------------------------------------
def test_what_a_person_asks_another_for_is_planned_too() -> None:
    cluster = Cluster.standing(3, 2).serve("w-x")
    cluster.replaces = [ReplaceIntent("i", InstanceName("w-a"), "jane", "slow")]
    cluster.pods = [pod_of("batch", "w-a", protected=True)]
    assert (cluster.steps(OpenEntry), "do-not-disrupt" in cluster.blocked()) == ([], True)


def test_a_voter_that_has_gone_bad_is_taken_by_no_rollout_either_and_that_is_said() -> None:
    cluster = Cluster.standing(3, 0).apply(CP).serve("cp-x").of_release("cp-x")
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    cluster.nodes["cp-b"] = replace(cluster.nodes["cp-b"], lease_renewed_unix=NOW.unix - 26)
    assert [step.subject for step in cluster.steps(OpenEntry)] == ["cp-b"]  # type: ignore[attr-defined]
    cluster.pods = [pod_of("batch", "cp-b", protected=True)]
    assert cluster.steps(OpenEntry) == []
    assert cluster.blocked()["do-not-disrupt"].endswith("if that lasts `risen kill cp-b` replaces it")
    cluster.kill("cp-b")
    assert [(step.subject, step.reason) for step in cluster.steps(OpenEntry)] == [  # type: ignore[attr-defined]
        ("cp-b", "kill")
    ]


def test_repair_takes_what_died_with_such_a_pod_on_it() -> None:
    cluster = Cluster.standing(3, 2).lose("w-a")
    cluster.pods = [pod_of("batch", "w-a", protected=True)]
    assert [step.reason for step in cluster.steps(OpenEntry)] == ["repair"]  # type: ignore[attr-defined]
