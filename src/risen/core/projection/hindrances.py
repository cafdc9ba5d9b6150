"""What stands in a rollout's way, by name: budgets, protected pods, etcd; and pods that nothing brings elsewhere.

It foresees refusals and concludes nothing: the rules refuse for themselves, each time anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from risen.core.blocked import Blocked
from risen.core.names import InstanceName, Role
from risen.core.picture import BudgetSeen, PodSeen
from risen.core.projection.ahead import once_sent_away
from risen.core.rules.drainable import budgets, pods_to_move
from risen.core.rules.target import first_role, outdated
from risen.core.rules.view import View
from risen.core.safety.protection import protected_pods
from risen.core.safety.quorum import count_voters, quorum_of
from risen.core.spec import PoolSpec

MOST_NAMED = 3


@dataclass(frozen=True, slots=True, order=True)
class Pinned:
    """A pod that a drain ends without anything making it again elsewhere, or whose data stays behind."""

    instance: InstanceName
    pod: str
    """`NAMESPACE/NAME`."""
    why: str


def hindrances(view: View) -> tuple[Blocked, ...]:
    """Why instances that are to be replaced cannot be, as far as can be seen; what is not named can."""
    found: list[Blocked] = []
    view = once_sent_away(view)
    rolled = [pool for pool in view.pools if outdated(view, pool.name)]
    for pool in rolled:
        if pool.role is Role.CONTROL_PLANE:
            found += _etcd(view, pool)
    for role in Role:
        names = tuple(
            one.life.birth.instance
            for pool in rolled
            if pool.role is role
            for one in outdated(view, pool.name)
        )
        others = _others(view, role, {pool.role for pool in rolled})
        found += _protected(view, names, others)
        found += _budgets(view, names, others)
    return tuple(sorted(found))


def _others(view: View, role: Role, rolled: set[Role]) -> str:
    """What becomes of the others meanwhile. The order of roles holds: no worker is newer than its API server."""
    if role is not first_role(view) or len(rolled) == 1:
        return "the others go on"
    waits = "the control plane waits" if role is Role.WORKER else "workers wait"
    return f"the others of its role go on, {waits}"


def _etcd(view: View, pool: PoolSpec) -> Iterator[Blocked]:
    """A control plane is rolled beside whole etcd only."""
    etcd, voters = view.facts.etcd, count_voters(view.facts)
    if etcd is None or voters is None:
        yield Blocked(
            "cannot-see", pool.name, "etcd has not answered: nothing of the control plane is replaced"
        )
        return
    if len(voters.healthy) < voters.total:
        healthy = len(voters.healthy)
        yield Blocked(
            "quorum", pool.name, f"{healthy} of {voters.total} voters are healthy: all must be first"
        )


def _protected(view: View, names: Iterable[InstanceName], others: str) -> Iterator[Blocked]:
    for name in names:
        pods = [_name(pod) for pod in protected_pods(view.facts, name)]
        if pods:
            why = f"{_few(pods)} asks not to be disrupted (risen/do-not-disrupt); {others}"
            yield Blocked("do-not-disrupt", name, why)


def _budgets(view: View, names: Iterable[InstanceName], others: str) -> Iterator[Blocked]:
    """Budgets that allow nothing, and pods that two budgets count: the eviction API refuses such a pod."""
    index = budgets(view)
    held: dict[BudgetSeen, dict[InstanceName, str]] = {}
    for name in names:
        for pod in pods_to_move(view, name):
            hindering = None if pod.finished else index.hindering(pod)
            if hindering is None:
                continue
            for budget in hindering.closed:
                held.setdefault(budget, {}).setdefault(name, _name(pod))
            if hindering.both:
                why = f"{hindering.both} both count pod {_name(pod)}: Kubernetes evicts none that two count"
                yield Blocked("budget", name, why)
    for budget, pods in held.items():
        yield Blocked("budget", _few(list(pods)), _refused_by(budget, list(pods.values()), others))


def _refused_by(budget: BudgetSeen, pods: list[str], others: str) -> str:
    counts = f"{budget.healthy} ready, needs {budget.desired_healthy}"
    may = "" if budget.selector is not None else ", if its selector counts it"
    return (
        f"PodDisruptionBudget {budget.namespace}/{budget.name} allows 0 ({counts}): {_few(pods)} stays until it "
        f"allows one{may}; {others}"
    )


def pinned(view: View) -> tuple[Pinned, ...]:
    """Pods of instances that are to be replaced which end with them: bare ones, and those whose volume is local.
    Static pods are not drained: they end with their instance, and are named too."""
    found: list[Pinned] = []
    view = once_sent_away(view)
    for pool in view.pools:
        for one in outdated(view, pool.name):
            name = one.life.birth.instance
            for pod in view.facts.pods.get(name, ()):
                why = _why_pinned(pod)
                if why:
                    found.append(Pinned(name, _name(pod), why))
    return tuple(sorted(found))


def _why_pinned(pod: PodSeen) -> str:
    if pod.finished:
        return ""
    if pod.local_volume:
        return "its volume is on this node alone and ends with it"
    if pod.mirror:
        return "a static pod: it ends with its node"
    if not pod.owner and not pod.daemon:
        return "a bare pod: nothing makes it again elsewhere"
    return ""


def quorum_words(voters: int) -> str:
    """The arithmetic of replacing voters one by one: one more first, then one fewer.

    `3 voters: add a 4th (needs 3 of 4), remove the old one (needs 2 of 3); one loss is survived at every step`.
    """
    more = voters + 1
    survived = min(more - quorum_of(more), voters - quorum_of(voters))
    losses = {0: "no loss is", 1: "one loss is"}.get(survived, f"{survived} losses are")
    return (
        f"{voters} voter{'s' if voters != 1 else ''}: add a {_ordinal(more)} (needs {quorum_of(more)} of {more}), "
        f"remove the old one (needs {quorum_of(voters)} of {voters}); {losses} survived at every step"
    )


def _ordinal(number: int) -> str:
    return f"{number}{ {2: 'nd', 3: 'rd'}.get(number, 'th') }"


def _name(pod: PodSeen) -> str:
    return f"{pod.namespace}/{pod.name}"


def _few(names: list[str] | list[InstanceName]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
