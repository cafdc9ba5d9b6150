"""No control-plane instance is taken by plan before clients reach the API through the new one."""

from __future__ import annotations

from dataclasses import replace

from builders import CP, Cluster
from risen.core.names import ReleaseId
from risen.core.step import OpenEntry


def test_no_control_plane_instance_is_taken_before_the_new_one_is_up_behind_the_endpoint() -> None:
    cluster = Cluster.standing(3, 0).apply(CP).serve("cp-x").of_release("cp-x")
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    cluster.backends["cp-x"] = replace(cluster.backends["cp-x"], up=False)
    assert cluster.steps(OpenEntry) == []
    assert "cp-x to be up behind the endpoint" in [one.for_what for one in cluster.plan().waiting]
    cluster.backends["cp-x"] = replace(cluster.backends["cp-x"], up=True)
    assert [type(step) for step in cluster.steps(OpenEntry)] == [OpenEntry]


def test_nor_while_the_endpoint_cannot_be_seen() -> None:
    cluster = Cluster.standing(3, 0).apply(CP).serve("cp-x").of_release("cp-x")
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    cluster.unseen["endpoint"] = "Unreachable: no socket"
    assert cluster.steps(OpenEntry) == []
    assert "cannot-see" in cluster.blocked()
