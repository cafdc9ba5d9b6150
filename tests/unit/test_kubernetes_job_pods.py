"""What a gate's Job says by its pods: whether a container ever started, and what keeps them from it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from risen.adapters.kubernetes.job_pods import Job, JobPod, Watch, ever_ran, hindrance
from risen.adapters.kubernetes.wire import Condition
from risen.interfaces.tasks import TaskAnswer

PULLS = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "shop:1"'}}
COMES = {"waiting": {"reason": "ContainerCreating"}}
INITIALIZING = {"waiting": {"reason": "PodInitializing"}}
RUNS = {"running": {"startedAt": "2027-01-01T00:00:00Z"}}
NEVER_RAN = {"terminated": {"reason": "ContainerStatusUnknown", "exitCode": 137, "startedAt": None}}
"""What a kubelet says of a container that waited when its pod was deleted."""
FULL = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
LATE = Condition("Failed", "True", "DeadlineExceeded")
BROKEN = Condition("Failed", "True", "BackoffLimitExceeded")


def ended(code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "startedAt": "2027-01-01T00:00:00Z"}}


def pod(*states: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **status: Any) -> JobPod:
    """With one container of each state; `again` in a state is how it was before."""
    said = {
        "containerStatuses": [_container(state) for state in states],
        "initContainerStatuses": [_container(state) for state in init],
        **status,
    }
    return msgspec.json.decode(json.dumps({"status": said}), type=JobPod)


def _container(state: dict[str, Any]) -> dict[str, Any]:
    return {"state": {**state, "again": None}, "lastState": state.get("again", {})}


def watched(*looks: JobPod, gaps: bool = False) -> Watch:
    watch = Watch("Job default/smoke", gaps)
    for seen in looks:
        watch.look([seen])
    return watch


@pytest.mark.parametrize(
    ("seen", "ran"),
    [
        (pod(PULLS), False),
        (pod(COMES), False),
        (pod(conditions=[FULL]), False),
        (pod(NEVER_RAN), False),
        (pod(RUNS), True),
        (pod(ended(0)), True),
        (pod({**PULLS, "again": ended(1)}), True),
        (pod(PULLS, RUNS), True),
        (pod(PULLS, init=(ended(0),)), False),
        (pod(INITIALIZING, init=(RUNS,)), False),
        (pod(INITIALIZING, init=(ended(1),)), True),
        (pod(INITIALIZING, init=({**COMES, "again": ended(1)},)), True),
        (pod(INITIALIZING, init=(NEVER_RAN,)), False),
    ],
)  # fmt: skip
def test_a_container_that_ever_started_or_a_failed_one_that_prepares_it_is_seen(
    seen: JobPod, ran: bool
) -> None:
    assert ever_ran([pod(COMES), seen]) is ran


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (pod(PULLS), 'ImagePullBackOff (Back-off pulling image "shop:1")'),
        (pod(COMES), "ContainerCreating"),
        (pod(COMES, PULLS), 'ImagePullBackOff (Back-off pulling image "shop:1")'),
        (pod(INITIALIZING, init=(PULLS,)), 'ImagePullBackOff (Back-off pulling image "shop:1")'),
        (pod(conditions=[FULL]), "Unschedulable (0/3 nodes)"),
        (pod(reason="OutOfcpu", message="no room"), "OutOfcpu (no room)"),
        (pod(NEVER_RAN), ""),
        (pod({"waiting": {}}), ""),
        (pod({"waiting": {"reason": "x" * 201}}), "x" * 200 + "…"),
    ],
)
def test_what_keeps_a_pod_from_starting_is_told_in_kubernetes_words(seen: JobPod, words: str) -> None:
    assert hindrance([seen]) == words


def test_a_job_whose_pods_never_ran_says_nothing_and_tells_what_was_seen_before_they_were_deleted() -> None:
    answer = watched(pod(PULLS), pod(NEVER_RAN)).answer(LATE, 60.0)
    assert answer == TaskAnswer(
        False,
        "Job default/smoke: failed (DeadlineExceeded); no container of it ever started: "
        'ImagePullBackOff (Back-off pulling image "shop:1")',
        silent=True,
    )
    assert watched().answer(None, 60.0).silent and watched().answer(BROKEN, 60.0).silent


@pytest.mark.parametrize("end", [LATE, BROKEN, None])
def test_a_job_that_ran_and_failed_or_is_late_fails_also_once_its_pod_is_deleted(
    end: Condition | None,
) -> None:
    answer = watched(pod(RUNS), pod(NEVER_RAN)).answer(end, 60.0)
    assert (answer.ok, answer.silent) == (False, False)


@pytest.mark.parametrize(("end", "silent"), [(LATE, True), (BROKEN, False), (None, True)])
def test_a_deadline_that_passed_unwatched_says_nothing_and_an_end_of_its_own_does(
    end: Condition | None, silent: bool
) -> None:
    assert watched(pod(RUNS), gaps=True).answer(end, 60.0).silent is silent


def test_a_job_that_succeeded_passes_whatever_was_seen() -> None:
    assert watched(gaps=True).answer(Condition("Complete", "True"), 60.0).ok


def test_pods_are_those_of_this_job_by_its_selector_and_its_uid() -> None:
    labels = {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1", "app": "smoke"}}
    written = {"metadata": {"uid": "u-1"}, "spec": {"selector": labels}, "status": {}}
    job = msgspec.json.decode(json.dumps(written), type=Job)
    assert job.of_its_pods == "app=smoke,batch.kubernetes.io/controller-uid=u-1"
    owned = {"metadata": {"ownerReferences": [{"uid": "u-1"}]}}
    assert msgspec.json.decode(json.dumps(owned), type=JobPod).is_of(job)
    assert not pod(RUNS).is_of(job)
