"""The pure cache: one more word from the API, and what is then seen."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risen.adapters.kubernetes.cache import (
    Cache,
    Changes,
    Listed,
    NodeLease,
    apply,
    kubernetes_seen,
    lease_holder,
    node_lease,
    node_seen,
    pod_seen,
)
from risen.adapters.kubernetes.wire import Lease, Node, Pod
from risen.core.names import InstanceName
from risen.core.picture import NodeSeen

NO_NETWORK = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)


def node(name: str, uid: str = "u") -> NodeSeen:
    return NodeSeen(InstanceName(name), uid, "", ready=True)


def node_object(ready: str | None, message: str = "", taint: str = "") -> Node:
    conditions = [] if ready is None else [{"type": "Ready", "status": ready, "message": message}]
    taints = [{"key": taint, "effect": "NoSchedule"}] if taint else []
    body = {"metadata": {"name": "n"}, "spec": {"taints": taints}, "status": {"conditions": conditions}}
    return msgspec.convert(body, Node)


def pod_object(**parts: object) -> Pod:
    body = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {"nodeName": "n"}}
    return msgspec.json.decode(msgspec.json.encode({**body, **parts}), type=Pod)


def test_a_new_list_forgets_what_it_does_not_name() -> None:
    cache = apply(Cache(), Listed("nodes", (("a", node("a")), ("b", node("b")))))
    cache = apply(cache, Listed("nodes", (("b", node("b")),)))
    assert [seen.name for seen in kubernetes_seen(cache).nodes] == ["b"]


def test_the_last_word_of_a_piece_counts() -> None:
    changes = (("a", node("a", "old")), ("a", None), ("a", node("a", "new")))
    cache = apply(Cache(), Changes("nodes", changes))
    assert [seen.uid for seen in kubernetes_seen(cache).nodes] == ["new"]


def test_a_word_that_changes_nothing_gives_the_same_cache_so_that_nobody_is_woken() -> None:
    cache = apply(Cache(), Listed("nodes", (("a", node("a")),)))
    assert apply(cache, Changes("nodes", (("a", node("a")), ("gone", None)))) is cache
    assert apply(cache, Listed("nodes", (("a", node("a")),))) is cache


def test_an_empty_first_list_is_knowledge_too() -> None:
    assert "pods" in apply(Cache(), Listed("pods", ())).tables


def test_a_lease_alone_makes_no_node_and_is_joined_to_its_own() -> None:
    cache = apply(
        Cache(), Listed("node-leases", (("l/a", NodeLease("a", 5.0)), ("l/x", NodeLease("x", 6.0))))
    )
    cache = apply(cache, Listed("nodes", (("a", node("a")), ("b", node("b")))))
    assert [(seen.name, seen.lease_renewed_unix) for seen in kubernetes_seen(cache).nodes] == [
        ("a", 5.0),
        ("b", None),
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["1", "2", None])), max_size=12))
def test_pieces_and_single_words_end_in_one_cache(words: list[tuple[str, str | None]]) -> None:
    entries = tuple((key, None if uid is None else node(key, uid)) for key, uid in words)
    at_once = apply(Cache(), Changes("nodes", entries))
    singly = Cache()
    for entry in entries:
        singly = apply(singly, Changes("nodes", (entry,)))
    assert kubernetes_seen(at_once) == kubernetes_seen(singly)


@pytest.mark.parametrize(
    ("ready", "message", "taint", "waiting"),
    [
        ("False", NO_NETWORK, "", True),
        ("False", f"[{NO_NETWORK}, CSINode is not yet initialized]", "", True),
        ("False", "PLEG is not healthy", "", False),
        ("Unknown", "Kubelet stopped posting node status.", "", False),
        ("True", "kubelet is posting ready status", "", False),
        ("True", "", "node.cloudprovider.kubernetes.io/uninitialized", True),
        (None, "", "", False),
    ],
)
def test_waiting_for_addons_is_told_from_sickness(
    ready: str | None, message: str, taint: str, waiting: bool
) -> None:
    assert node_seen(node_object(ready, message, taint)).waiting_for_addons is waiting


@pytest.mark.parametrize(
    ("said", "ready"), [("True", True), ("False", False), ("Unknown", None), (None, None)]
)
def test_ready_is_none_where_nobody_knows(said: str | None, ready: bool | None) -> None:
    assert node_seen(node_object(said)).ready is ready


def test_a_pod_not_bound_to_a_node_is_of_no_interest() -> None:
    assert pod_seen(pod_object(spec={})) is None


@pytest.mark.parametrize(
    ("owner", "volume", "stateful", "daemon"),
    [
        ("ReplicaSet", {"emptyDir": {}}, False, False),
        ("StatefulSet", {"emptyDir": {}}, True, False),
        ("ReplicaSet", {"persistentVolumeClaim": {"claimName": "c"}}, True, False),
        ("ReplicaSet", {"ephemeral": {"volumeClaimTemplate": {}}}, True, False),
        ("DaemonSet", {"hostPath": {"path": "/"}}, False, True),
    ],
)
def test_what_may_only_go_after_a_fence_is_known_by_owner_or_volume(
    owner: str, volume: dict[str, object], stateful: bool, daemon: bool
) -> None:
    metadata = {"name": "p", "ownerReferences": [{"kind": owner, "controller": True}]}
    spec = {"nodeName": "n", "volumes": [{"name": "v", **volume}]}
    seen = pod_seen(pod_object(metadata=metadata, spec=spec))
    assert seen is not None and (seen.stateful, seen.daemon) == (stateful, daemon)


def test_mirror_and_terminating_pods_are_told() -> None:
    metadata = {
        "name": "p",
        "annotations": {"kubernetes.io/config.mirror": "x"},
        "deletionTimestamp": "2026-01-01T00:00:00Z",
    }
    seen = pod_seen(pod_object(metadata=metadata))
    assert seen is not None and (seen.mirror, seen.terminating) == (True, True)


def test_leases_of_others_and_leases_never_renewed_are_left_out() -> None:
    body = {"metadata": {"name": "apiserver-x"}, "spec": {"holderIdentity": "y"}}
    lease = msgspec.convert(body, Lease)
    assert (lease_holder(lease), node_lease(lease)) == (None, None)
