"""Backends of the API endpoint: every voter's apiserver, and nobody else's. The endpoint checks /readyz itself.

What is drained and has no ledger entry (any more) takes requests again: draining is `handover.py`'s alone.
"""

from __future__ import annotations

from risen.core.names import InstanceName, may_hold_etcd
from risen.core.picture import BackendSeen, InstanceState
from risen.core.rules.view import RuleOutput, View, gather
from risen.core.step import AddBackend, RemoveBackend, Step


def propose(view: View) -> RuleOutput:
    """RemoveBackend for what is gone or moved, AddBackend for voters."""
    unseen = view.cannot_see("provider", "endpoint")
    backends = view.facts.backends
    if unseen is not None or backends is None:
        return unseen or RuleOutput()
    removals = RuleOutput(steps=_removals(view, backends))
    blind = view.cannot_see("etcd")
    additions = RuleOutput(steps=_additions(view, backends)) if blind is None else blind
    return gather(removals, additions)


def _removals(view: View, backends: tuple[BackendSeen, ...]) -> tuple[Step, ...]:
    facts = view.facts
    steps: list[Step] = []
    for backend in sorted(backends, key=lambda one: one.name):
        life = facts.lives.get(backend.name)
        seen = facts.ours.get(backend.name)
        moved = seen is not None and seen.address is not None and seen.address != backend.address
        if life is None or facts.is_gone(life) or moved:
            steps.append(RemoveBackend(backend.name))
    return tuple(steps)


def _additions(view: View, backends: tuple[BackendSeen, ...]) -> tuple[Step, ...]:
    facts = view.facts
    there = {backend.name for backend in backends if not backend.draining}
    steps: list[Step] = []
    for name, life in facts.lives.items():
        member, seen = facts.member_of(name), facts.ours.get(name)
        if not may_hold_etcd(life.birth.role) or name in there or name in facts.entries:
            continue
        if member is None or member.learner or not member.healthy:
            continue
        if seen is not None and seen.address and seen.state is InstanceState.RUNNING:
            steps.append(AddBackend(InstanceName(name), seen.address))
    return tuple(steps)
