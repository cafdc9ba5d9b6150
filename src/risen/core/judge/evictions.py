"""Which pods the eviction API refuses now, by the budgets that count them. It concludes nothing about instances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from risen.core.picture import BudgetSeen, PodSeen

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Hindering:
    """What keeps pods of one kind where they are: budgets that allow nothing, or the names of two that count them."""

    closed: tuple[BudgetSeen, ...]
    both: str


class Budgets:
    """Budgets by what they count. Pods of one kind share their labels: each kind is looked up once, and only among
    budgets that name one of its labels, so that 150,000 pods are looked at in a moment."""

    def __init__(self, budgets: Iterable[BudgetSeen]) -> None:
        self._by_label: dict[tuple[str, tuple[str, str] | None], list[BudgetSeen]] = {}
        for budget in budgets:
            label = budget.selector[0] if budget.selector else None
            self._by_label.setdefault((budget.namespace, label), []).append(budget)
        self._known: dict[str, dict[Labels, Hindering | None]] = {}

    def hindering(self, pod: PodSeen) -> Hindering | None:
        """None for a pod that may leave."""
        known = self._known.setdefault(pod.namespace, {})
        if pod.labels not in known:
            known[pod.labels] = self._look_up(pod)
        return known[pod.labels]

    def _look_up(self, pod: PodSeen) -> Hindering | None:
        there = [
            budget
            for label in (None, *pod.labels)
            for budget in self._by_label.get((pod.namespace, label), ())
            if budget.covers(pod)
        ]
        closed = tuple(budget for budget in there if budget.allowed <= 0)
        known = sorted(budget.name for budget in there if budget.selector is not None)
        both = " and ".join(known) if len(known) > 1 else ""
        return Hindering(closed, both) if closed or both else None
