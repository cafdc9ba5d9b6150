"""What a plan stands on besides the newest revision, in lines: what its reader would count as moved. Only renders.

Times, and what goes on by itself (budgets, drains, an instance more while one is replaced), are not in it: they
change from one second to the next, and the plan does not.
"""

from __future__ import annotations

from collections.abc import Iterable

from risen.core.judge.verdict import Verdict
from risen.core.rules.target import going_back, is_paused
from risen.core.rules.view import View
from risen.core.safety.quorum import count_voters, quorum_lost


def grounds(view: View) -> tuple[str, ...]:
    """People's orders on the revision in force, each pool's wanted size and how much of it is healthy, etcd's voters."""
    return (_revision(view), *_pools(view), _etcd(view))


def moved(before: Iterable[str], now: Iterable[str]) -> str:
    """What is no more as it was, and how it is; empty where nothing of it moved."""
    before, now = tuple(before), tuple(now)
    was, has_become = [one for one in before if one not in now], [one for one in now if one not in before]
    if not was and not has_become:
        return ""
    return f"it was “{'; '.join(was)}” and is “{'; '.join(has_become)}”"


def _revision(view: View) -> str:
    number, back = view.revision.number, going_back(view)
    if back is not None:
        return f"revision {number} is gone back from: {back}"
    return f"revision {number} is {'paused' if is_paused(view) else 'headed for'}"


def _pools(view: View) -> Iterable[str]:
    for pool in view.pools:
        healthy = sum(
            view.verdict(life.birth.instance) is Verdict.HEALTHY for life in view.of_pool(pool.name)
        )
        yield f"{pool.name}: {pool.replicas} wanted, {min(healthy, pool.replicas)} healthy"


def _etcd(view: View) -> str:
    voters = count_voters(view.facts)
    if voters is None:
        return "etcd is not seen"
    if quorum_lost(view.facts) is not None:
        return "etcd has lost its quorum"
    missing = max(0, view.revision.spec.control_plane.replicas - len(voters.healthy))
    return f"etcd lacks {missing} voters" if missing else "etcd has all its voters"
