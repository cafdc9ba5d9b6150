"""Nodes, pods, leases, add-ons, the closing of entries, and what is not ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import CP, GONE, NOW, Cluster, W, birth_of, id_of, life_of, pod_of
from risen.core.names import ClusterUid, ImageDigest, InstanceName, ProviderId, ReleaseId, Role
from risen.core.picture import InstanceSeen
from risen.core.rules.addons import stage_of
from risen.core.rules.nodes import OUTDATED, UNINITIALIZED, wanted_labels, wanted_taints
from risen.core.rules.pods import OUT_OF_SERVICE
from risen.core.safety.recheck import refusal
from risen.core.spec import PoolSpec, Taint
from risen.core.step import (
    ApplyAddon,
    CloseEntry,
    DeleteNode,
    Destroy,
    FreePod,
    HaltRelease,
    MarkNode,
    ReleaseLease,
    RemoveMember,
    TaintOutOfService,
    UncordonNode,
)

NAMESPACE = ("v1/Namespace//apps", "d1")
ROLE = ("rbac.authorization.k8s.io/v1/ClusterRole//dns", "d2")
DEPLOYMENT = ("apps/v1/Deployment/kube-system/coredns", "d3")


def fresh_node(cluster: Cluster, name: str) -> None:
    """As a kubelet registers it."""
    taints = (Taint(UNINITIALIZED, "", "NoSchedule"),)
    cluster.nodes[name] = replace(cluster.nodes[name], labels=(("kubernetes.io/os", "linux"),), taints=taints)


def closing(cluster: Cluster) -> list[tuple[str, str]]:
    return [(step.entry, step.outcome) for step in cluster.steps() if isinstance(step, CloseEntry)]


def test_a_new_node_gets_its_labels_and_taints_and_loses_the_uninitialized_one() -> None:
    cluster = Cluster.standing()
    fresh_node(cluster, "cp-a")
    labels = (
        ("node-role.kubernetes.io/control-plane", ""),
        ("risen.dev/image", "cp"),
        ("risen.dev/pool", "cp"),
        ("risen.dev/release", "r-cp"),
    )
    taints = (Taint("node-role.kubernetes.io/control-plane", "", "NoSchedule"),)
    assert cluster.steps() == [MarkNode(InstanceName("cp-a"), "node-cp-a", labels, taints)]


def test_labels_of_the_pool_are_applied_to_living_nodes() -> None:
    cluster = Cluster.standing()
    pools = tuple(
        replace(pool, labels=(("tier", "web"),)) if pool.name == W else pool
        for pool in cluster.revision.spec.pools
    )
    cluster.revision = replace(cluster.revision, spec=replace(cluster.revision.spec, pools=pools))
    marked = [step for step in cluster.steps() if isinstance(step, MarkNode)]
    assert [step.node for step in marked] == ["w-a", "w-b"]
    assert all(("tier", "web") in step.labels for step in marked)


def test_a_pool_s_own_labels_never_stand_in_for_ours() -> None:
    pool = PoolSpec(W, Role.WORKER, 1, labels=(("risen.dev/pool", "other"),))
    assert ("risen.dev/pool", "w") in wanted_labels(pool, ReleaseId("r-1"), ImageDigest("sha256:1"))


def test_workers_carry_only_the_taints_of_their_pool() -> None:
    taint = Taint("gpu", "yes", "NoSchedule")
    assert wanted_taints(PoolSpec(W, Role.WORKER, 1, taints=(taint,))) == (taint,)
    assert len(wanted_taints(PoolSpec(CP, Role.CONTROL_PLANE, 1, taints=(taint,)))) == 2


def test_taints_that_others_set_stay_and_are_no_reason_to_mark() -> None:
    cluster = Cluster.standing()
    theirs = (Taint("node.kubernetes.io/not-ready", "", "NoExecute"), Taint("team", "x", "NoSchedule"))
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], taints=theirs)
    assert cluster.steps(MarkNode) == []


def test_a_label_or_taint_that_we_set_and_the_pool_no_longer_names_is_taken_away() -> None:
    cluster = Cluster.standing()
    taint = Taint("gpu", "yes", "NoSchedule")
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], taints=(taint,), our_taints=("gpu",))
    cluster.nodes["w-b"] = replace(cluster.nodes["w-b"], our_labels=("risen.dev/pool", "tier"))
    assert [step.node for step in cluster.steps() if isinstance(step, MarkNode)] == ["w-a", "w-b"]


def outdated(cluster: Cluster) -> list[str]:
    marked = [step for step in cluster.steps() if isinstance(step, MarkNode)]
    return [step.node for step in marked if OUTDATED in step.taints]


def test_what_a_rollout_replaces_had_better_get_no_pods_a_control_plane_s_either() -> None:
    assert outdated(Cluster.standing().apply(CP)) == ["cp-a", "cp-b", "cp-c"]
    assert outdated(Cluster.standing().apply(CP, W)) == ["cp-a", "cp-b", "cp-c"]
    assert outdated(Cluster.standing().apply(W)) == ["w-a", "w-b"]


def test_while_its_release_is_halted_it_takes_pods_again() -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    cluster.serve("w-x", launched_at_unix=NOW.unix - 20).of_release("w-x")
    cluster.pods = [pod_of("web", "w-x", failing="ImagePullBackOff")]
    assert (outdated(cluster), "halted" in cluster.blocked()) == ([], True)
    cluster.pods = []
    assert outdated(cluster) == ["w-a", "w-b"]


def test_an_instance_that_still_waits_for_its_network_plugin_halts_nothing_before_its_bound() -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    for ago, marked, halted in ((59.0, ["w-a", "w-b"], False), (60.0, [], True)):
        cluster.serve("w-x", launched_at_unix=NOW.unix - ago, ready_at_unix=None).of_release("w-x")
        cluster.nodes["w-x"] = replace(cluster.nodes["w-x"], ready=False, waiting_for_addons=True)
        assert (outdated(cluster), "halted" in cluster.blocked()) == (marked, halted)
        assert bool(cluster.steps(HaltRelease)) is halted, "nor is it told as a halt"


def test_the_node_of_what_is_gone_is_deleted_once_its_pods_are_freed() -> None:
    cluster = Cluster.standing().lose("w-a").open("w-a")
    cluster.pods = [pod_of("web", "w-a"), pod_of("flannel", "w-a", daemon=True)]
    out_of_service(cluster, "w-a")
    assert cluster.steps(FreePod, DeleteNode) == [FreePod("default", "web", "uid-web", InstanceName("w-a"))]
    del cluster.pods[0]
    assert cluster.steps(FreePod, DeleteNode) == [DeleteNode(InstanceName("w-a"), "node-w-a")]


def test_our_cordon_is_taken_back_where_nothing_is_to_go_and_a_person_s_is_not() -> None:
    """An abort closed the entry before the cordon was seen."""
    cluster = Cluster.standing()
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], unschedulable=True, our_cordon=True)
    cluster.nodes["w-b"] = replace(cluster.nodes["w-b"], unschedulable=True)
    (step,) = cluster.steps(UncordonNode)
    assert step == UncordonNode(InstanceName("w-a"), "node-w-a")
    assert refusal(step, cluster.facts()) is None
    assert cluster.apply(W).open("w-a", "rollout").steps(UncordonNode) == []


def test_a_finished_pod_that_somebody_holds_on_to_does_not_keep_the_node() -> None:
    cluster = Cluster.standing().lose("w-a").open("w-a")
    cluster.pods = [pod_of("once", "w-a", ready=False, finished=True, terminating=True)]
    out_of_service(cluster, "w-a")
    assert [step.node for step in cluster.steps(DeleteNode)] == ["w-a"]  # type: ignore[attr-defined]


def test_a_node_keeps_until_its_volumes_are_off_it_put_out_of_service_for_that() -> None:
    cluster = Cluster.standing().lose("w-a").open("w-a")
    cluster.attachments = [("csi-1", InstanceName("w-a"))]
    assert cluster.steps(DeleteNode) == []
    assert [step.node for step in cluster.steps(TaintOutOfService)] == ["w-a"]  # type: ignore[attr-defined]
    cluster.attachments = []
    assert [step.node for step in cluster.steps(DeleteNode)] == ["w-a"]  # type: ignore[attr-defined]
    assert cluster.steps(TaintOutOfService) == []


def test_a_node_is_not_deleted_before_the_loss_is_in_the_ledger() -> None:
    assert Cluster.standing().lose("w-a").steps(DeleteNode, FreePod) == []


def out_of_service(cluster: Cluster, name: str) -> None:
    taints = (Taint(OUT_OF_SERVICE, "nodeshutdown", "NoExecute"),)
    cluster.nodes[name] = replace(cluster.nodes[name], taints=taints)


def test_pods_of_what_is_only_off_are_not_freed_its_end_comes_first() -> None:
    cluster = Cluster.standing(3, 3).stop("w-a").open("w-a")
    cluster.pods = [pod_of("web", "w-a"), pod_of("db-0", "w-a", stateful=True)]
    assert cluster.steps(FreePod, TaintOutOfService) == []
    assert [type(step) for step in cluster.steps(Destroy)] == [Destroy]


@pytest.mark.parametrize("stateful", [False, True])
def test_pods_are_freed_only_once_the_scheduler_cannot_put_them_back_on_the_dead_node(stateful: bool) -> None:
    cluster = Cluster.standing().lose("w-a").open("w-a")
    cluster.pods = [pod_of("web", "w-a", stateful=stateful)]
    assert cluster.steps(FreePod, TaintOutOfService) == [TaintOutOfService(InstanceName("w-a"), "node-w-a")]
    out_of_service(cluster, "w-a")
    assert cluster.steps(FreePod, TaintOutOfService, DeleteNode) == [
        FreePod("default", "web", "uid-web", InstanceName("w-a"))
    ]


def test_a_dead_node_is_put_out_of_service_beside_the_removal_of_its_etcd_member() -> None:
    cluster = Cluster.standing().lose("cp-c").open("cp-c")
    cluster.pods = [pod_of("web", "cp-c")]
    assert [type(step) for step in cluster.steps(RemoveMember, TaintOutOfService)] == [
        RemoveMember,
        TaintOutOfService,
    ]


def test_pods_of_a_node_that_is_gone_already_are_freed() -> None:
    cluster = Cluster.standing().lose("w-a").open("w-a")
    cluster.pods = [pod_of("web", "w-a")]
    del cluster.nodes["w-a"]
    assert cluster.steps(FreePod) == [FreePod("default", "web", "uid-web", InstanceName("w-a"))]


def test_pods_of_a_node_that_is_not_ours_are_left_alone() -> None:
    cluster = Cluster.standing().lose("w-a").open("w-a")
    cluster.pods = [pod_of("web", "w-a")]
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], provider_id="aws:///i-1")
    assert cluster.steps(FreePod, TaintOutOfService) == []


def test_pods_of_a_running_subject_are_not_freed() -> None:
    cluster = Cluster.standing().open("w-a", "kill")
    cluster.pods = [pod_of("web", "w-a")]
    assert cluster.steps(FreePod) == []


def test_without_sight_of_kubernetes_no_pod_and_no_node_is_touched() -> None:
    cluster = Cluster.standing().lose("w-a").open("w-a")
    cluster.unseen["kubernetes"] = "Unreachable: no backend"
    assert cluster.steps(FreePod, DeleteNode, MarkNode, CloseEntry) == []
    assert cluster.blocked()["cannot-see"] == "Unreachable: no backend"


def test_a_lease_whose_holder_is_proven_gone_is_emptied() -> None:
    cluster = Cluster.standing().lose("cp-a").open("cp-a")
    cluster.lease_holders = (
        ("kube-controller-manager", "cp-a_1234"),
        ("kube-scheduler", "cp-b_1234"),
        ("other", ""),
    )
    assert cluster.steps(ReleaseLease) == [ReleaseLease("kube-controller-manager", "cp-a_1234")]


def test_a_lease_whose_holder_is_only_stopped_is_kept() -> None:
    cluster = Cluster.standing().stop("cp-a")
    cluster.lease_holders = (("kube-scheduler", "cp-a_1234"),)
    assert cluster.steps(ReleaseLease) == []


def test_add_ons_are_applied_what_others_stand_on_first() -> None:
    cluster = Cluster.standing()
    cluster.revision = replace(cluster.revision, addons=(DEPLOYMENT, ROLE, NAMESPACE))
    assert cluster.steps() == [ApplyAddon(*NAMESPACE)]
    cluster.addons = (NAMESPACE,)
    assert cluster.steps() == [ApplyAddon(*ROLE)]
    cluster.addons = (NAMESPACE, ROLE, (DEPLOYMENT[0], "old"))
    assert cluster.steps() == [ApplyAddon(*DEPLOYMENT)]
    cluster.addons = (NAMESPACE, ROLE, DEPLOYMENT)
    assert cluster.steps() == []


def test_the_kind_of_an_add_on_is_found_in_grouped_and_core_keys() -> None:
    assert [stage_of(key) for key, _ in (NAMESPACE, ROLE, DEPLOYMENT)] == [0, 1, 2]


def test_add_ons_wait_for_kubernetes() -> None:
    cluster = Cluster.standing()
    cluster.revision = replace(cluster.revision, addons=(ROLE,))
    cluster.unseen["kubernetes"] = "Unreachable: no backend"
    assert cluster.steps(ApplyAddon) == []


def replaced(name: str, by: str) -> Cluster:
    """`name` is buried, its entry open, and `by` serves in its place."""
    cluster = Cluster.standing().open(name).bury(name)
    cluster.serve(by)
    cluster.lives[by] = replace(cluster.lives[by], birth=birth_of(by, entry=f"{name}-1"))
    return cluster


def test_an_entry_is_closed_when_the_replacement_serves() -> None:
    assert closing(replaced("w-a", "w-c")) == [("w-a-1", "replaced by w-c")]


def test_an_entry_stays_open_while_the_replacement_is_not_ready() -> None:
    cluster = replaced("w-a", "w-c")
    cluster.nodes["w-c"] = replace(cluster.nodes["w-c"], ready=False)
    assert closing(cluster) == []


def test_a_control_plane_entry_stays_open_until_its_replacement_is_a_voter() -> None:
    cluster = replaced("cp-a", "cp-d")
    assert closing(cluster) == [("cp-a-1", "replaced by cp-d")]
    cluster.members["cp-d"] = replace(cluster.members["cp-d"], learner=True)
    assert closing(cluster) == []


def test_an_entry_is_closed_by_the_replacement_of_its_replacement() -> None:
    cluster = replaced("w-a", "w-c")
    cluster.bury("w-c").open("w-c", "never-joined")
    cluster.lives["w-c"] = replace(cluster.lives["w-c"], ready_at_unix=None)
    cluster.serve("w-d")
    cluster.lives["w-d"] = replace(cluster.lives["w-d"], birth=birth_of("w-d", entry="w-c-1"))
    assert closing(cluster) == [("w-a-1", "replaced by w-d"), ("w-c-1", "replaced by w-d")]


def test_an_entry_stays_open_while_a_node_member_or_backend_is_left() -> None:
    cluster = replaced("cp-b", "cp-d")
    cluster.backends["cp-b"] = replace(cluster.backends["cp-a"], name=InstanceName("cp-b"))
    assert closing(cluster) == []


def test_an_entry_nobody_is_owed_a_replacement_for_is_closed() -> None:
    cluster = Cluster.standing(3, 2).open("w-b").bury("w-b")
    spec = cluster.revision.spec
    pools = tuple(replace(pool, replicas=1) if pool.name == W else pool for pool in spec.pools)
    cluster.revision = replace(cluster.revision, spec=replace(spec, pools=pools))
    assert closing(cluster) == [("w-b-1", "removed")]


def test_a_repaired_one_that_is_healthy_again_closes_its_entry_as_recovered() -> None:
    assert closing(Cluster.standing().open("w-a")) == [("w-a-1", "recovered")]


def test_after_its_entry_is_closed_nothing_more_is_done_about_what_is_gone() -> None:
    cluster = replaced("w-a", "w-c")
    cluster.entries["w-a-1"] = replace(cluster.entries["w-a-1"], closed_unix=1.0, outcome="replaced by w-c")
    assert cluster.steps() == []


def test_an_empty_store_beside_living_instances_of_that_name_does_nothing_at_all() -> None:
    cluster = Cluster.nothing()
    seen = InstanceSeen(InstanceName("cp-z"), id_of("cp-z"), ClusterUid("lost"), GONE, "10.77.0.10")
    cluster.instances["cp-z"] = replace(seen, state=Cluster.standing().instances["w-a"].state)
    assert cluster.steps() == []
    assert list(cluster.blocked()) == ["empty-store"]


def test_a_new_cluster_beside_somebody_else_s_instances_rises() -> None:
    cluster = Cluster.nothing()
    seen = InstanceSeen(InstanceName("x"), ProviderId("risen-local://prod/x/1"), ClusterUid("o"), GONE)
    cluster.instances["x"] = replace(seen, state=Cluster.standing().instances["w-a"].state)
    assert len(cluster.steps()) == 1


def test_a_life_that_was_born_and_not_launched_has_no_node_to_mark() -> None:
    cluster = Cluster.standing()
    cluster.lives["w-c"] = life_of("w-c", provider_id=None, launched_at_unix=None, joined_at_unix=None)
    assert cluster.steps(MarkNode, DeleteNode) == []


def test_a_node_stays_until_no_volume_is_attached_to_it() -> None:
    cluster = Cluster.standing(3, 2).lose("w-a").open("w-a")
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], taints=(Taint(OUT_OF_SERVICE, "", "NoExecute"),))
    cluster.attachments = [("csi-1", InstanceName("w-a"))]
    assert cluster.steps(DeleteNode) == []
    cluster.attachments = []
    assert cluster.steps(DeleteNode) == [DeleteNode(InstanceName("w-a"), "node-w-a")]
