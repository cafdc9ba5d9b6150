"""The verdict on a release: what is its own fault, what is not, and when it has passed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from trial_world import NEW, passed, revoked, tried

from builders import BORN_UNIX, CP, NOW, Cluster, life_of, pod_of
from risen.core.history import TaskResult
from risen.core.judge.joining import ready_bound
from risen.core.judge.trial import NOTHING_TO_COMPARE
from risen.core.names import Role
from risen.core.step import HaltRelease, OpenEntry, PassRelease


# --- passing -----------------------------------------------------------------------------------------------
def test_it_passes_once_its_pods_have_been_ready_for_the_soak() -> None:
    cluster = tried()
    cluster.pods = [pod_of("web", "w-x", ready_since_unix=NOW.unix - 9)]
    assert passed(cluster) == []
    cluster.pods = [pod_of("web", "w-x", ready_since_unix=NOW.unix - 10)]
    assert passed(cluster) == ["w-x served for 10 s with 1 pods"]


def test_where_there_were_no_pods_the_soak_suffices_and_the_verdict_says_so() -> None:
    assert passed(tried(ready_ago=9)) == []
    assert passed(tried(ready_ago=10)) == ["w-x served for 10 s without load"]


def test_a_sign_of_life_after_the_soak_is_needed() -> None:
    cluster = tried(ready_ago=20)
    for renewed_ago, verdict in ((11, []), (10, ["w-x served for 10 s without load"])):
        cluster.nodes["w-x"] = replace(cluster.nodes["w-x"], lease_renewed_unix=NOW.unix - renewed_ago)
        assert passed(cluster) == verdict


def test_not_before_the_one_whose_pods_it_takes_is_gone() -> None:
    cluster = tried()
    cluster.serve("w-b").open("w-b", "rollout")
    assert passed(cluster) == []


def test_the_soak_counts_from_when_that_one_was_gone() -> None:
    cluster = tried()
    cluster.lives["w-b"] = life_of("w-b", gone_at_unix=NOW.unix - 9)
    cluster.open("w-b", "rollout", closed_unix=NOW.unix - 8, outcome="rolled")
    assert passed(cluster) == []


def test_neither_what_has_finished_nor_what_jobs_run_holds_it_up_or_counts_as_load() -> None:
    """The gate's own Job, and one of every minute: the last of its pods became Ready a moment ago."""
    cluster = tried()
    cluster.pods = [
        pod_of("once", "w-x", ready=False, finished=True, owner=""),
        pod_of("gate-1", "w-x", ready=False, finished=True, owner="Job/gate-2-r-w-new"),
        pod_of("report-7", "w-x", ready_since_unix=NOW.unix - 1, owner="Job/report-7"),
        pod_of("report-8", "w-x", ready=False, owner="Job/report-8"),
        pod_of("web", "w-x", ready_since_unix=NOW.unix - 10),
    ]
    assert passed(cluster) == ["w-x served for 10 s with 1 pods"]


def test_a_job_whose_pods_fail_says_nothing_of_the_release() -> None:
    cluster = tried()
    cluster.pods = [
        pod_of("batch-1", "w-x", ready=False, failing="CrashLoopBackOff", owner="Job/batch"),
        pod_of("batch-2", "w-a", owner="Job/batch"),
    ]
    assert (revoked(cluster), passed(cluster)) == ([], ["w-x served for 10 s without load"])


# --- its own fault -----------------------------------------------------------------------------------------
def test_not_ready_within_its_bound() -> None:
    assert revoked(tried(ready_ago=None, launched_ago=59)) == []
    assert revoked(tried(ready_ago=None, launched_ago=60)) == ["w-x was not Ready within 60 s of its launch"]


def test_one_that_has_not_joined_has_the_same_bound_as_one_that_is_not_ready() -> None:
    """Others joined within 5 s of their launch, and were Ready after 49."""
    for launched_ago, verdict in ((146, []), (147, ["w-x never became Ready"])):
        cluster = tried(ready_ago=None, launched_ago=launched_ago, joined_at_unix=None)
        del cluster.nodes["w-x"]
        cluster.lives["w-a"] = replace(cluster.lives["w-a"], ready_at_unix=BORN_UNIX + 49)
        assert revoked(cluster) == verdict


