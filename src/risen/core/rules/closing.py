"""Ledger entries are closed when nothing is left of their subject and what replaces it serves."""

from __future__ import annotations

from risen.core.blocked import Waiting
from risen.core.history import Entry, Life
from risen.core.judge.facts import Facts
from risen.core.judge.verdict import Verdict
from risen.core.names import InstanceName, may_hold_etcd
from risen.core.reasons import RECOVERED, REPAIR, ROLLING, SCALE_DOWN
from risen.core.rules.births import missing
from risen.core.rules.view import RuleOutput, View, gather
from risen.core.step import CloseEntry


def propose(view: View) -> RuleOutput:
    """CloseEntry."""
    entries = view.facts.history.open_entries
    if not entries:
        return RuleOutput()
    unseen = view.cannot_see("provider", "kubernetes", "etcd", "endpoint")
    if unseen is not None:
        return unseen
    return gather(*(_close(view, entry) for entry in entries))


def _close(view: View, entry: Entry) -> RuleOutput:
    facts = view.facts
    life = facts.history.lives.get(entry.subject)
    if life is None:
        return RuleOutput(steps=(CloseEntry(entry.id, "removed"),))
    if not facts.is_gone(life):
        if entry.reason == REPAIR and _recovered(view, entry):
            return RuleOutput(steps=(CloseEntry(entry.id, RECOVERED),))
        return RuleOutput()
    since = facts.boot_of(entry.opened_unix)
    left = _left_of(facts, life)
    if left is not None:
        return RuleOutput(waiting=(Waiting(entry.subject, f"its {left} to be removed", since),))
    outcome = _outcome(view, entry)
    if outcome is None:
        return RuleOutput(waiting=(Waiting(entry.subject, "its replacement to serve", since),))
    return RuleOutput(steps=(CloseEntry(entry.id, outcome),))


def _recovered(view: View, entry: Entry) -> bool:
    """Whether it serves again by itself. A Node stays Ready for 40 s after its kubelet died, so only a lease
    renewed since the entry was opened counts."""
    node = view.facts.nodes.get(entry.subject)
    renewed = node.lease_renewed_unix if node is not None else None
    return (
        view.verdict(entry.subject) is Verdict.HEALTHY and renewed is not None and renewed > entry.opened_unix
    )


def _left_of(facts: Facts, life: Life) -> str | None:
    """What other systems still hold of an instance that is gone."""
    name = life.birth.instance
    if may_hold_etcd(life.birth.role):
        if facts.history.etcd_cluster_id and facts.member_of(name) is not None:
            return "etcd member"
        if any(backend.name == name for backend in facts.backends or ()):
            return "backend"
    node = facts.nodes.get(name)
    if node is not None and facts.is_our_node(node):
        return "Node"
    return None


def _outcome(view: View, entry: Entry) -> str | None:
    """None while a replacement is owed and does not serve. One whose story is over without that owes nothing more:
    where its pool has all that it wants (it was scaled down, or rolled), nobody else is born for the entry."""
    if entry.reason == SCALE_DOWN:
        return "removed"
    served = _served_by(view, entry)
    if served is not None:
        return f"replaced by {served}"
    life = view.facts.history.lives[entry.subject]
    born = any(other.birth.entry == entry.id for other in view.facts.lives.values())
    pool = view.pool(life.birth.pool)
    if not born and (pool is None or missing(view, pool) <= 0):
        return "rolled" if entry.reason in ROLLING else "removed"
    return None


def _served_by(view: View, entry: Entry) -> InstanceName | None:
    """Who serves in the subject's place: its replacement, or the replacement's own replacement."""
    history = view.facts.history
    for name in sorted(n for n, life in history.lives.items() if life.birth.entry == entry.id):
        if view.verdict(name) is Verdict.HEALTHY or (
            name not in view.facts.lives and history.lives[name].ready_at_unix is not None
        ):
            return name
        for later in sorted(history.entries.values(), key=lambda one: one.id):
            if later.subject == name and (found := _served_by(view, later)) is not None:
                return found
    return None
