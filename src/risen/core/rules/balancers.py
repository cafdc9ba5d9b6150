"""Load balancers leave an instance that is emptied, before it is powered off. Proposes MarkNode.

Not at the cordon: where a Service's `externalTrafficPolicy` is `Local` the last pod of an app may still be on it.
Called off, `nodes.py` takes both marks away again: they are among the labels and taints that Risen set.
"""

from __future__ import annotations

from risen.core.blocked import Waiting
from risen.core.picture import NodeSeen
from risen.core.rules.view import RuleOutput, View
from risen.core.spec import Taint
from risen.core.step import MarkNode

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
"""For those that follow Nodes. Only its presence counts; the value is since when, in unix seconds."""
GOING = Taint("ToBeDeletedByClusterAutoscaler", "", "NoSchedule")
"""For those that ask for health: kube-proxy's /healthz says 503 from then on and its rules go on (KEP-3836)."""


def leave_balancers(view: View, node: NodeSeen) -> RuleOutput | None:
    """The marks on its Node, then the wait that the user's load balancers need; None once that is over, or its power
    button is pressed."""
    labels, name = dict(node.labels), node.name
    seen = view.facts.ours.get(name)
    if seen is None or seen.power_pressed_at is not None:
        return None
    if EXCLUDED not in labels or GOING not in node.taints:
        kept = {key: labels[key] for key in node.our_labels if key in labels}
        since = labels.get(EXCLUDED, str(int(view.facts.now.unix)))
        taints = {*(taint for taint in node.taints if taint.key in node.our_taints), GOING}
        wanted = tuple(sorted((kept | {EXCLUDED: since}).items()))
        return RuleOutput(steps=(MarkNode(name, node.uid, wanted, tuple(sorted(taints))),))
    value, seconds = labels[EXCLUDED], view.revision.spec.disruption.load_balancer_seconds
    if not value.isdecimal() or view.facts.now.unix >= int(value) + seconds:
        return None
    since_boot = view.facts.boot_of(float(value))
    waiting = Waiting(name, "load balancers to leave it", since_boot, since_boot + seconds)
    return RuleOutput(waiting=(waiting,), recheck_at=since_boot + seconds)