def test_a_learner_that_we_keep_from_voting_beside_an_only_voter_is_not_late_by_its_own_fault() -> None:
    cluster = Cluster.standing(1, 1).apply(CP).run("cp-x").join("cp-x", learner=True).of_release("cp-x")
    born = NOW.unix - 700
    cluster.lives["cp-x"] = replace(
        cluster.lives["cp-x"], launched_at_unix=born, joined_at_unix=born + 5, ready_at_unix=None
    )
    assert revoked(cluster) == []
    cluster.results["snapshot/cp-a/1"] = TaskResult(True, "revision 7", NOW.unix - 59)
    assert revoked(cluster) == []
    cluster.results["snapshot/cp-a/1"] = TaskResult(True, "revision 7", NOW.unix - 60)
    assert revoked(cluster) == ["cp-x was not Ready within 60 s of its launch"]


def test_a_death_before_its_revision_was_applied_does_not_count_for_it() -> None:
    """A person took the release nevertheless while its first instance was being ended."""
    cluster = tried().open("w-x", "repair", opened=NOW.unix - 30)
    assert revoked(cluster) == ["w-x died in its soak"]
    cluster.revision = replace(cluster.revision, applied_unix=NOW.unix - 20)
    assert (revoked(cluster), passed(cluster)) == ([], [])
    entry = cluster.entries["w-x-1"]
    cluster.entries["w-x-1"] = replace(entry, closed_unix=NOW.unix - 25, outcome="recovered")
    assert passed(cluster) == ["w-x served for 10 s without load"]


# --- a control plane's, at the endpoint --------------------------------------------------------------------
def unreached(launched_ago: float = 100.0, ready_ago: float = 85.0, down: float = 60.0) -> Cluster:
    """A control-plane release that `cp-x` tries as an extra voter: all of it looks well but at the endpoint."""
    cluster = Cluster.standing(3, 2).apply(CP)
    cluster.serve("cp-x", launched_at_unix=NOW.unix - launched_ago, ready_at_unix=NOW.unix - ready_ago)
    cluster.of_release("cp-x").nodes["cp-x"] = replace(cluster.nodes["cp-x"], lease_renewed_unix=NOW.unix)
    cluster.backends["cp-x"] = replace(cluster.backends["cp-x"], up=False, down_seconds=down)
    return cluster


def test_a_control_plane_whose_apiserver_never_comes_up_behind_the_endpoint() -> None:
    cluster = unreached()
    assert passed(cluster) == []
    assert revoked(cluster) == ["cp-x: its apiserver is not up behind the endpoint, 60 s by now"]
    cluster.backends["cp-x"] = replace(cluster.backends["cp-x"], up=True, down_seconds=0.0)
    assert (passed(cluster), revoked(cluster)) == (["cp-x served for 10 s without load"], [])


@pytest.mark.parametrize(
    "cluster",
    [
        unreached(launched_ago=59.0, ready_ago=40.0, down=35.0),
        unreached(launched_ago=600.0, ready_ago=29.0, down=35.0),
        unreached(down=29.0),
    ],
    ids=["within its bound", "voted late and was Ready just now", "it was up a while ago"],
)
def test_an_apiserver_gets_its_time_to_be_up_behind_the_endpoint(cluster: Cluster) -> None:
    assert (passed(cluster), revoked(cluster)) == ([], [])
    assert "cp-x's apiserver to be up behind the endpoint" in [one.for_what for one in cluster.plan().waiting]


def test_what_the_endpoint_says_of_nobody_or_of_all_alike_is_no_fault_of_a_release() -> None:
    cluster = unreached()
    for name, backend in cluster.backends.items():
        cluster.backends[name] = replace(backend, up=False)
    assert (passed(cluster), revoked(cluster), "halted" in cluster.blocked()) == ([], [], True)
    cluster = unreached()
    cluster.unseen["endpoint"] = "Unreachable: no socket"
    assert (passed(cluster), revoked(cluster), "halted" in cluster.blocked()) == ([], [], True)
    cluster = unreached()
    del cluster.backends["cp-x"]
    assert (passed(cluster), revoked(cluster)) == ([], [])


