"""do-not-disrupt-kept: what is planned takes no instance and ends no pod that asks to be left alone; repair may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import Cluster, id_of, pod_of
from risen.core.blocked import Blocked
from risen.core.names import InstanceName
from risen.core.safety.invariants import violations
from risen.core.safety.recheck import needs_of, recheck
from risen.core.step import DeletePod, EvictPod, OpenEntry, PressPowerButton, Step

W_A, CP_A = InstanceName("w-a"), InstanceName("cp-a")
NAME = "do-not-disrupt-kept"
EVICT = EvictPod("default", "batch", "uid-batch", W_A)
DELETE = DeletePod("default", "batch", "uid-batch", W_A)
PRESS = PressPowerButton(W_A, id_of("w-a"))


def holding(node: str = "w-a", **pod: Any) -> Cluster:
    """A pod there asks not to be disrupted."""
    cluster = Cluster.standing(4, 3)
    cluster.pods = [pod_of("web", node), pod_of("batch", node, **{"protected": True, **pod})]
    return cluster


def takes(subject: InstanceName, reason: str) -> OpenEntry:
    return OpenEntry(f"{subject}-1", subject, reason, (), 3 if subject == CP_A else 2)


def broken(cluster: Cluster, step: Step) -> list[str]:
    return [violation.invariant for violation in violations(step, cluster.facts())]


def why(cluster: Cluster, step: Step) -> Blocked | None:
    return recheck(step, cluster.picture(), cluster.history(), cluster.now)


# --- OpenEntry --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("subject", [W_A, CP_A])
@pytest.mark.parametrize("reason", ["rollout", "rollback", "replace", "expiry", "scale-down"])
def test_nothing_planned_takes_an_instance_while_a_pod_there_asks_not_to_be_disrupted(
    subject: InstanceName, reason: str
) -> None:
    assert broken(holding(subject), takes(subject, reason)) == [NAME]
    assert broken(holding("w-b"), takes(subject, reason)) == []


@pytest.mark.parametrize("reason", ["repair", "kill", "never-joined"])
def test_neither_repair_nor_what_a_person_kills_asks_it(reason: str) -> None:
    assert broken(holding(), takes(W_A, reason)) == []


def test_a_pod_that_asks_since_the_plan_is_seen_on_the_facts_read_right_before() -> None:
    step, cluster = takes(W_A, "rollout"), holding(protected=False)
    assert "kubernetes" in needs_of(step) & needs_of(EVICT) & needs_of(DELETE) & needs_of(PRESS)
    assert why(cluster, step) is None
    cluster.pods = [*cluster.pods, pod_of("late", "w-a", protected=True)]
    said = "pod default/late is annotated so; nothing planned ends it"
    assert why(cluster, step) == Blocked("do-not-disrupt", "w-a", said)


def test_without_sight_of_the_pods_nothing_is_taken_by_plan() -> None:
    cluster = holding(protected=False)
    cluster.unseen["kubernetes"] = "Unreachable: timed out"
    for subject in (W_A, CP_A):
        assert NAME in broken(cluster, takes(subject, "rollout"))
    assert broken(cluster, takes(W_A, "repair")) == []


@pytest.mark.parametrize("past", ["finished", "terminating", "daemon", "mirror"])
def test_what_has_ended_or_is_told_to_or_is_never_drained_asks_nothing(past: str) -> None:
    assert broken(holding(**{past: True}), takes(W_A, "rollout")) == []


# --- a drain ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("step", [EVICT, DELETE])
def test_a_pod_that_asks_not_to_be_disrupted_is_neither_evicted_nor_deleted(step: Step) -> None:
    cluster = holding().open("w-a", "rollout", forced=("default/batch", "default/web"))
    assert broken(cluster, step) == [NAME]
    assert broken(cluster, replace(step, pod="web", uid="uid-web")) == []  # type: ignore[call-arg]


def test_it_may_be_evicted_once_it_asks_no_more() -> None:
    cluster = holding(protected=False).open("w-a", "rollout")
    assert why(cluster, EVICT) is None


def test_no_power_button_is_pressed_by_plan_while_such_a_pod_is_there() -> None:
    assert broken(holding().open("w-a", "scale-down"), PRESS) == [NAME]
    assert broken(holding(protected=False).open("w-a", "scale-down"), PRESS) == []


def test_many_such_pods_are_named_and_counted() -> None:
    cluster = Cluster.standing(3, 3)
    cluster.pods = [pod_of(f"job-{number}", "w-a", protected=True) for number in range(5)]
    said = why(cluster, takes(W_A, "rollout"))
    assert said is not None
    named = "pods default/job-0, default/job-1, default/job-2 and 2 more are annotated so"
    assert said.why == f"{named}; nothing planned ends it"
