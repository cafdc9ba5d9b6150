"""Voters: whom a control plane with more of them than wanted gives up, one at a time. `handover.py` then walks it.

From five to three every step leaves the fault tolerance of three, from three to one that of one: safety has the last
word. A rollout takes what is outdated and needs no replacement for it; nothing goes while a release is being tried,
for its first instance would be one of few.
"""

from __future__ import annotations

from risen.core.blocked import Blocked
from risen.core.history import Life
from risen.core.judge.verdict import Verdict
from risen.core.names import Role
from risen.core.reasons import SCALE_DOWN
from risen.core.rules.drainable import is_held, protected
from risen.core.rules.repair import open_entry
from risen.core.rules.target import exposed, has_passed, outdated, target
from risen.core.rules.view import RuleOutput, View, gather
from risen.core.safety.quorum import leads_etcd
from risen.core.spec import PoolSpec


def propose(view: View) -> RuleOutput:
    """OpenEntry."""
    shrinking = [pool for pool in view.pools if pool.role is Role.CONTROL_PLANE and _surplus(view, pool) > 0]
    if not shrinking:
        return RuleOutput()
    unseen = view.cannot_see("provider", "kubernetes", "etcd")
    return unseen if unseen is not None else gather(*(_choose(view, pool) for pool in shrinking))


def _surplus(view: View, pool: PoolSpec) -> int:
    """How many more stay than are wanted and no rollout accounts for."""
    wanted = target(view, pool.name)
    if wanted is None:
        return 0
    passed = has_passed(view, wanted.release)
    accounted = outdated(view, pool.name) if passed else exposed(view, wanted.release)
    return 0 if accounted else len(view.staying(pool.name)) - pool.replicas


def _choose(view: View, pool: PoolSpec) -> RuleOutput:
    """One while nothing else of it is on its way out: what does not serve, then the newest, etcd's leader last."""
    if any(life.birth.instance in view.facts.entries for life in view.of_pool(pool.name)):
        return RuleOutput()
    staying = view.staying(pool.name)
    refused: list[Blocked] = []
    for life in sorted(staying, key=lambda life: _order(view, life)):
        name = life.birth.instance
        refusal = protected(view, name)
        if refusal is None:
            evidence = f"{len(staying)} instances, {pool.replicas} wanted"
            return RuleOutput((open_entry(view, name, SCALE_DOWN, evidence),), blocked=tuple(refused))
        refused.append(refusal)
    return RuleOutput(blocked=tuple(refused))


def _order(view: View, life: Life) -> tuple[bool, bool, bool, float, str]:
    name = life.birth.instance
    healthy = view.verdict(name) is Verdict.HEALTHY
    return healthy, leads_etcd(view.facts, name), is_held(view, name), -life.birth.born_unix, name
