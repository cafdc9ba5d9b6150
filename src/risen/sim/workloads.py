"""Deployments of the simulated cluster, and the small controllers and scheduler that keep them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from risen.core.names import InstanceName

if TYPE_CHECKING:
    from risen.sim.kubernetes_api import KubernetesTruth, NodeTruth

EVICTION_AFTER_SECONDS = 300.0
"""Stock tolerance of pods for a node that is not ready."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Pods wanted. `tolerates` lets them onto tainted nodes; `min_available` is a disruption budget."""

    namespace: str
    name: str
    replicas: int
    tolerates: bool = False
    min_available: int = 0
    budgets: int = 1
    """Disruption budgets that select its pods."""


PENDING = InstanceName("")


@dataclass(slots=True)
class PodTruth:
    """One pod; `node` is empty while it is pending."""

    deployment: Deployment
    name: str
    uid: str
    node: InstanceName = PENDING
    ready: bool = False
    terminating: bool = False


def keep_replicas(api: KubernetesTruth) -> None:
    """The deployment controller, pod garbage collection and taint eviction, in one look."""
    now = api.world.timeline.now
    for pod in list(api.pods.values()):
        node = api.nodes.get(pod.node)
        if pod.node and node is None:
            api.forget_pod(pod.uid)
        elif node is not None and node.ready is None and now - node.lease > EVICTION_AFTER_SECONDS:
            pod.terminating = True
    for deployment in api.deployments:
        living = [
            pod for pod in api.pods.values() if pod.deployment == deployment and not pod.terminating
        ]  # fmt: skip
        for _ in range(deployment.replicas - len(living)):
            api.create_pod(deployment)


def schedule(api: KubernetesTruth) -> None:
    """Bind pending pods to the emptiest node that may take them."""
    for pod in list(api.pods.values()):
        if pod.node or pod.terminating:
            continue
        nodes = [node for node in api.nodes.values() if may_run(node, pod.deployment)]
        if nodes:
            used = {node.name: sum(other.node == node.name for other in api.pods.values()) for node in nodes}
            api.bind(pod, min(nodes, key=lambda node: (used[node.name], node.name)).name)


def may_run(node: NodeTruth, deployment: Deployment) -> bool:
    """Whether the scheduler would put a pod of it there."""
    if node.ready is not True or node.unschedulable or node.foreign:
        return False
    keys = {taint.key for taint in node.taints if taint.effect != "PreferNoSchedule"}
    return not keys or (deployment.tolerates and "risen/uninitialized" not in keys)


def budget_allows(api: KubernetesTruth, pod: PodTruth) -> bool:
    """Whether a voluntary eviction leaves the deployment its least number of ready pods."""
    ready = sum(
        other.ready and not other.terminating
        for other in api.pods.values()
        if other.deployment == pod.deployment
    )
    return not pod.ready or ready - 1 >= pod.deployment.min_available
