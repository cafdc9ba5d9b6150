"""What the store remembers: births, the bootstrap, the ledger and people's intents, as one value.

The store keeps intent and history, never a copy of what provider, Kubernetes and etcd hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from risen.core.names import ClusterUid, InstanceName, PoolName, ProviderId, ReleaseId
from risen.core.spec import PoolRelease
from risen.core.step import Birth, Bootstrap


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger entry: one disruption. `closed_unix` is None while it is open."""

    id: str
    subject: InstanceName
    reason: str
    evidence: tuple[str, ...]
    opened_unix: float
    closed_unix: float | None = None
    outcome: str = ""
    forced: tuple[str, ...] = ()
    """Pods (`NAMESPACE/NAME`) that may be deleted past their budgets."""
    served: tuple[str, ...] = ()
    """`NAMESPACE/KIND/NAME` of the owners whose pods were Ready on its subject, where the first instance of a release
    takes these over: the only memory of how they did on the release before."""


@dataclass(frozen=True, slots=True)
class KillIntent:
    """A person asked that this instance be ended now and replaced."""

    id: str
    instance: InstanceName
    reason: str
    accept_data_loss: bool = False


@dataclass(frozen=True, slots=True)
class ReplaceIntent:
    """A person asked for another instance in the place of this one: surge, drain, end."""

    id: str
    instance: InstanceName
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RolloutIntent:
    """A person's word on the rollout of a revision: `pause`, `resume` or `abort`. `causes`: what it is halted for and
    is to go on past."""

    id: str
    revision: int
    order: str
    by: str = ""
    reason: str = ""
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScaleIntent:
    """How many instances of a pool are wanted, between its least and its most."""

    id: str
    pool: PoolName
    replicas: int
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LiftIntent:
    """A person takes a revoked release upon themselves."""

    id: str
    release: ReleaseId
    by: str = ""
    reason: str = ""


Intent: TypeAlias = KillIntent | ReplaceIntent | RolloutIntent | ScaleIntent | LiftIntent
"""What people write into the store; only the leader acts on it."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """Why a release is launched by nothing any more, and the revision that brought it."""

    release: ReleaseId
    pool: PoolName
    revision: int
    evidence: tuple[str, ...]
    unix: float


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How a task outside the loop ended. `silent`: neither well nor badly, so that it is done again."""

    ok: bool
    text: str
    unix: float
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Life:
    """What the ledger of events says of one born instance."""

    birth: Birth
    provider_id: ProviderId | None = None
    launched_at_unix: float | None = None
    joined_at_unix: float | None = None
    """When join answered it first."""
    ready_at_unix: float | None = None
    gone_at_unix: float | None = None
    """When it was seen gone; its name and address are never used again."""
    condemned: str = ""
    """Why join refused it for good (a second key used its ticket); empty while it is trusted."""
    refused: str = ""
    """Why the provider does not launch it, in its last words; empty where it did or was not asked yet."""
    refused_since_unix: float = 0.0


@dataclass(frozen=True, slots=True)
class History:
    """`lives` holds every instance born and not yet buried; `buried` counts those forgotten per pool."""

    cluster: ClusterUid
    lives: Mapping[InstanceName, Life] = field(default_factory=dict)
    bootstraps: tuple[Bootstrap, ...] = ()
    etcd_cluster_id: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    kills: tuple[KillIntent, ...] = ()
    replaces: tuple[ReplaceIntent, ...] = ()
    scaled: Mapping[PoolName, int] = field(default_factory=dict)
    orders: Mapping[int, RolloutIntent] = field(default_factory=dict)
    """The last order on each revision's rollout."""
    halts: Mapping[int, tuple[tuple[ReleaseId, str], ...]] = field(default_factory=dict)
    """What each revision's rollout was ever halted for: release and cause."""
    gone_past: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Causes that a person said each revision's rollout goes on past."""
    passed: Mapping[ReleaseId, tuple[str, ...]] = field(default_factory=dict)
    """Releases that may be launched as often as wanted, with the evidence."""
    revoked: Mapping[ReleaseId, Revoked] = field(default_factory=dict)
    completed: int = 0
    """The last revision that every instance was on that could be; 0 before the first stood."""
    completed_but: tuple[str, ...] = ()
    """`NAME: why` of those that stayed on another then, because their pods could not be moved."""
    settled: tuple[PoolRelease, ...] = ()
    """Its releases: what is gone back to, and what repair launches while a newer one has not passed."""
    settled_addons: tuple[tuple[str, str], ...] = ()
    """Its add-ons; none where an older Risen wrote it down."""
    results: Mapping[str, TaskResult] = field(default_factory=dict)
    """Ends of tasks by key; only the newest are kept."""

    def settled_release(self, pool: PoolName) -> PoolRelease | None:
        """A pool's release of the last completed revision."""
        return next((release for release in self.settled if release.pool == pool), None)

    @property
    def open_entries(self) -> tuple[Entry, ...]:
        """Entries not closed yet, by id."""
        return tuple(
            self.entries[key] for key in sorted(self.entries) if self.entries[key].closed_unix is None
        )
