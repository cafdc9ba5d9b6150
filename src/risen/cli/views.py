"""A glimpse as the rules see it: what `plan`, `status` and `rollout status` foresee is worked out from it."""

from __future__ import annotations

from risen.cli.glimpse import Glimpse
from risen.core.judge.facts import look
from risen.core.judge.verdict import judge
from risen.core.plan import Now, Supplies
from risen.core.rules.view import View
from risen.core.spec import Revision


def view_of(glimpse: Glimpse, revision: Revision | None = None) -> View:
    """The view of the revision in force, or of one that might be. Nothing is named from it: it has no supplies."""
    wanted = revision or glimpse.cluster.revision
    assert wanted is not None, "a cluster is looked at only after its first revision"
    facts = look(glimpse.picture, glimpse.history, Now(glimpse.boot, glimpse.unix))
    return View(wanted, facts, judge(facts), Supplies((), ()))
