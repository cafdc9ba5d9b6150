"""Load balancers leave an emptied instance before its power button is pressed, and come back when it is called off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import CP, NOW, Cluster, W, pod_of
from risen.core.history import RolloutIntent, TaskResult
from risen.core.names import InstanceName
from risen.core.rules.balancers import EXCLUDED, GOING
from risen.core.spec import Disruption, Taint
from risen.core.step import CloseEntry, DrainBackend, EvictPod, MarkNode, PressPowerButton, Step, UncordonNode

TEAM, TIER = Taint("team", "x", "NoSchedule"), ("tier", "web")


def leaving(name: str, seconds: float = 0.0) -> Cluster:
    """Cordoned, with one pod to go; its labels and taints are those that Risen set and one of somebody else's."""
    cluster = Cluster.standing(3, 2).apply(CP, W)
    cluster.revision = replace(
        cluster.revision,
        spec=replace(cluster.revision.spec, disruption=Disruption(load_balancer_seconds=seconds)),
    )
    cluster.serve(f"{name[:-1]}x").of_release(f"{name[:-1]}x").open(name, "rollout")
    cluster.results["snapshot/cp-a/1"] = TaskResult(True, "revision 7", NOW.unix - 60)
    node = cluster.nodes[name]
    cluster.nodes[name] = replace(
        node, unschedulable=True, our_cordon=True, labels=(*node.labels, TIER), taints=(*node.taints, TEAM),
        our_labels=tuple(key for key, _ in node.labels), our_taints=tuple(taint.key for taint in node.taints),
    )  # fmt: skip
    cluster.pods = [pod_of("web", name)]
    return cluster


def walk(cluster: Cluster, name: str) -> list[Step]:
    kinds = (EvictPod, MarkNode, DrainBackend, PressPowerButton)
    steps = cluster.steps(*kinds)
    return [step for step in steps if name in (getattr(step, "node", None), getattr(step, "instance", None))]


def marked(cluster: Cluster, name: str, ago: float = 0.0) -> Cluster:
    """Emptied, and the marks are seen."""
    cluster.pods = []
    node = cluster.nodes[name]
    labels = (*node.labels, (EXCLUDED, str(int(NOW.unix - ago))))
    cluster.nodes[name] = replace(
        node, labels=labels, taints=(*node.taints, GOING),
        our_labels=(*node.our_labels, EXCLUDED), our_taints=(*node.our_taints, GOING.key),
    )  # fmt: skip
    return cluster


@pytest.mark.parametrize("name", ["w-a", "cp-a"])
def test_its_node_is_marked_once_its_pods_are_gone_and_keeps_what_was_set_before(name: str) -> None:
    cluster = leaving(name)
    assert [type(step) for step in walk(cluster, name)] == [EvictPod]
    cluster.pods = []
    (step,) = walk(cluster, name)
    assert isinstance(step, MarkNode)
    before = cluster.nodes[name]
    ours = [pair for pair in before.labels if pair != TIER]
    assert step.labels == tuple(sorted([*ours, (EXCLUDED, str(int(NOW.unix)))]))
    assert step.taints == tuple(sorted({*before.taints, GOING} - {TEAM}))


@pytest.mark.parametrize(("name", "then"), [("w-a", PressPowerButton), ("cp-a", DrainBackend)])
def test_then_it_goes_on_at_once_or_after_what_the_user_s_balancers_need(name: str, then: type) -> None:
    assert [type(step) for step in walk(marked(leaving(name), name), name)] == [then]
    cluster = marked(leaving(name, 30.0), name, ago=29.0)
    plan = cluster.plan()
    assert walk(cluster, name) == []
    (waiting,) = [one for one in plan.waiting if one.for_what == "load balancers to leave it"]
    assert (waiting.since, waiting.give_up_at, plan.recheck_at) == (NOW.boot - 29, NOW.boot + 1, NOW.boot + 1)
    cluster = marked(leaving(name, 30.0), name, ago=30.0)
    assert [type(step) for step in walk(cluster, name)] == [then]


def test_what_the_user_keeps_away_from_balancers_is_not_waited_for() -> None:
    cluster = marked(leaving("w-a", 30.0), "w-a")
    labels = tuple(pair for pair in cluster.nodes["w-a"].labels if pair[0] != EXCLUDED)
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], labels=(*labels, (EXCLUDED, "")))
    assert [type(step) for step in walk(cluster, "w-a")] == [PressPowerButton]


def test_called_off_it_takes_connections_again() -> None:
    cluster = marked(leaving("w-a", 30.0), "w-a")
    cluster.orders[2] = RolloutIntent("i", 2, "abort", "jane")
    assert [step for step in cluster.steps(UncordonNode) if isinstance(step, UncordonNode)] == [
        UncordonNode(InstanceName("w-a"), "node-w-a")
    ]
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], unschedulable=False, our_cordon=False)
    (close,) = [step for step in cluster.steps(CloseEntry) if isinstance(step, CloseEntry)]
    entry = cluster.entries[close.entry]
    cluster.entries[close.entry] = replace(entry, closed_unix=NOW.unix, outcome=close.outcome)
    (step,) = walk(cluster, "w-a")
    assert isinstance(step, MarkNode)
    assert EXCLUDED not in dict(step.labels)
    assert GOING not in step.taints
