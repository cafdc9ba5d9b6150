"""What is sent to change an object: patch bodies from what the object holds now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from risen.adapters.kubernetes.wire import Node, NodeTaint
from risen.core.spec import Taint

UNINITIALIZED = "risen/uninitialized"
OUT_OF_SERVICE = Taint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute")
OUR_LABELS = "risen.dev/labels"
OUR_TAINTS = "risen.dev/taints"
"""Annotations of a Node: keys that were set by us, so that what a pool no longer names is taken away."""
OUR_CORDON = "risen.dev/cordoned"
"""The same where we made it unschedulable: a person's cordon stays."""

Body = dict[str, object]


def mark_node(node: Node, labels: Mapping[str, str], taints: Sequence[Taint]) -> Body:
    """Labels and taints of a pool on its Node; those of others stay, those set by us before and no longer
    wanted go, and so does `risen/uninitialized`."""
    annotations = node.metadata.annotations
    removed = dict.fromkeys(keys_in(annotations.get(OUR_LABELS, "")) - set(labels))
    ours = {UNINITIALIZED, *(taint.key for taint in taints), *keys_in(annotations.get(OUR_TAINTS, ""))}
    kept = [taint for taint in node.spec.taints if taint.key not in ours]
    return {
        "metadata": {
            "labels": {**removed, **labels},
            "annotations": {
                OUR_LABELS: ",".join(sorted(labels)),
                OUR_TAINTS: ",".join(sorted({taint.key for taint in taints})),
            },
        },
        "spec": {"taints": [*_kept(kept), *map(_taint, sorted(taints))]},
    }


def cordon_node(on: bool) -> Body:
    """A Node made unschedulable, and by whom; or schedulable again."""
    return {"metadata": {"annotations": {OUR_CORDON: "" if on else None}}, "spec": {"unschedulable": on}}


def out_of_service(node: Node) -> Body:
    """The out-of-service taint (KEP-2268) added to what is there."""
    kept = [taint for taint in node.spec.taints if taint.key != OUT_OF_SERVICE.key]
    return {"spec": {"taints": [*_kept(kept), _taint(OUT_OF_SERVICE)]}}


def ready_unknown(uid: str, now: str) -> Body:
    """A status patch that says at once what the node controller would say after its grace period."""
    condition = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "InstanceFenced",
        "message": "Risen has fenced this node's instance.",
        "lastTransitionTime": now,
    }
    return {"metadata": {"uid": uid}, "status": {"conditions": [condition]}}


def pod_failed(uid: str, now: str) -> Body:
    """A status patch that ends a pod whose node is proven gone (as PodGC does, KEP-3329)."""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByRisen",
        "message": "The instance of this pod's node was fenced.",
        "lastTransitionTime": now,
    }
    return {"metadata": {"uid": uid}, "status": {"phase": "Failed", "conditions": [condition]}}


def eviction(namespace: str, pod: str, uid: str) -> Body:
    """`policy/v1/Eviction` of exactly this pod."""
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace},
        "deleteOptions": {"preconditions": {"uid": uid}},
    }


def deletion(uid: str, grace_seconds: int | None = None) -> Body:
    """DeleteOptions that name a uid."""
    options: Body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    return options


def keys_in(text: str) -> set[str]:
    """Keys kept in one annotation."""
    return {key for key in text.split(",") if key}


def _taint(taint: Taint) -> Body:
    return {"key": taint.key, "value": taint.value, "effect": taint.effect}


def _kept(taints: Iterable[NodeTaint]) -> list[Body]:
    bodies: list[Body] = []
    for taint in taints:
        body: Body = {"key": taint.key, "value": taint.value, "effect": taint.effect}
        if taint.time_added is not None:
            body["timeAdded"] = taint.time_added
        bodies.append(body)
    return bodies
