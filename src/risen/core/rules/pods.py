"""Pods of what is fenced are freed: the ordinary at once, the stateful only after the instance is proven gone.

Order: fence, out-of-service taint, pods Failed and deleted. Volume attachments are never deleted by us.
Source: KEP-2268.
"""

from __future__ import annotations

from risen.core.history import Life
from risen.core.picture import InstanceState, NodeSeen, PodSeen
from risen.core.rules.view import RuleOutput, View
from risen.core.step import FreePod, Step, TaintOutOfService

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


def propose(view: View) -> RuleOutput:
    """TaintOutOfService, FreePod: for subjects of open entries that are off or gone."""
    subjects = [life for name, life in view.facts.lives.items() if name in view.facts.entries]
    if not subjects:
        return RuleOutput()
    unseen = view.cannot_see("provider", "kubernetes")
    if unseen is not None:
        return unseen
    return RuleOutput(steps=tuple(step for life in subjects for step in _free(view, life)))


def _free(view: View, life: Life) -> tuple[Step, ...]:
    facts, name = view.facts, life.birth.instance
    gone = facts.is_gone(life)
    entry = facts.entries[name]
    off = facts.state(name) is InstanceState.STOPPED and entry.reason != "scale-down"
    if not gone and not off:
        return ()
    pods = [pod for pod in facts.pods.get(name, ()) if not pod.daemon and not pod.mirror]
    steps: list[Step] = [_free_pod(pod) for pod in pods if not pod.stateful]
    stateful = [pod for pod in pods if pod.stateful]
    node = facts.nodes.get(name)
    if not gone or not stateful:
        return tuple(steps)
    if node is not None and not _is_out_of_service(node):
        return (*steps, TaintOutOfService(name, node.uid))
    return (*steps, *(_free_pod(pod) for pod in stateful))


def _free_pod(pod: PodSeen) -> FreePod:
    return FreePod(pod.namespace, pod.name, pod.uid, pod.node)


def _is_out_of_service(node: NodeSeen) -> bool:
    return any(taint.key == OUT_OF_SERVICE for taint in node.taints)
