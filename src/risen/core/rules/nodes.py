"""Nodes: role and pool labels and taints on those that are ours, and the Nodes of what is gone deleted. Where nothing
is to go our cordon is taken back.

A Node whose providerID is not one of ours is listed and left alone. A pool's labels and taints are applied
to living Nodes: they roll nothing. A kubelet may register while its instance is ended: such a Node is seen late, even
after the entry was closed, and deleted then.
"""

from __future__ import annotations

from risen.core.blocked import Blocked
from risen.core.names import IMAGE_LABEL, ImageDigest, InstanceName, ReleaseId, Role, image_label
from risen.core.picture import NodeSeen
from risen.core.rules.rollout import roll_of
from risen.core.rules.target import target
from risen.core.rules.verdict import is_halted
from risen.core.rules.view import RuleOutput, View
from risen.core.spec import PoolSpec, Taint
from risen.core.step import Birth, DeleteNode, MarkNode, Step, UncordonNode

OUR_LABELS = "risen.dev/"
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
UNINITIALIZED = "risen/uninitialized"
OUTDATED = Taint("risen.dev/outdated", "", "PreferNoSchedule")
"""While a rollout goes on: pods that are moved had better go to instances that stay."""


def propose(view: View) -> RuleOutput:
    """MarkNode, UncordonNode, DeleteNode."""
    unseen = view.cannot_see("kubernetes", "provider")
    if unseen is not None:
        return unseen
    facts = view.facts
    old = _outdated(view)
    steps: list[Step] = []
    blocked: list[Blocked] = []
    for name, node in facts.nodes.items():
        life = facts.lives.get(name)
        if not facts.is_our_node(node):
            blocked.append(
                Blocked("foreign", name, f"Node with providerID {node.provider_id!r} is not ours: left alone")
            )
        elif life is None or facts.is_gone(life):
            steps += _deletion(view, node)
        elif name not in facts.entries and node.our_cordon:
            steps.append(UncordonNode(name, node.uid))
        elif name not in facts.entries:
            pool = view.revision.spec.pool(life.birth.pool)
            if pool is not None:
                steps += _mark(node, pool, life.birth, name in old)
    return RuleOutput(steps=tuple(steps), blocked=tuple(blocked))


def _outdated(view: View) -> frozenset[InstanceName]:
    """Those whose rollout goes on: not of a pool whose turn has not come, or that is paused or halted. Control planes
    too: pods that tolerate their taint would be evicted from one to the next."""
    return frozenset(
        one.life.birth.instance
        for pool in view.pools
        if not _is_halted(view, pool)
        for one in roll_of(view, pool).outdated
    )


def _is_halted(view: View, pool: PoolSpec) -> bool:
    wanted = target(view, pool.name)
    return wanted is not None and is_halted(view, wanted)


def wanted_labels(pool: PoolSpec, release: ReleaseId, image: ImageDigest) -> tuple[tuple[str, str], ...]:
    """Labels of a pool's Nodes, sorted."""
    labels = dict(pool.labels)
    labels[f"{OUR_LABELS}pool"] = pool.name
    labels[f"{OUR_LABELS}release"] = release
    labels[IMAGE_LABEL] = image_label(image)
    if pool.role is Role.CONTROL_PLANE:
        labels[CONTROL_PLANE_LABEL] = ""
    return tuple(sorted(labels.items()))


def wanted_taints(pool: PoolSpec, old: bool = False) -> tuple[Taint, ...]:
    """Taints of a pool's Nodes, sorted; a control plane takes no ordinary pods, what is `old` rather no more."""
    taints = set(pool.taints) | ({OUTDATED} if old else set())
    if pool.role is Role.CONTROL_PLANE:
        taints.add(Taint(CONTROL_PLANE_LABEL, "", "NoSchedule"))
    return tuple(sorted(taints))


def _mark(node: NodeSeen, pool: PoolSpec, birth: Birth, old: bool) -> tuple[Step, ...]:
    labels, taints = wanted_labels(pool, birth.release, birth.image), wanted_taints(pool, old)
    keys = {OUTDATED.key, *(taint.key for taint in taints)}
    ours = {taint for taint in node.taints if taint.key in {UNINITIALIZED, *keys, *node.our_taints}}
    as_wanted = set(labels) <= set(node.labels) and set(node.our_labels) <= dict(labels).keys()
    if as_wanted and ours == set(taints):
        return ()
    return (MarkNode(node.name, node.uid, labels, taints),)


def _deletion(view: View, node: NodeSeen) -> tuple[Step, ...]:
    """Once its pods are freed and its volumes are off it: after a Node is gone they are held for 6 minutes."""
    facts = view.facts
    pods = [pod for pod in facts.pods.get(node.name, ()) if not (pod.finished and pod.terminating)]
    if any(not pod.daemon and not pod.mirror for pod in pods) or facts.attached_to(node.name):
        return ()
    if node.name not in facts.entries and not facts.is_over(node.name):
        return ()
    return (DeleteNode(node.name, node.uid),)