def test_silent_after_it_was_ready() -> None:
    cluster = tried()
    cluster.nodes["w-x"] = replace(cluster.nodes["w-x"], lease_renewed_unix=NOW.unix - 26)
    assert revoked(cluster) == ["w-x fell silent after it was Ready"]


def test_dead_in_its_soak_even_once_its_entry_is_closed() -> None:
    cluster = tried()
    cluster.bury("w-x").open("w-x", "repair", closed_unix=NOW.unix - 1, outcome="replaced by w-c")
    cluster.lives["w-x"] = replace(cluster.lives["w-x"], gone_at_unix=NOW.unix - 5)
    assert revoked(cluster) == ["w-x died in its soak"]


def test_a_kubelet_that_turns_not_ready_gets_a_while() -> None:
    cluster = tried(ready_ago=39)
    cluster.nodes["w-x"] = replace(cluster.nodes["w-x"], ready=False)
    assert revoked(cluster) == []
    cluster.lives["w-x"] = replace(cluster.lives["w-x"], ready_at_unix=NOW.unix - 40)
    assert revoked(cluster) == ["w-x is not healthy after it was Ready"]


# --- not its fault: halted, never revoked ------------------------------------------------------------------
@pytest.mark.parametrize("why", ["alike", "pulls", "nowhere", "addons", "others", "unseen"])
def test_what_may_be_somebody_elses_fault_halts_and_never_revokes(why: str) -> None:
    cluster = tried()
    failing: dict[str, Any] = {"ready": False, "failing": "CrashLoopBackOff"}
    match why:
        case "alike":
            cluster.pods = [pod_of("web-1", "w-x", **failing), pod_of("web-2", "w-a", **failing)]
        case "pulls":
            failing["failing"] = "ImagePullBackOff"
            cluster.pods = [pod_of("web-1", "w-x", **failing), pod_of("web-2", "w-a")]
        case "nowhere":
            cluster.pods = [pod_of("web-1", "w-x", **failing)]
        case "addons":
            cluster = tried(ready_ago=None, launched_ago=500)
            cluster.nodes["w-x"] = replace(cluster.nodes["w-x"], waiting_for_addons=True)
        case "others":
            cluster = tried(ready_ago=None, launched_ago=500)
            for name, node in cluster.nodes.items():
                cluster.nodes[name] = replace(node, ready=False)
        case "unseen":
            cluster = tried(ready_ago=None, launched_ago=500)
            cluster.unseen["kubernetes"] = "Unreachable: no backend"
    assert (revoked(cluster), passed(cluster)) == ([], [])
    assert "halted" in cluster.blocked() or "cannot-see" in cluster.blocked()


def halted_alike() -> Cluster:
    """Pods of `web` fail on the first instance and on an old one."""
    failing: dict[str, Any] = {"ready": False, "failing": "CrashLoopBackOff"}
    cluster = tried()
    cluster.pods = [pod_of("web-1", "w-x", **failing), pod_of("web-2", "w-a", **failing)]
    return cluster


def test_a_halt_is_written_down_once_with_its_cause() -> None:
    cluster = halted_alike()
    (step,) = cluster.steps(HaltRelease)
    assert isinstance(step, HaltRelease)
    assert (step.release, step.revision, step.cause) == (NEW, 2, "default/ReplicaSet/web fails")
    cluster.halts[2] = ((NEW, step.cause),)
    assert cluster.steps(HaltRelease) == [] and "halted" in cluster.blocked()


def test_a_person_lets_it_go_on_past_a_cause_and_the_verdict_says_so() -> None:
    cluster = halted_alike()
    cluster.gone_past[2] = ("default/ReplicaSet/web fails",)
    (step,) = cluster.steps(PassRelease)
    assert isinstance(step, PassRelease)
    assert step.evidence == (
        "w-x served for 10 s without load", "gone past: default/ReplicaSet/web fails",
    )  # fmt: skip


def test_a_pod_of_that_kind_is_not_awaited_while_it_runs_between_two_crashes() -> None:
    cluster = halted_alike()
    cluster.gone_past[2] = ("default/ReplicaSet/web fails",)
    cluster.pods[0] = replace(cluster.pods[0], failing="")
    assert passed(cluster) == ["w-x served for 10 s without load"]


