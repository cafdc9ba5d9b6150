"""What the store remembers: births, the bootstrap, the ledger and people's intents, as one value.

The store keeps intent and history, never a copy of what provider, Kubernetes and etcd hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from risen.core.events import (
    Alarm,
    BecameReady,
    Born,
    ClusterIdSeen,
    EntryClosed,
    EntryOpened,
    Event,
    Founded,
    Joined,
    KillAsked,
    Launched,
    SeenGone,
)
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


def apply(history: History, event: Event) -> History:
    """History after `event`. Applying an event twice, or one about an instance never born, changes nothing."""
    match event:
        case Founded(bootstrap=bootstrap):
            if bootstrap in history.bootstraps:
                return history
            return replace(history, bootstraps=(*history.bootstraps, bootstrap))
        case ClusterIdSeen(cluster_id=cluster_id):
            return history if history.etcd_cluster_id else replace(history, etcd_cluster_id=cluster_id)
        case Born(birth=birth):
            if birth.instance in history.lives:
                return history
            return _with_life(history, Life(birth))
        case Launched() | Joined() | BecameReady() | SeenGone():
            return _apply_to_life(history, event)
        case EntryOpened():
            if event.entry in history.entries:
                return history
            entry = Entry(event.entry, event.subject, event.reason, event.evidence, event.unix)
            return replace(history, entries={**history.entries, entry.id: entry})
        case EntryClosed():
            entry_or_none = history.entries.get(event.entry)
            if entry_or_none is None or entry_or_none.closed_unix is not None:
                return history
            closed = replace(entry_or_none, closed_unix=event.unix, outcome=event.outcome)
            return replace(history, entries={**history.entries, closed.id: closed})
        case KillAsked():
            intent = KillIntent(event.intent, event.instance, event.reason, event.accept_data_loss)
            return history if intent in history.kills else replace(history, kills=(*history.kills, intent))
        case Alarm():
            return history


def _apply_to_life(history: History, event: Launched | Joined | BecameReady | SeenGone) -> History:
    life = history.lives.get(event.instance)
    if life is None:
        return history
    match event:
        case Launched(provider_id=provider_id) if life.provider_id is None:
            return _with_life(history, replace(life, provider_id=provider_id, launched_at_unix=event.unix))
        case Joined() if life.joined_at_unix is None:
            return _with_life(history, replace(life, joined_at_unix=event.unix))
        case BecameReady() if life.ready_at_unix is None:
            return _with_life(history, replace(life, ready_at_unix=event.unix))
        case SeenGone() if life.gone_at_unix is None:
            gone = _with_life(history, replace(life, gone_at_unix=event.unix))
            return replace(gone, kills=tuple(kill for kill in gone.kills if kill.instance != event.instance))
        case _:
            return history


def _with_life(history: History, life: Life) -> History:
    return replace(history, lives={**history.lives, life.birth.instance: life})


def fold(cluster: ClusterUid, events: Iterable[Event]) -> History:
    """History from the whole stream."""
    history = History(cluster)
    for event in events:
        history = apply(history, event)
    return history
