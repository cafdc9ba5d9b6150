"""Whether clients reach the API without a control-plane instance: through those that are to stay.

A Node is Ready by its own apiserver. Whether that serves others only the endpoint says. It proposes nothing.
"""

from __future__ import annotations

from risen.core.blocked import Waiting
from risen.core.history import Life
from risen.core.rules.target import outdated
from risen.core.rules.view import RuleOutput, View


def awaits_others(view: View, life: Life) -> RuleOutput | None:
    """The wait for apiservers that are to stay to be up behind the endpoint; None once all of them are.

    Those that are to be replaced too are not asked for: they may be what the rollout mends.
    """
    unseen = view.cannot_see("endpoint")
    if unseen is not None:
        return unseen
    pool, name = life.birth.pool, life.birth.instance
    up = {one.name for one in view.facts.backends or () if one.up and not one.draining}
    old = {one.life.birth.instance for one in outdated(view, pool)}
    stay = {one.birth.instance for one in view.staying(pool)} - old - {name}
    down = sorted(stay - up)
    if not down:
        return None
    for_what = f"{', '.join(down)} to be up behind the endpoint"
    return RuleOutput(waiting=(Waiting(name, for_what, view.facts.now.boot),))