def test_another_cause_halts_it_again_and_its_own_fault_still_revokes_it() -> None:
    cluster = halted_alike()
    cluster.gone_past[2] = ("default/ReplicaSet/web fails",)
    cluster.pods.append(pod_of("job-1", "w-x", ready=False, failing="CrashLoopBackOff"))
    assert "default/job-1" in cluster.blocked()["halted"]
    cluster.pods[1:] = [pod_of("web-2", "w-a")]
    assert revoked(cluster) == ["pod default/web-1 fails on w-x (CrashLoopBackOff) and runs elsewhere"]


def with_nothing_to_compare(ready_ago: float | None, launched_ago: float) -> Cluster:
    cluster = tried(ready_ago=ready_ago, launched_ago=launched_ago)
    for name in ("w-a", "cp-a", "cp-b", "cp-c"):
        cluster.nodes[name] = replace(cluster.nodes[name], ready=False)
    return cluster


@pytest.mark.parametrize(
    ("ready_ago", "launched_ago", "halted"),
    [(None, 59, False), (None, 60, True), (39, 100, False), (40, 100, True)],
)
def test_what_may_pass_by_itself_is_a_halt_past_the_bound_of_the_boot_or_once_it_settled(
    ready_ago: float | None, launched_ago: float, halted: bool
) -> None:
    cluster = with_nothing_to_compare(ready_ago, launched_ago)
    assert ("halted" in cluster.blocked(), bool(cluster.steps(HaltRelease))) == (halted, halted)
    assert (passed(cluster), revoked(cluster)) == ([], [])


def test_what_was_let_go_on_with_nothing_to_compare_passes_or_halts_and_is_never_revoked() -> None:
    cluster = with_nothing_to_compare(40, 100)
    assert passed(cluster) == [] and "halted" in cluster.blocked()
    cluster.gone_past[2] = (NOTHING_TO_COMPARE,)
    assert passed(cluster) == ["w-x served for 10 s without load"]
    cluster.nodes["w-x"] = replace(cluster.nodes["w-x"], lease_renewed_unix=NOW.unix - 26)
    assert (passed(cluster), revoked(cluster)) == ([], [])
    assert "w-x fell silent after it was Ready" in cluster.blocked()["halted"]


def test_what_a_person_ends_is_no_evidence() -> None:
    cluster = tried()
    cluster.bury("w-x").open("w-x", "kill")
    assert revoked(cluster) == []


def test_nothing_is_taken_for_a_release_in_doubt() -> None:
    cluster = tried()
    cluster.serve("w-b")
    cluster.pods = [pod_of("web-1", "w-x", ready=False, failing="CrashLoopBackOff")]
    assert cluster.steps(OpenEntry) == []


def test_it_takes_over_from_one_whose_pods_can_tell() -> None:
    cluster = tried().serve("w-b")
    cluster.pods = [
        pod_of("once", "w-a", ready=False, finished=True),
        pod_of("report-7", "w-a", owner="Job/report-7"),
        pod_of("web", "w-b"),
    ]
    assert [step.subject for step in cluster.steps(OpenEntry)] == ["w-b"]  # type: ignore[attr-defined]


# --- the bound ---------------------------------------------------------------------------------------------
def boots(*seconds: float) -> Cluster:
    cluster = Cluster.standing(1, 0)
    for number, spent in enumerate(seconds):
        born = NOW.unix - 20000 + 400 * number
        cluster.lives[f"w-{number}"] = life_of(
            f"w-{number}", launched_at_unix=born, ready_at_unix=born + spent, gone_at_unix=born + 900
        )
    return cluster


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [((), 600.0), ((4.0,), 60.0), ((40.0, 5.0), 120.0), ((300.0, *[30.0] * 20), 90.0), ((9000.0,), 1800.0)],
)
def test_the_bound_follows_the_last_twenty_boots_of_the_role(
    seconds: tuple[float, ...], bound: float
) -> None:
    assert ready_bound(boots(*seconds).facts(), Role.WORKER) == bound
