"""The end of the one cluster's story: it loses all power at once, comes back the same, and goes without a trace."""

from __future__ import annotations

import pytest
from host import end_hard, forget_what_a_boot_forgets, host_facts, leftovers, processes_of
from load import Load
from pieces import Cluster, Credentials, wait_for

pytestmark = pytest.mark.root

WRITES_BEFORE = 50


def test_after_everything_ended_at_once_up_brings_the_same_cluster_back(
    cluster: Cluster, credentials: Credentials
) -> None:
    before = cluster.status()
    with Load(cluster.endpoint, credentials, "cut") as load:
        wait_for("it is written to", lambda: len(load.acknowledged) >= WRITES_BEFORE, 60)
        end_hard(cluster.name)
    wait_for("nothing of the cluster runs", lambda: processes_of(cluster.name) == [], 30)
    forget_what_a_boot_forgets(cluster.name)
    cluster.risen("up", "--yes", bound_seconds=300)
    after = cluster.status()
    assert after["etcd"]["cluster_id"] == before["etcd"]["cluster_id"]
    assert after["etcd"]["revision"] >= before["etcd"]["revision"]
    assert {one["name"] for one in after["instances"]} == {one["name"] for one in before["instances"]}
    found = {one["metadata"]["name"] for one in cluster.objects("configmaps", "-l", "load=cut")}
    assert set(load.acknowledged) - found == set(), "every acknowledged write is found again"


def test_down_leaves_nothing_behind(cluster: Cluster, host_before: dict[str, str]) -> None:
    cluster.risen("down", "--yes", bound_seconds=300)
    assert leftovers(cluster.name) == []
    assert host_facts() == host_before
