"""People's orders on a rollout, on one real cluster: undo, pause and resume, abort, replace of a leader that is sick."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import end, log_of
from host import end_hard, processes_of
from pieces import Cluster, wait_for
from standing import NAME, followed, names, served, standing, whole

pytestmark = [pytest.mark.e2e, pytest.mark.root]
FOLLOW_SECONDS = 600.0
PODS = "    # kubelet: {maxPods: 110}"
SOAK = "    # strategy: {maxSurge: 1, maxUnavailable: 0, minReadySeconds: 10}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three control-plane instances and two workers with an app."""
    with standing(tmp_path_factory.mktemp("orders")) as found:
        found.change(PODS, "    kubelet: {maxPods: 110}")
        found.change(SOAK, "    strategy: {minReadySeconds: 3}")
        yield found


def pods_of(cluster: Cluster) -> set[str]:
    """How many pods the workers take, by their Nodes."""
    return {
        node["status"]["capacity"]["pods"] for node in cluster.objects("nodes", "-l", "risen.dev/pool=worker")
    }


def applied(cluster: Cluster, before: int, after: int) -> None:
    """Another number of pods for the workers: a release that rolls both."""
    cluster.change(f"maxPods: {before}", f"maxPods: {after}")
    cluster.risen("apply", "--yes", "--reason", f"{after} pods", bound_seconds=600)


def born(cluster: Cluster, since: int) -> list[str]:
    """Instances born after the first so many, in order."""
    return [one["birth"]["instance"] for one in cluster.events("Born")[since:]]


def test_undo_goes_back_to_the_release_that_stood_and_undo_to_forward_again(cluster: Cluster) -> None:
    before, control_plane = names(cluster), names(cluster, "control-plane")
    applied(cluster, 110, 100)
    assert followed(cluster, FOLLOW_SECONDS) == 0
    assert pods_of(cluster) == {"100"}
    forward = cluster.status()["want"]["worker"]
    for words, pods in ((("undo",), "110"), (("undo", "--to", "2"), "100")):
        cluster.risen("rollout", *words, "--yes", "--reason", "a test")
        assert followed(cluster, FOLLOW_SECONDS) == 0
        assert pods_of(cluster) == {pods}
        assert whole(cluster)
    assert cluster.status()["want"]["worker"] == forward, "the stored release, not another one like it"
    assert names(cluster, "control-plane") == control_plane
    assert len(born(cluster, len(before))) == 6, "each change replaced the two workers once"
    assert served(cluster)
    told = cluster.risen("rollout", "history")
    assert "a test" in told
    print(told)


def test_pause_takes_no_other_and_repairs_and_resume_goes_on(cluster: Cluster) -> None:
    old, before = names(cluster, "worker"), len(cluster.events("ReleasePassed"))
    applied(cluster, 100, 90)
    wait_for("one is being replaced", lambda: cluster.status()["entries"], 120, pause_seconds=0.1)
    cluster.risen("rollout", "pause", "--reason", "lunch")
    wait_for("what was begun is finished", lambda: cluster.status()["entries"] == [], 240)
    (left,) = set(old) & set(names(cluster, "worker"))
    (other,) = set(names(cluster, "worker")) - {left}
    assert pods_of(cluster) == {"100", "90"}
    passed = lambda: len(cluster.events("ReleasePassed")) > before  # noqa: E731
    wait_for("the one that was begun has passed", passed, 120)
    end_hard(NAME, other)
    wait_for("the dead one is replaced", lambda: other not in names(cluster) and served(cluster), 180)
    wait_for("nothing is open", lambda: cluster.status()["entries"] == [], 120)
    assert left in names(cluster, "worker"), "held: repair alone took something"
    assert "lunch" in cluster.risen("rollout", "status")
    cluster.risen("rollout", "resume")
    assert followed(cluster, FOLLOW_SECONDS) == 0
    assert pods_of(cluster) == {"90"}
    assert whole(cluster)


def test_abort_in_mid_rollout_goes_back_from_what_was_rolled(cluster: Cluster) -> None:
    assert whole(cluster)
    wanted, before, pods = cluster.status()["want"], len(cluster.events("Born")), pods_of(cluster)
    stays = names(cluster, "control-plane")
    applied(cluster, 90, 80)
    wait_for("the first of them is Ready", lambda: "80" in pods_of(cluster), 120)
    cluster.risen("rollout", "abort", "--yes", "--reason", "a test")
    assert followed(cluster, FOLLOW_SECONDS) == 1, "it was gone back from"
    wait_for("the cluster is whole", lambda: whole(cluster), 120)
    assert cluster.status()["want"] == wanted
    assert pods_of(cluster) == pods
    assert names(cluster, "control-plane") == stays
    assert cluster.events("ReleaseRevoked") == [], "nothing is said of the release"
    assert served(cluster)
    tried = born(cluster, before)
    cluster.change("maxPods: 80", "maxPods: 90")
    cluster.risen("apply", "--yes", "--reason", "cluster.yaml as it was")
    assert followed(cluster, 60) == 0
    assert born(cluster, before) == tried, "all of it was in place"


def test_a_leader_whose_etcd_hangs_is_replaced(cluster: Cluster) -> None:
    seen = cluster.status()
    sick = next(one["name"] for one in seen["etcd"]["members"] if one["leader"])
    cluster.kubectl("create", "configmap", "kept", "--from-literal=kept=yes")
    hung = [process for process in processes_of(NAME, sick) if name_of(process) == "etcd"]
    assert len(hung) == 1
    os.kill(hung[0], signal.SIGSTOP)
    try:
        leads = lambda: [one["name"] for one in cluster.status()["etcd"]["members"] if one["leader"]]  # noqa: E731
        wait_for("another leads", lambda: leads() not in ([], [sick]), 60)
        cluster.risen("replace", sick, "--yes", "--reason", "its etcd hangs")
        wait_for("another is in its place", lambda: sick not in names(cluster) and whole(cluster), 300)
    finally:
        end(hung[0], signal.SIGCONT)
    assert "configmap/kept" in cluster.kubectl("get", "configmaps", "-o", "name")
    assert sick not in {one["name"] for one in cluster.status()["etcd"]["members"]}
    assert served(cluster)


def name_of(process: int) -> str:
    """Of its program; empty once it is gone."""
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return ""


def learners(cluster: Cluster, told: int, step: str = "AddLearner") -> list[str]:
    """Who was made one, or voted afterwards, by the controller's journal behind its first so many bytes: a fast host's
    learner votes within a second or two."""
    lines = log_of(cluster).read_bytes()[told:].decode().splitlines()
    known = [json.loads(line) for line in lines if step in line and line.endswith("}")]
    return [one["instance"] for one in known if (one["what"], one.get("step")) == ("done", step)]


def test_a_learner_whose_instance_dies_is_not_left_behind(cluster: Cluster) -> None:
    before, old = len(cluster.events("Born")), names(cluster, "control-plane")
    told = log_of(cluster).stat().st_size
    cluster.risen("replace", old[0], "--yes", "--reason", "a test")
    (first, *_) = wait_for("a learner", lambda: learners(cluster, told), 120, pause_seconds=0.02)
    end_hard(NAME, first)
    assert not learners(cluster, told, "PromoteMember"), "it votes already: its death is another test's"
    wait_for("another is in its place", lambda: old[0] not in names(cluster) and whole(cluster), 400)
    assert first not in names(cluster)
    assert len(born(cluster, before)) == 2
    assert served(cluster)
