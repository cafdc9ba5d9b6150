"""What the API server has told so far, and how one more word changes it: `apply(cache, event) -> cache`.

Pure. It keeps only what a `KubernetesSeen` holds; `boiling` boils objects down when they come in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from risen.core.names import InstanceName
from risen.core.picture import BudgetSeen, KubernetesSeen, NodeSeen, PodSeen


@dataclass(frozen=True, slots=True)
class NodeLease:
    """When a kubelet last said that it lives, by its own wall clock."""

    node: str
    renewed_unix: float


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who leads in kube-system, and until when unless that is renewed; `holder` is empty when nobody does."""

    lease: str
    holder: str
    until_unix: float = 0.0


@dataclass(frozen=True, slots=True)
class Addon:
    """A managed object and the digest that its annotation carries."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class ClaimingPod:
    """A pod that claims storage: whether it can follow its pod elsewhere is said by the volumes. `claims` are
    names in its namespace."""

    pod: PodSeen
    claims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalVolume:
    """A volume that only one node can use; `claim` is `NAMESPACE/NAME` of who has it."""

    claim: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A volume that is attached, or on its way, to a node."""

    name: str
    node: str


Entry: TypeAlias = (
    NodeSeen | PodSeen | ClaimingPod | NodeLease | LeaseHolder | Addon
    | BudgetSeen | LocalVolume | Attachment
)  # fmt: skip
Table: TypeAlias = Mapping[str, Entry]
Kept = TypeVar("Kept", NodeSeen, NodeLease, LeaseHolder, Addon, BudgetSeen, LocalVolume, Attachment)
PODS = "pods"
"""The one table of two kinds."""

_EMPTY: Table = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Cache:
    """Tables of entries by key; the name of a table is that of the watch that fills it."""

    tables: Mapping[str, Table] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A whole list: what it does not name is gone from that table."""

    table: str
    entries: tuple[tuple[str, Entry], ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What one piece of a watch said, in order; None for what is gone or no longer of interest."""

    table: str
    entries: tuple[tuple[str, Entry | None], ...]


Event: TypeAlias = Listed | Changes


def apply(cache: Cache, event: Event) -> Cache:
    """The cache after one more event. Gives the same cache object when nothing has changed."""
    before = cache.tables.get(event.table, _EMPTY)
    match event:
        case Listed(entries=entries):
            after: dict[str, Entry] = dict(entries)
            if after == before and event.table in cache.tables:
                return cache
        case Changes(entries=changes):
            if all(before.get(key) == entry for key, entry in changes):
                return cache
            after = dict(before)
            for key, entry in changes:
                if entry is None:
                    after.pop(key, None)
                else:
                    after[key] = entry
    return Cache({**cache.tables, event.table: after})


def kubernetes_seen(cache: Cache) -> KubernetesSeen:
    """The cache as a section of the picture, nodes sorted by name and each with its lease."""
    leases = {entry.node: entry.renewed_unix for entry in _entries(cache, NodeLease)}
    nodes = [replace(node, lease_renewed_unix=leases.get(node.name)) for node in _entries(cache, NodeSeen)]
    budgets = sorted(_entries(cache, BudgetSeen), key=lambda budget: (budget.namespace, budget.name))
    return KubernetesSeen(
        nodes=tuple(sorted(nodes, key=lambda node: node.name)),
        pods=tuple(_pods(cache)),
        addons=tuple(sorted((entry.key, entry.digest) for entry in _entries(cache, Addon))),
        lease_holders=holders(cache),
        budgets=tuple(budgets),
        attachments=tuple(
            sorted((entry.name, InstanceName(entry.node)) for entry in _entries(cache, Attachment))
        ),
        leases_until_unix=tuple(
            sorted((entry.lease, entry.until_unix) for entry in _entries(cache, LeaseHolder))
        ),
    )


def holders(cache: Cache) -> tuple[tuple[str, str], ...]:
    """Who holds which leader lease, whenever it was renewed."""
    return tuple(sorted((entry.lease, entry.holder) for entry in _entries(cache, LeaseHolder)))


def _pods(cache: Cache) -> Iterator[PodSeen]:
    bound = {entry.claim for entry in _entries(cache, LocalVolume)}
    for entry in cache.tables.get(PODS, _EMPTY).values():
        if isinstance(entry, PodSeen):
            yield entry
        elif isinstance(entry, ClaimingPod):
            pod = entry.pod
            local = any(f"{pod.namespace}/{claim}" in bound for claim in entry.claims)
            yield replace(pod, local_volume=True) if local else pod


def _entries(cache: Cache, kind: type[Kept]) -> Iterator[Kept]:
    """Everything of one kind. A table but that of pods holds one kind only: its first entry tells which, so that
    150,000 pods are not looked through for a lease."""
    for table in cache.tables.values():
        if isinstance(next(iter(table.values()), None), kind):
            yield from (entry for entry in table.values() if isinstance(entry, kind))
