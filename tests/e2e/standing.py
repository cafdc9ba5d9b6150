"""A cluster of three control-plane instances and two workers with an app, for tests that change it; and when it is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host import HOME, leftovers
from pieces import WEB, Cluster, add_test_image, wait_for

NAME, SUBNET_HEAD = "risen-e2e", "10.81.0"
REPLICAS = 4


@contextmanager
def standing(folder: Path) -> Iterator[Cluster]:
    """The cluster, up; what an earlier run left of it goes first, and all of it at the end."""
    cluster = Cluster(NAME, folder, SUBNET_HEAD)
    cluster.clear()
    assert leftovers(NAME) == []
    subnet = f"{SUBNET_HEAD}.0/24"
    cluster.risen("init", "--name", NAME, "--subnet", subnet, "--control-plane", "3", "--workers", "2")
    add_test_image(folder)
    try:
        cluster.risen("up", "--yes", bound_seconds=2400)
        cluster.kubectl("apply", "-f", "-", stdin=WEB)
        wait_for("the app is ready", lambda: served(cluster), 120)
        yield cluster
    finally:
        cluster.clear()


def served(cluster: Cluster) -> bool:
    """Whether every pod of the app is Ready."""
    return len(cluster.ready_pods("app=web")) == REPLICAS


def names(cluster: Cluster, pool: str = "") -> list[str]:
    """Its instances, of one pool if named."""
    return sorted(one["name"] for one in cluster.status()["instances"] if pool in ("", one["pool"]))


def births(cluster: Cluster) -> list[dict[str, str]]:
    """The records of all births, oldest first. A controller that is killed behind a record tells no event of it."""
    files = (HOME / "clusters" / cluster.name / "store/objects/births").glob("*.OBJECT")
    found = [json.loads(file.read_bytes().split(b"\n", 1)[1])["value"] for file in files]
    return sorted(found, key=lambda one: one["born_unix"])


def whole(cluster: Cluster) -> bool:
    """Every wanted instance on the release that stands, a Ready Node each, three voters, nothing open in the ledger."""
    seen = cluster.status()
    members = seen["etcd"]["members"]
    return (
        [(one["pool"], one["release"]) for one in sorted(seen["instances"], key=lambda one: one["name"])]
        == [("control-plane", seen["want"]["control-plane"])] * 3 + [("worker", seen["want"]["worker"])] * 2
        and cluster.ready_nodes() == {one["name"] for one in seen["instances"]}
        and [member["learner"] for member in members] == [False] * 3
        and seen["entries"] == []
    )


def followed(cluster: Cluster, bound_seconds: float) -> int:
    """Exit status of `risen rollout status -w`: 0 when the newest revision stands whole, 1 when it was gone back from.

    Fails if neither is so in time.
    """
    words = ("rollout", "status", "-w", "--timeout", f"{bound_seconds:.0f}")
    watched = cluster.run(*words, bound_seconds=bound_seconds + 60)
    print(watched.stdout[-1500:], watched.stderr)
    assert "stopped watching" not in watched.stdout, cluster.risen("status")
    return watched.returncode
