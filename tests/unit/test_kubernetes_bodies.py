"""What is sent to change a Node: ours replaced, others' kept."""

from __future__ import annotations

import msgspec

from risen.adapters.kubernetes.bodies import mark_node, out_of_service
from risen.adapters.kubernetes.wire import Node
from risen.core.spec import Taint

THEIRS = {"key": "theirs", "value": "", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}


def node(taints: list[dict[str, str]], annotations: dict[str, str] | None = None) -> Node:
    body = {"metadata": {"annotations": annotations or {}}, "spec": {"taints": taints}}
    return msgspec.convert(body, Node)


def test_marking_drops_the_registration_taint_and_keeps_others_whole() -> None:
    seen = node([THEIRS, {"key": "risen/uninitialized", "effect": "NoSchedule"}])
    body = mark_node(seen, {"a": "b"}, (Taint("pool", "x", "NoSchedule"),))
    assert body["spec"] == {"taints": [THEIRS, {"key": "pool", "value": "x", "effect": "NoSchedule"}]}


def test_keys_marked_before_and_not_now_are_taken_away() -> None:
    annotations = {"risen.dev/labels": "a,b", "risen.dev/taints": "old"}
    seen = node([{"key": "old", "effect": "NoSchedule"}], annotations)
    body = mark_node(seen, {"b": "2"}, ())
    metadata = body["metadata"]
    assert isinstance(metadata, dict) and metadata["labels"] == {"a": None, "b": "2"}
    assert body["spec"] == {"taints": []}


def test_marking_twice_sends_the_same() -> None:
    taints = (Taint("z", "", "NoSchedule"), Taint("a", "", "NoSchedule"))
    assert mark_node(node([]), {}, taints) == mark_node(node([]), {}, taints[::-1])


def test_the_out_of_service_taint_is_there_once() -> None:
    seen = node([{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}, THEIRS])
    spec = out_of_service(seen)["spec"]
    assert isinstance(spec, dict)
    assert [taint["key"] for taint in spec["taints"]] == ["theirs", "node.kubernetes.io/out-of-service"]
