"""Whether a stopped instance is powered on from its own disk instead of being replaced.

It is when its host has rebooted since, when etcd has no quorum without it, or when more than
max(1, 20 %) of its pool, or of the cluster, are out together: then power was cut, and nothing died.
"""

from __future__ import annotations

from collections.abc import Iterable

from risen.core.history import Life
from risen.core.judge.verdict import Verdict
from risen.core.names import may_hold_etcd
from risen.core.picture import InstanceState
from risen.core.rules.view import View
from risen.core.safety.quorum import may_lose_with_quorum

TOGETHER_SHARE = 0.2
OUT = (Verdict.STOPPED, Verdict.SUSPECT, Verdict.UNKNOWN)


def power_on_reason(view: View, life: Life) -> str | None:
    """Why this stopped instance is powered on; None when it is to be treated as dead."""
    facts, name = view.facts, life.birth.instance
    seen, provider = facts.ours.get(name), facts.provider
    if seen is None or provider is None:
        return None
    if seen.host_boot and provider.host_boot and seen.host_boot != provider.host_boot:
        return "its host has rebooted since"
    if may_hold_etcd(life.birth.role) and facts.holds_data(life) and not may_lose_with_quorum(facts, name):
        return "etcd has no quorum without it"
    pool = _together(view, view.of_pool(life.birth.pool))
    if pool is not None:
        return f"{pool} of its pool stopped together"
    cluster = _together(view, facts.lives.values())
    return f"{cluster} of the cluster stopped together" if cluster is not None else None


def _together(view: View, lives: Iterable[Life]) -> str | None:
    """`K of N` when more than max(1, 20 %) are out: off, or on again and not serving yet.

    One that was powered on a moment ago counts, so that the last of many is not taken for a lone death.
    """
    facts = view.facts
    there = [life for life in lives if not facts.is_gone(life) and facts.was_launched(life)]
    out = [life for life in there if _is_out(view, life)]
    if len(out) <= max(1.0, TOGETHER_SHARE * len(there)):
        return None
    return f"{len(out)} of {len(there)}"


def _is_out(view: View, life: Life) -> bool:
    name = life.birth.instance
    if name in view.facts.entries and view.facts.state(name) is not InstanceState.STOPPED:
        return False
    served = life.ready_at_unix is not None
    return view.verdict(name) in OUT if served else view.verdict(name) is Verdict.STOPPED
