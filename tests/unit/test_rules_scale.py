"""Scaling: births for what is missing, and an ordered way out for what is too many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import CP, NOW, Cluster, W, life_of, pod_of
from risen.core.names import InstanceName, PoolName, ReleaseId
from risen.core.picture import NodeSeen
from risen.core.rules.balancers import EXCLUDED
from risen.core.step import (
    CloseEntry,
    CordonNode,
    DeleteNode,
    Destroy,
    EvictPod,
    MarkNode,
    OpenEntry,
    PressPowerButton,
    WriteBirth,
)


def wanting(cluster: Cluster, pool: PoolName, replicas: int) -> Cluster:
    spec = cluster.revision.spec
    pools = tuple(replace(one, replicas=replicas) if one.name == pool else one for one in spec.pools)
    cluster.revision = replace(cluster.revision, spec=replace(spec, pools=pools))
    return cluster


def opened(cluster: Cluster) -> list[tuple[str, str]]:
    return [(step.subject, step.reason) for step in cluster.steps() if isinstance(step, OpenEntry)]


def going(cordoned: bool = True) -> Cluster:
    """w-b is to go."""
    cluster = wanting(Cluster.standing(), W, 1).open("w-b", "scale-down")
    node: NodeSeen = cluster.nodes["w-b"]
    cluster.nodes["w-b"] = replace(node, unschedulable=cordoned)
    return cluster


def test_scaling_up_gives_as_many_births_as_are_missing() -> None:
    steps = wanting(Cluster.standing(), W, 5).steps()
    assert [step.birth.reason for step in steps if isinstance(step, WriteBirth)] == ["scale-up"] * 3


def test_scaling_the_control_plane_up_is_a_birth_too() -> None:
    steps = wanting(Cluster.standing(1, 1), CP, 3).steps()
    assert [type(step) for step in steps] == [WriteBirth, WriteBirth]


def test_scaling_down_takes_the_newest_first() -> None:
    cluster = wanting(Cluster.standing(3, 3), W, 2)
    cluster.lives["w-b"] = replace(
        cluster.lives["w-b"], birth=replace(cluster.lives["w-b"].birth, born_unix=NOW.unix)
    )
    assert opened(cluster) == [("w-b", "scale-down")]


def test_scaling_down_takes_what_is_not_ready_before_what_is_newest() -> None:
    cluster = wanting(Cluster.standing(3, 3), W, 2)
    cluster.nodes["w-c"] = replace(cluster.nodes["w-c"], ready=False)
    assert opened(cluster) == [("w-c", "scale-down")]


def test_what_has_finished_protects_no_instance() -> None:
    cluster = wanting(Cluster.standing(), W, 1)
    cluster.pods = [
        pod_of("once", "w-a", ready=False, finished=True, protected=True),
        pod_of("job", "w-b", protected=True),
    ]
    assert opened(cluster) == [("w-a", "scale-down")]


def test_scaling_down_by_many_takes_all_of_the_surplus_at_once() -> None:
    assert len(opened(wanting(Cluster.standing(3, 5), W, 2))) == 3


def test_scaling_down_stops_where_too_few_would_be_left_available() -> None:
    cluster = wanting(Cluster.standing(3, 4), W, 3)
    for name in ("w-a", "w-b", "w-c"):
        cluster.nodes[name] = replace(cluster.nodes[name], ready=False)
    cluster.open("w-a", "kill").open("w-b", "kill").open("w-c", "kill")
    assert opened(cluster) == []


def test_a_pool_that_is_wanted_no_more_goes_whole() -> None:
    cluster = Cluster.standing()
    spec = cluster.revision.spec
    pools = tuple(pool for pool in spec.pools if pool.name == CP)
    cluster.revision = replace(cluster.revision, spec=replace(spec, pools=pools))
    assert opened(cluster) == [("w-a", "scale-down"), ("w-b", "scale-down")]


# --- fewer voters -------------------------------------------------------------------------------------------
def test_of_a_control_plane_one_goes_at_a_time_and_not_the_leader() -> None:
    cluster = wanting(Cluster.standing(5), CP, 3)
    assert opened(cluster) == [("cp-b", "scale-down")]
    assert opened(cluster.open("cp-b", "scale-down")) == []


def test_the_voter_that_does_not_serve_goes_first_though_it_leads() -> None:
    cluster = wanting(Cluster.standing(5), CP, 3)
    cluster.nodes["cp-a"] = replace(cluster.nodes["cp-a"], ready=False)
    assert opened(cluster) == [("cp-a", "scale-down")]


def test_no_voter_goes_where_the_others_would_bear_less_than_those_wanted() -> None:
    cluster = wanting(Cluster.standing(5), CP, 3)
    cluster.members["cp-e"] = replace(cluster.members["cp-e"], healthy=False)
    assert opened(cluster) == [("cp-e", "scale-down")]
    cluster.pods = [pod_of("batch", "cp-e", protected=True)]
    assert opened(cluster) == []
    assert "of 3 wanted it is 1" in cluster.blocked()["fault-tolerance"]


def test_no_voter_goes_while_a_release_is_tried_and_what_is_outdated_is_the_rollouts() -> None:
    cluster = wanting(Cluster.standing(3, 0), CP, 1).apply(CP)
    assert opened(cluster) == [("cp-b", "scale-down")]
    cluster.serve("cp-x").of_release("cp-x")
    assert opened(cluster) == []
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    assert opened(cluster) == [("cp-b", "rollout")]


def test_a_voter_that_a_rollout_launched_ahead_is_no_surplus() -> None:
    cluster = Cluster.standing(3, 0).apply(CP).serve("cp-x").of_release("cp-x")
    assert opened(cluster) == []


def test_a_voter_with_a_protected_pod_is_named_and_another_goes() -> None:
    cluster = wanting(Cluster.standing(5), CP, 3)
    cluster.pods = [pod_of("batch", "cp-b", protected=True)]
    assert opened(cluster) == [("cp-c", "scale-down")]
    assert "do-not-disrupt" in cluster.blocked()


def test_first_the_node_is_cordoned() -> None:
    cluster = going(cordoned=False)
    cluster.pods = [pod_of("web", "w-b")]
    assert cluster.steps() == [CordonNode(InstanceName("w-b"), "node-w-b")]


def test_then_its_pods_are_evicted_daemons_and_mirrors_stay() -> None:
    cluster = going()
    cluster.pods = [
        pod_of("web", "w-b"),
        pod_of("old", "w-b", terminating=True),
        pod_of("flannel", "w-b", daemon=True),
        pod_of("static", "w-b", mirror=True),
        pod_of("other", "w-a"),
    ]
    assert cluster.steps() == [EvictPod("default", "web", "uid-web", InstanceName("w-b"))]


def test_what_has_finished_is_evicted_too_and_once_told_to_go_holds_up_no_power_off() -> None:
    cluster = going()
    cluster.pods = [pod_of("once", "w-b", ready=False, finished=True)]
    assert cluster.steps() == [EvictPod("default", "once", "uid-once", InstanceName("w-b"))]
    cluster.pods = [replace(cluster.pods[0], terminating=True)]
    (mark,) = cluster.steps()
    assert isinstance(mark, MarkNode) and EXCLUDED in dict(mark.labels), "it is empty: balancers leave it"


LEASE = "kube-controller-manager"


@pytest.mark.parametrize(
    ("holders", "until"),
    [(((LEASE, ""),), ((LEASE, NOW.unix + 13),)), (((LEASE, "cp-a_1"),), ((LEASE, NOW.unix),)), ((), ())],
    ids=["empty", "run out", "never taken"],
)
def test_no_pod_is_evicted_while_no_controller_manager_leads(
    holders: tuple[tuple[str, str], ...], until: tuple[tuple[str, float], ...]
) -> None:
    cluster = going()
    cluster.pods = [pod_of("web", "w-b")]
    assert cluster.steps(EvictPod) != []
    cluster.lease_holders, cluster.leases_until_unix = holders, until
    assert cluster.steps() == []


def test_then_its_power_button_is_pressed() -> None:
    cluster = going().off_balancers("w-b")
    assert cluster.steps() == [PressPowerButton(InstanceName("w-b"), cluster.instances["w-b"].provider_id)]


def test_an_instance_that_does_not_power_off_is_ended_after_its_bound() -> None:
    cluster = going()
    cluster.instances["w-b"] = replace(cluster.instances["w-b"], power_pressed_at=NOW.boot - 179)
    assert cluster.steps() == []
    cluster.instances["w-b"] = replace(cluster.instances["w-b"], power_pressed_at=NOW.boot - 180)
    assert [type(step) for step in cluster.steps()] == [Destroy]


def test_once_off_it_is_ended_and_not_powered_on() -> None:
    assert [type(step) for step in going().stop("w-b").steps()] == [Destroy]


def test_once_gone_its_node_is_deleted_and_its_entry_closed_without_a_replacement() -> None:
    cluster = going().lose("w-b")
    assert [type(step) for step in cluster.steps()] == [DeleteNode]
    cluster.bury("w-b")
    assert cluster.steps() == [CloseEntry("w-b-1", "removed")]


def test_an_instance_that_never_had_a_node_is_ended_without_a_drain() -> None:
    cluster = going()
    del cluster.nodes["w-b"]
    cluster.lives["w-b"] = life_of("w-b", ready_at_unix=None)
    assert [type(step) for step in cluster.steps()] == [Destroy]


def test_without_sight_of_kubernetes_nobody_is_drained_or_ended() -> None:
    cluster = going()
    cluster.unseen["kubernetes"] = "Unreachable: no backend"
    assert cluster.steps() == []
    assert cluster.blocked()["cannot-see"] == "Unreachable: no backend"
