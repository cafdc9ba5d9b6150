"""Add-on objects: whose set is wanted now, and what of it lacks or differs, what others stand on first. It deletes none.

Forward a revision's set goes on once its control plane has passed, and before any worker is rolled; back (an undo is
that too) the set of then goes on once the workers are back, and before the control plane goes back. Either way an
instance must serve that holds the images of the set: none of them comes from a registry. Until then what is there
stays as it is.
"""

from __future__ import annotations

from risen.core.judge.verdict import Verdict
from risen.core.names import Role
from risen.core.rules.target import going_back, has_passed, is_backward, unrolled
from risen.core.rules.view import RuleOutput, View, once
from risen.core.step import ApplyAddon

FOUNDATIONS = ("Namespace", "CustomResourceDefinition")
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "Pod")
Objects = tuple[tuple[str, str], ...]
"""Key and digest of each, in apply order."""


def propose(view: View) -> RuleOutput:
    """ApplyAddon: all of the first stage that is not whole, in the set's order."""
    if not view.revision.addons and not view.facts.history.settled_addons:
        return RuleOutput()
    unseen = view.cannot_see("kubernetes")
    if unseen is not None:
        return unseen
    lacking = _differing(view, headed_for(view)) if is_due(view) else _absent(view)
    first = min((stage_of(key) for key, _ in lacking), default=0)
    return RuleOutput(steps=tuple(ApplyAddon(key, d) for key, d in lacking if stage_of(key) == first))


def headed_for(view: View) -> Objects:
    """The newest revision's set, or the one that stood where that revision is gone back from."""
    return view.revision.addons if going_back(view) is None else view.facts.history.settled_addons


@once
def is_due(view: View) -> bool:
    """Whether the set that is headed for belongs into the API now: at bring-up there is no other."""
    history, revision = view.facts.history, view.revision
    if not history.settled or history.completed >= revision.number:
        return True
    wanted = revision.releases if going_back(view) is None else history.settled
    if is_backward(view):
        images = {release.image for release in wanted}
        served = any(
            life.birth.image in images and view.verdict(life.birth.instance) is Verdict.HEALTHY
            for pool in view.pools
            for life in view.staying(pool.name)
        )
        return served and not unrolled(view, Role.WORKER)
    pool = revision.spec.control_plane
    release = next(one.release for one in wanted if one.pool == pool.name)
    return has_passed(view, release) and any(
        life.birth.release == release and view.verdict(life.birth.instance) is Verdict.HEALTHY
        for life in view.staying(pool.name)
    )


def go_before(view: View, role: Role) -> bool:
    """Whether pools of a role wait for add-ons: workers on the way forward, the control plane on the way back. There
    what no instance could run holds nothing up: the first that is back will."""
    if not is_backward(view):
        return role is Role.WORKER and bool(_differing(view, headed_for(view)))
    return role is Role.CONTROL_PLANE and is_due(view) and bool(_differing(view, headed_for(view)))


def stage_of(key: str) -> int:
    """0 for what holds others, 2 for what runs, 1 between. `key` is `APIVERSION/KIND/NAMESPACE/NAME`."""
    kind = key.split("/")[-3] if key.count("/") >= 3 else ""
    if kind in FOUNDATIONS:
        return 0
    return 2 if kind in WORKLOADS else 1


@once
def _differing(view: View, wanted: Objects) -> Objects:
    there = _there(view)
    return tuple((key, digest) for key, digest in wanted if there.get(key) != digest)


def _absent(view: View) -> Objects:
    """What somebody deleted of the set that stood: what runs meanwhile of another is left alone."""
    there = _there(view)
    return tuple((key, digest) for key, digest in view.facts.history.settled_addons if key not in there)


def _there(view: View) -> dict[str, str]:
    kubernetes = view.facts.kubernetes
    return dict(kubernetes.addons) if kubernetes is not None else {}
