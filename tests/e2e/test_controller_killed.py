"""The controller is killed at every kind of step, sent and done, of bring-up and of replacement, and within a launch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import Assassin
from host import HOME, end_hard, leftovers, run
from pieces import WEB, Cluster, add_test_image, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.root]
NAME, SUBNET_HEAD = "risen-e2e", "10.81.0"
BRING_UP = {
    "WriteBootstrap",
    "WriteBirth",
    "Launch",
    "AddBackend",
    "AddLearner",
    "PromoteMember",
    "ApplyAddon",
}
BRING_UP |= {"MarkNode", "RecordClusterId"}
REPLACEMENT = {"OpenEntry", "WriteBirth", "Launch", "Destroy", "MarkNode", "DeleteNode", "CloseEntry"}
MEMBERSHIP = {"RemoveMember", "AddLearner", "PromoteMember"}
WITHIN_A_LAUNCH = ("within", "Launch")
MOST_ROUNDS = 8
"""What is sent with others is struck once each of those was, one in a round; and a step that took a few milliseconds
while the host was busy may have gone by."""


@pytest.fixture(scope="module")
def assassin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assassin]:
    """Three control-plane instances and a worker, not raised yet."""
    cluster = Cluster(NAME, tmp_path_factory.mktemp("killed"), SUBNET_HEAD)
    cluster.clear()
    assert leftovers(NAME) == []
    cluster.risen(
        "init", "--name", NAME, "--subnet", f"{SUBNET_HEAD}.0/24", "--control-plane", "3", "--workers", "1"
    )
    add_test_image(cluster.folder)
    cluster.risen("recipe", "lock", bound_seconds=600)
    cluster.risen("bake", bound_seconds=2400)
    try:
        yield Assassin(cluster)
    finally:
        cluster.clear()


def assert_whole(cluster: Cluster) -> None:
    """The wanted counts, each instance one Node, one folder, one bridge port; three voters; nothing open."""
    seen = cluster.status()
    names = {one["name"] for one in seen["instances"]}
    assert sorted(one["pool"] for one in seen["instances"]) == ["control-plane"] * 3 + ["worker"]
    assert cluster.ready_nodes() == names
    assert {node["metadata"]["name"] for node in cluster.objects("nodes")} == names
    assert {member["name"] for member in seen["etcd"]["members"]} == {n for n in names if n[0] == "c"}
    assert not any(member["learner"] for member in seen["etcd"]["members"])
    assert {path.name for path in (HOME / "clusters" / NAME / "instances").iterdir()} == names
    ports = json.loads(run("ip", "-n", f"risen-{NAME}", "-j", "link", "show", "master", "br0"))
    assert len(ports) == len(names) + 1, "the uplink and a port for each instance"
    backends = json.loads(cluster.risen("get", "backends", "-o", "json"))
    assert {one["name"] for one in backends} == {n for n in names if n[0] == "c"}
    assert seen["entries"] == []


def cluster_id(cluster: Cluster) -> str:
    """etcd's own, and the one that the store recorded: the same."""
    seen = cluster.status()["etcd"]["cluster_id"]
    found = [line for line in cluster.risen("events").splitlines() if "cluster id" in line]
    assert len({line.partition("cluster id ")[2] for line in found}) == 1
    assert seen in found[0]
    return str(seen)


@pytest.fixture(scope="module")
def ids() -> list[str]:
    """etcd cluster ids in the order seen."""
    return []


def test_killed_at_every_kind_of_step_of_bring_up_the_cluster_rises_whole(
    assassin: Assassin, ids: list[str]
) -> None:
    for number in range(MOST_ROUNDS):
        if number:
            assassin.cluster.risen("down", "--yes")
        assassin.until(lambda: True, 420)
        assert_whole(assassin.cluster)
        if assassin.kinds >= BRING_UP and WITHIN_A_LAUNCH in assassin.killed_at:
            break
    print("killed at", assassin.killed_at)
    assert assassin.kinds >= BRING_UP
    assert WITHIN_A_LAUNCH in assassin.killed_at
    ids.append(cluster_id(assassin.cluster))


@pytest.mark.parametrize("pool", ["worker", "control-plane"])
def test_killed_at_every_kind_of_step_of_a_replacement_another_serves(
    assassin: Assassin, ids: list[str], pool: str
) -> None:
    cluster = assassin.cluster
    wanted = REPLACEMENT if pool == "worker" else REPLACEMENT | MEMBERSHIP
    if pool == "worker":
        cluster.kubectl("apply", "-f", "-", stdin=WEB)
        wait_for("4 web pods ready", lambda: len(cluster.ready_pods("app=web")) == 4, 120)
    assassin.begin()
    for _ in range(MOST_ROUNDS):
        replace_one(assassin, pool)
        if assassin.kinds >= wanted and WITHIN_A_LAUNCH in assassin.killed_at:
            break
    print("killed at", assassin.killed_at)
    assert assassin.kinds >= wanted
    assert WITHIN_A_LAUNCH in assassin.killed_at
    assert [cluster_id(cluster)] == ids, "one etcd cluster, founded once"


def replace_one(assassin: Assassin, pool: str) -> None:
    """End the worker, or etcd's leader; killed again and again the controller puts another in its place."""
    cluster = assassin.cluster
    seen = cluster.status()
    leader = next(one["name"] for one in seen["etcd"]["members"] if one["leader"])
    worker = next(one["name"] for one in seen["instances"] if one["pool"] == "worker")
    victim = worker if pool == "worker" else leader
    end_hard(NAME, victim)
    assassin.until(lambda: victim not in {one["name"] for one in cluster.status()["instances"]}, 300)
    assert_whole(cluster)
    if pool == "worker":
        wait_for("4 web pods ready again", lambda: len(cluster.ready_pods("app=web")) == 4, 60)


def test_after_all_that_down_leaves_nothing(assassin: Assassin, tmp_path: Path) -> None:
    assassin.cluster.risen("down", "--yes")
    assert leftovers(NAME) == []
