"""Pods of what is fenced are freed, once the scheduler can put no pod on its Node any more.

Order: fence, out-of-service taint, pods Failed and deleted, Node deleted. Without the taint a dead Node looks
Ready for up to 50 s, and what is freed may be put back on it. Volume attachments are never deleted by us.
Source: KEP-2268.
"""

from __future__ import annotations

from risen.core.history import Life
from risen.core.picture import NodeSeen, PodSeen
from risen.core.rules.view import RuleOutput, View
from risen.core.step import FreePod, Step, TaintOutOfService

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


def propose(view: View) -> RuleOutput:
    """TaintOutOfService, FreePod: for subjects of open entries that are gone."""
    subjects = [life for name, life in view.facts.lives.items() if name in view.facts.entries]
    if not subjects:
        return RuleOutput()
    unseen = view.cannot_see("provider", "kubernetes")
    if unseen is not None:
        return unseen
    return RuleOutput(steps=tuple(step for life in subjects for step in _free(view, life)))


def _free(view: View, life: Life) -> tuple[Step, ...]:
    facts, name = view.facts, life.birth.instance
    pods = [pod for pod in facts.pods.get(name, ()) if not pod.daemon and not pod.mirror]
    if not facts.is_gone(life) or not (pods or facts.attached_to(name)):
        return ()
    node = facts.nodes.get(name)
    if node is None or _is_out_of_service(node):
        return tuple(_free_pod(pod) for pod in pods)
    if not facts.is_our_node(node):
        return ()
    return (TaintOutOfService(name, node.uid),)


def _free_pod(pod: PodSeen) -> FreePod:
    return FreePod(pod.namespace, pod.name, pod.uid, pod.node)


def _is_out_of_service(node: NodeSeen) -> bool:
    return any(taint.key == OUT_OF_SERVICE for taint in node.taints)
