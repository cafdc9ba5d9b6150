"""The view that a forecast begins from, where a rollout begins by sending instances away. Proposes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from risen.core.history import Life
from risen.core.names import InstanceName
from risen.core.rules.target import is_sent_away, outdated
from risen.core.rules.view import View


def sent_away(view: View) -> tuple[Life, ...]:
    """Instances of releases that an older revision was still trying: they go before anything is rolled."""
    pools = [pool for pool in view.pools if is_sent_away(view, pool.name)]
    return tuple(one.life for pool in pools for one in outdated(view, pool.name))


def once_sent_away(view: View) -> View:
    """The view as it will be then: each of them as if it were of the release that stood. The same view where there
    are none."""
    going = sent_away(view)
    if not going:
        return view
    before: dict[InstanceName, Life] = {}
    for life in going:
        stood = view.facts.history.settled_release(life.birth.pool)
        assert stood is not None, "only a pool that stood sends anything away"
        birth = replace(life.birth, release=stood.release, image=stood.image)
        before[life.birth.instance] = replace(life, birth=birth)
    lives: Mapping[InstanceName, Life] = {**view.facts.lives, **before}
    return View(view.revision, replace(view.facts, lives=lives), view.verdicts, view.supplies)
