"""What the store remembers: births, the bootstrap, the ledger and people's intents, as one value.

The store keeps intent and history, never a copy of what provider, Kubernetes and etcd hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from risen.core.names import ClusterUid, InstanceName, ProviderId
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


@dataclass(frozen=True, slots=True)
class KillIntent:
    """A person asked that this instance be ended now and replaced."""

    id: str
    instance: InstanceName
    reason: str
    accept_data_loss: bool = False


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


@dataclass(frozen=True, slots=True)
class History:
    """`lives` holds every instance born and not yet buried; `buried` counts those forgotten per pool."""

    cluster: ClusterUid
    lives: Mapping[InstanceName, Life] = field(default_factory=dict)
    bootstraps: tuple[Bootstrap, ...] = ()
    etcd_cluster_id: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    kills: tuple[KillIntent, ...] = ()

    @property
    def open_entries(self) -> tuple[Entry, ...]:
        """Entries not closed yet, by id."""
        return tuple(
            self.entries[key] for key in sorted(self.entries) if self.entries[key].closed_unix is None
        )
