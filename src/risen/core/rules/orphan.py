"""What is not ours is listed, never touched; an empty store beside living instances decides nothing at all."""

from __future__ import annotations

from risen.core.blocked import Blocked
from risen.core.judge.facts import Facts
from risen.core.rules.view import RuleOutput, View


def propose(view: View) -> RuleOutput:
    """Only refusals."""
    unseen = view.cannot_see("provider")
    if unseen is not None:
        return unseen
    facts = view.facts
    blocked = []
    for seen in facts.foreign:
        if seen.cluster == facts.history.cluster:
            why = "it carries our uid but has no birth record: left alone"
        else:
            why = f"cluster uid {seen.cluster or 'none'} is not ours: left alone"
        blocked.append(Blocked("foreign", seen.name, why))
    return RuleOutput(blocked=tuple(blocked))


def empty_store(facts: Facts, cluster_name: str) -> Blocked | None:
    """Whether nothing is remembered while instances of that name live: the store is not the right one."""
    history = facts.history
    if history.bootstraps or history.lives or history.etcd_cluster_id:
        return None
    alike = [
        seen.name
        for seen in facts.foreign
        if seen.cluster == history.cluster
        or (seen.cluster is not None and _cluster_in(seen.provider_id) == cluster_name)
    ]
    if not alike:
        return None
    return Blocked(
        "empty-store",
        cluster_name,
        f"the store remembers nothing, yet {len(alike)} instance(s) of that name live: {', '.join(alike)}",
    )


def _cluster_in(provider_id: str) -> str:
    """The cluster in `SCHEME://CLUSTER/NAME/LAUNCH`."""
    _, _, rest = provider_id.partition("://")
    return rest.partition("/")[0]
