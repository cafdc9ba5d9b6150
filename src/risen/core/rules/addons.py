"""Add-on objects: applied where they lack or differ, what others stand on first. It deletes none."""

from __future__ import annotations

from risen.core.rules.view import RuleOutput, View
from risen.core.step import ApplyAddon

FOUNDATIONS = ("Namespace", "CustomResourceDefinition")
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "Pod")


def propose(view: View) -> RuleOutput:
    """ApplyAddon: all of the first stage that is not whole, in the revision's order."""
    if not view.revision.addons:
        return RuleOutput()
    unseen = view.cannot_see("kubernetes")
    kubernetes = view.facts.kubernetes
    if unseen is not None or kubernetes is None:
        return unseen or RuleOutput()
    there = dict(kubernetes.addons)
    lacking = [(key, digest) for key, digest in view.revision.addons if there.get(key) != digest]
    first = min((stage_of(key) for key, _ in lacking), default=0)
    return RuleOutput(steps=tuple(ApplyAddon(key, d) for key, d in lacking if stage_of(key) == first))


def stage_of(key: str) -> int:
    """0 for what holds others, 2 for what runs, 1 between. `key` is `APIVERSION/KIND/NAMESPACE/NAME`."""
    kind = key.split("/")[-3] if key.count("/") >= 3 else ""
    if kind in FOUNDATIONS:
        return 0
    return 2 if kind in WORKLOADS else 1
