"""Which pods of an instance leave first: what others may not do without goes last, after their volumes."""

from __future__ import annotations

from dataclasses import replace

from builders import NOW, Cluster, W, pod_of
from risen.core.names import InstanceName
from risen.core.picture import PodSeen
from risen.core.step import EvictPod, PressPowerButton

WEB = pod_of("web-1", "w-a")
DATABASE = pod_of("db-0", "w-a", stateful=True)
ATTACHER = pod_of("csi-controller-1", "w-a", critical=True)
ATTACHED = [("attachment-1", InstanceName("w-a"))]


def draining(*pods: PodSeen, attached: bool = False) -> Cluster:
    """`w-a` is cordoned, and its pods are to leave."""
    cluster = Cluster.standing(3, 2).apply(W).open("w-a", "rollout")
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], unschedulable=True, our_cordon=True)
    cluster.pods, cluster.attachments = list(pods), ATTACHED if attached else []
    return cluster


def evicted(cluster: Cluster) -> list[str]:
    return [step.pod for step in cluster.steps(EvictPod)]  # type: ignore[attr-defined]


def awaited(cluster: Cluster) -> list[str]:
    return [item.for_what for item in cluster.plan().waiting if item.subject == "w-a"]


def test_system_critical_pods_leave_after_all_others() -> None:
    assert evicted(draining(ATTACHER, DATABASE, WEB)) == ["db-0", "web-1"]
    assert evicted(draining(ATTACHER, replace(WEB, terminating=True))) == []
    assert evicted(draining(ATTACHER)) == ["csi-controller-1"]


def test_what_detaches_volumes_stays_until_they_are_off() -> None:
    cluster = draining(ATTACHER, attached=True)
    assert (evicted(cluster), awaited(cluster)) == ([], ["1 volumes to be detached"])


def test_a_critical_pod_with_a_volume_of_its_own_does_not_wait_for_itself() -> None:
    assert evicted(draining(replace(ATTACHER, stateful=True), attached=True)) == ["csi-controller-1"]


def test_an_empty_instance_still_waits_for_its_volumes() -> None:
    assert awaited(draining(attached=True)) == ["1 volumes to be detached"]
    assert "1 volumes to be detached" not in awaited(draining())


def test_what_was_told_to_end_where_no_kubelet_runs_holds_nothing_up() -> None:
    cluster = draining(replace(DATABASE, terminating=True), attached=True).serve("w-x").off_balancers("w-a")
    cluster.of_release("w-x")
    silent = replace(cluster.nodes["w-a"], lease_renewed_unix=NOW.unix - 60)
    for node, pressed in ((silent, 0), (replace(silent, ready=None), 1)):
        cluster.nodes["w-a"] = node
        assert len(cluster.steps(PressPowerButton)) == pressed
    for name in cluster.nodes:
        cluster.nodes[name] = replace(cluster.nodes[name], lease_renewed_unix=NOW.unix - 60, ready=None)
    assert cluster.steps(PressPowerButton) == []
