"""Whose a Node or an instance is: what others made is listed and left alone."""

from __future__ import annotations

from dataclasses import replace

from builders import GONE, NOW, UID, Cluster, pod_of
from risen.core.names import ClusterUid, InstanceName, ProviderId
from risen.core.picture import InstanceSeen, NodeSeen
from risen.core.safety.recheck import refusal
from risen.core.step import DeleteNode, MarkNode


def test_a_node_whose_provider_id_is_not_ours_is_listed_and_left_alone() -> None:
    cluster = Cluster.standing()
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], provider_id="aws:///i-1", labels=())
    cluster.nodes["strange"] = NodeSeen(InstanceName("strange"), "uid", "aws:///i-2", True)
    assert cluster.steps() == []
    told = [(one.subject, one.why[-10:]) for one in cluster.plan().blocked if one.name == "foreign"]
    assert told == [("strange", "left alone"), ("w-a", "left alone")], "nor is it tried and refused"


def late_node() -> Cluster:
    """`w-a` is gone and its entry closed; then the Node is seen that its kubelet had registered at the last moment."""
    cluster = Cluster.standing(3, 3).lose("w-a")
    cluster.open("w-a", "rollback", closed_unix=NOW.unix - 1, outcome="rolled")
    cluster.instances.pop("w-a", None)
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], ready=False)
    return cluster


def test_a_node_that_registered_while_its_instance_was_ended_is_deleted_though_its_entry_is_closed() -> None:
    cluster = late_node()
    cluster.pods = [pod_of("flannel", "w-a", daemon=True)]
    (step,) = cluster.steps(DeleteNode)
    assert step == DeleteNode(InstanceName("w-a"), "node-w-a")
    assert refusal(step, cluster.facts()) is None
    assert "foreign" not in cluster.blocked()


def test_the_node_of_what_was_lost_before_anybody_looked_is_deleted() -> None:
    """Its launch was answered to a controller that died then; it joined, and was gone at the next one's first look."""
    cluster = late_node()
    cluster.lives["w-a"] = replace(cluster.lives["w-a"], provider_id=None, gone_at_unix=NOW.unix - 2)
    (step,) = cluster.steps(DeleteNode)
    assert (step, "foreign" in cluster.blocked()) == (DeleteNode(InstanceName("w-a"), "node-w-a"), False)
    assert refusal(step, cluster.facts()) is None


def test_a_node_whose_instance_was_not_seen_yet_is_left_alone() -> None:
    cluster = Cluster.standing(3, 3)
    cluster.lives["w-a"] = replace(cluster.lives["w-a"], provider_id=None)
    cluster.instances.pop("w-a", None)
    assert (cluster.steps(DeleteNode, MarkNode), "foreign" in cluster.blocked()) == ([], True)


def test_a_node_of_its_name_that_is_somebody_elses_is_left_alone() -> None:
    cluster = late_node()
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], provider_id="aws:///i-1")
    assert (cluster.steps(DeleteNode), "foreign" in cluster.blocked()) == ([], True)
    assert refusal(DeleteNode(InstanceName("w-a"), "node-w-a"), cluster.facts()) is not None


def test_foreign_instances_are_listed_and_left_alone() -> None:
    cluster = Cluster.standing()
    for name, uid in (("theirs", ClusterUid("other")), ("nobodys", None), ("unborn", UID)):
        seen = InstanceSeen(InstanceName(name), ProviderId(f"x://y/{name}"), uid, GONE)
        cluster.instances[name] = replace(seen, state=cluster.instances["w-a"].state)
    assert cluster.steps() == []
    assert [one.subject for one in cluster.plan().blocked] == ["nobodys", "theirs", "unborn"]
