"""Instances as rows for people: what provider, Kubernetes and the rules say of each."""

from __future__ import annotations

from dataclasses import dataclass

from risen.cli.glimpse import Glimpse
from risen.cli.views import view_of
from risen.core.history import Life
from risen.core.judge.verdict import Judgement
from risen.core.picture import InstanceSeen, NodeSeen, Seen
from risen.core.rules.view import View


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """One instance that lives, or that is foreign (`pool` is then empty)."""

    name: str
    pool: str
    address: str
    state: str
    verdict: str
    ready: bool
    release: str
    provider_id: str
    evidence: str


def instance_rows(glimpse: Glimpse, view: View | None = None) -> tuple[InstanceRow, ...]:
    """Rows by name. Who has the glimpse's view already hands it in."""
    history, picture = glimpse.history, glimpse.picture
    judgements = (view or view_of(glimpse)).verdicts
    seen: dict[str, InstanceSeen] = {}
    nodes: dict[str, NodeSeen] = {}
    if isinstance(picture.provider, Seen):
        seen = {instance.name: instance for instance in picture.provider.value.instances}
    if isinstance(picture.kubernetes, Seen):
        nodes = {node.name: node for node in picture.kubernetes.value.nodes}
    rows = [
        _row(life, seen.get(name), nodes.get(name), (judgements.get(name), glimpse.consoles.of(name)))
        for name, life in history.lives.items()
        if life.gone_at_unix is None
    ]
    rows += [
        InstanceRow(
            name,
            "",
            one.address or "",
            str(one.state),
            "foreign",
            False,
            "",
            one.provider_id,
            "never touched",
        )
        for name, one in seen.items()
        if name not in history.lives
    ]
    return tuple(sorted(rows, key=lambda row: (row.pool == "", row.pool, row.name)))


def _row(
    life: Life, instance: InstanceSeen | None, node: NodeSeen | None, told: tuple[Judgement | None, str]
) -> InstanceRow:
    judgement, console = told
    evidence = [*judgement.evidence] if judgement else []
    evidence += [f"console: {console}"] if console else []
    return InstanceRow(
        name=life.birth.instance,
        pool=life.birth.pool,
        address=(instance.address or "") if instance else "",
        state=str(instance.state) if instance else "not seen",
        verdict=str(judgement.verdict) if judgement else "Unknown",
        ready=bool(node and node.ready),
        release=life.birth.release,
        provider_id=life.provider_id or "",
        evidence="; ".join(evidence),
    )
