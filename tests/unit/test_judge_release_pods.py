"""The verdict on a release by the pods that its first instance took over: late, failing, and what others do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from trial_world import NEW, passed, revoked, tried

from builders import NOW, Cluster, W, life_of, pod_of
from risen.core.picture import Start
from risen.core.step import OpenEntry


def test_pods_that_fail_on_it_and_run_elsewhere() -> None:
    cluster = tried()
    cluster.pods = [pod_of("web-1", "w-x", ready=False, failing="CrashLoopBackOff"), pod_of("web-2", "w-a")]
    assert revoked(cluster) == ["pod default/web-1 fails on w-x (CrashLoopBackOff) and runs elsewhere"]


def late(for_seconds: float = 600, **changes: Any) -> Cluster:
    """`web-1` came to the instance that tries the release and is not Ready yet."""
    cluster = tried(ready_ago=2000, launched_ago=2040)
    since = NOW.unix - for_seconds
    cluster.pods = [pod_of("web-1", "w-x", ready=False, unready_since_unix=since, **changes)]
    return cluster


def took_over(cluster: Cluster, *served: str) -> Cluster:
    """`w-b` went for it, and pods of these owners were Ready there."""
    cluster.lives["w-b"] = life_of("w-b", gone_at_unix=NOW.unix - 1000)
    return cluster.open(
        "w-b", "rollout", closed_unix=NOW.unix - 999, outcome="rolled", opened=NOW.unix - 90, served=served
    )


LATE = "pod default/web-1 was not Ready within 600 s on w-x"


def test_not_while_a_pod_of_its_is_not_ready_which_it_has_ten_minutes_for() -> None:
    cluster = late(for_seconds=590)
    assert (passed(cluster), revoked(cluster), "halted" in cluster.blocked()) == ([], [], False)
    (waiting,) = (one for one in cluster.plan().waiting if one.subject == W)
    assert (waiting.for_what, waiting.give_up_at) == ("w-x: default/web-1 to be Ready", NOW.boot + 10)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (Start.DONE, "all its containers were made"),
        (Start.SANDBOX, "its network or its volumes do not come"),
    ],
)
def test_pods_that_are_not_ready_in_their_time_and_run_elsewhere(start: Start, words: str) -> None:
    cluster = late(start=start)
    cluster.pods.append(pod_of("web-2", "w-a"))
    assert revoked(cluster) == [f"{LATE} ({words}) and runs elsewhere"]


def test_a_pod_has_what_its_own_probes_give_it_besides() -> None:
    for seconds, verdict in ((899, 0), (900, 1)):
        cluster = late(for_seconds=seconds, probe_delay_seconds=300.0)
        cluster.pods.append(pod_of("web-2", "w-a"))
        assert len(revoked(cluster)) == verdict


def test_what_a_pod_could_not_say_while_the_api_was_away_is_not_held_against_it() -> None:
    cluster = late()
    cluster.pods.append(pod_of("web-2", "w-a"))
    cluster.api_back_for = 599
    assert revoked(cluster) == []


def test_late_pods_tell_also_while_a_budget_of_theirs_holds_the_other_instance() -> None:
    cluster = late().serve("w-b").open("w-b", "rollout")
    cluster.pods.append(pod_of("web-2", "w-b"))
    assert revoked(cluster) == [f"{LATE} (all its containers were made) and runs elsewhere"]


def test_of_what_has_one_replica_the_ledger_remembers_that_it_ran_on_the_instance_before() -> None:
    cluster = took_over(late(), "default/ReplicaSet/web")
    assert revoked(cluster) == [
        f"{LATE} (all its containers were made) and ran on the one whose place it took"
    ]


def test_one_that_crashes_here_and_ran_on_the_instance_before_is_given_time_first() -> None:
    """It may want another that came here with it: the soak and a pod's time go by before it counts."""
    for ready_ago, verdict in ((609, []), (610, ["pod default/web-1 fails on w-x (CrashLoopBackOff)"])):
        cluster = took_over(tried(ready_ago=ready_ago, launched_ago=700), "default/ReplicaSet/web")
        cluster.pods = [pod_of("web-1", "w-x", ready=False, failing="CrashLoopBackOff")]
        said = [one.removesuffix(" and ran on the one whose place it took") for one in revoked(cluster)]
        assert said == verdict


def test_whose_pods_were_ready_is_recorded_as_the_first_takes_over() -> None:
    cluster = tried().serve("w-b")
    cluster.pods = [
        pod_of("web-1", "w-b"),
        pod_of("web-2", "w-b"),
        pod_of("api-1", "w-b", ready=False),
        pod_of("once", "w-b", owner=""),
        pod_of("report-7", "w-b", owner="Job/report-7"),
    ]
    (step,) = cluster.steps(OpenEntry)
    assert step.served == ("default/ReplicaSet/web",)  # type: ignore[attr-defined]
    cluster.passed[NEW] = ("served",)
    assert [step.served for step in cluster.steps(OpenEntry)] == [()]  # type: ignore[attr-defined]


# --- not its fault: halted, never revoked ------------------------------------------------------------------
@pytest.mark.parametrize("why", ["nowhere", "late alike", "failing alike", "pulling", "bare"])
def test_late_pods_that_may_be_somebody_elses_fault_halt_and_never_revoke(why: str) -> None:
    cluster = late(start=Start.CONTAINERS if why == "pulling" else Start.DONE)
    match why:
        case "late alike":
            since = NOW.unix - 700
            cluster.pods += [pod_of("web-2", "w-a"), pod_of("web-3", "w-a", ready=False)]
            cluster.pods[-1] = replace(cluster.pods[-1], unready_since_unix=since)
        case "failing alike":
            cluster = took_over(cluster, "default/ReplicaSet/web")
            cluster.pods.append(pod_of("web-2", "w-a", ready=False, failing="CrashLoopBackOff"))
        case "pulling":
            cluster.pods.append(pod_of("web-2", "w-a"))
        case "bare":
            cluster.pods[0] = replace(cluster.pods[0], owner="")
            cluster.pods.append(pod_of("web-2", "w-a", owner=""))
    assert (revoked(cluster), passed(cluster)) == ([], [])
    assert "default/web-1 on w-x was not Ready within 600 s" in cluster.blocked()["halted"]
