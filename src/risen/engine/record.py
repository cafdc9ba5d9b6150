"""Record: what this engine knows from the store, and every write to it.

Objects are create-only and written before their event, so a crash between the two loses nothing: the past takes
both. After a write whose answer was lost everything is read again before anything else is decided.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from risen.codec import records
from risen.core.blocked import Blocked
from risen.core.events import (
    BootstrapWritten,
    Born,
    ClusterIdSeen,
    DrainForced,
    EntryClosed,
    EntryOpened,
    Event,
    KillAsked,
    Launched,
    LaunchRefused,
    PoolScaled,
    ReleaseHalted,
    ReleasePassed,
    ReleaseRevoked,
    ReplaceAsked,
    RevisionCompleted,
    RevocationLifted,
    RolloutOrdered,
    TaskEnded,
)
from risen.core.history import (
    Intent,
    KillIntent,
    LiftIntent,
    ReplaceIntent,
    RolloutIntent,
    ScaleIntent,
    TaskResult,
)
from risen.core.names import InstanceName, ProviderId
from risen.core.spec import Revision
from risen.core.step import (
    Birth,
    Bootstrap,
    CloseEntry,
    CompleteRevision,
    ForceDrain,
    HaltRelease,
    OpenEntry,
    PassRelease,
    RevokeRelease,
)
from risen.engine.past import Past, load_past
from risen.interfaces.clock import Clock
from risen.interfaces.errors import Conflict, Corrupt, InterfaceError, NotFound, TooNew
from risen.interfaces.store import IfAbsent, Store

T = TypeVar("T")
PROVEN_SECONDS = 10.0
"""For so long after a write the store counts as one that takes writes."""


@dataclass(slots=True, kw_only=True)
class Records(Past):
    """History and the revision wanted, kept equal to the store by its only writer. Join appends to it too."""

    clock: Clock
    revision: Revision | None = None
    doubtful: bool = False
    """A write failed, perhaps behind one that it belongs to: read all again first."""
    shut: bool = False
    """The store refused a write, or could not be read. Whoever writes next does not end that: `prove_writable` does,
    for the clocks begin again with it."""
    open_since_unix: float = 0.0
    """Since when it was not shut, as far as is known here."""
    written_at: float = -math.inf
    """When the last write that it took was sent, in boot seconds."""
    unread: tuple[Blocked, ...] = ()
    """Intents that cannot be read."""

    @classmethod
    async def load(cls, store: Store, clock: Clock) -> Records:
        """Read everything. Raises NotFound for an empty store, Corrupt, TooNew, Unreachable."""
        past = await load_past(store)
        found = cls(store=store, history=past.history, seq=past.seq, births=past.births, clock=clock)
        found.open_since_unix = clock.unix()
        await found._read_revision()
        return found

    async def refresh(self) -> None:
        """Take in what others appended, people's intents, a newer revision; after a lost answer, everything."""
        if self.doubtful:
            await self._read_again()
        await self.follow()
        await self._take_intents()
        await self._read_revision()

    async def prove_writable(self) -> bool:
        """Write, unless that was done moments ago: what cannot be recorded is not begun. Whether the store was shut
        until now. Raises what the store raises."""
        was_shut, now = self.shut, self.clock.boot()
        if not was_shut and now - self.written_at <= PROVEN_SECONDS:
            return False
        try:
            await self.store.put(records.WRITABLE, records.encode(records.Writable(self.clock.unix())))
        except InterfaceError:
            self.shut = True
            raise
        self.shut, self.written_at = False, now
        if was_shut:
            self.open_since_unix = self.clock.unix()
        return was_shut

    async def _read_again(self) -> None:
        """Everything. Doubt is laid aside first: what arises while reading may not be in what is read."""
        self.doubtful = False
        try:
            await self.read_again()
        except BaseException:
            self.doubtful = True
            raise

    async def append(self, event: Event) -> None:
        """Add to the stream and to history, behind what others appended meanwhile."""
        await self._sure(lambda: self.store.append(records.EVENTS, records.encode(event)))
        await self.follow()

    async def write_bootstrap(self, bootstrap: Bootstrap) -> None:
        """Create the bootstrap object, or take the one of that generation that is there."""
        there = await self._create(records.bootstrap_key(bootstrap.generation), bootstrap)
        await self.append(BootstrapWritten(self.clock.unix(), there))

    async def write_birth(self, birth: Birth) -> None:
        """Create a birth record, or take the one of that name that is there."""
        there = await self._create(records.birth_key(birth.instance), birth)
        await self.append(Born(self.clock.unix(), there))

    async def write_cluster_id(self, cluster_id: str) -> None:
        """Record the etcd cluster's id, once."""
        there = await self._create(records.ETCD_CLUSTER_ID, records.EtcdClusterId(cluster_id))
        await self.append(ClusterIdSeen(self.clock.unix(), there.cluster_id))

    async def launched(self, instance: InstanceName, provider_id: ProviderId) -> None:
        """The provider answered a launch."""
        life = self.history.lives.get(instance)
        if life is None or life.provider_id != provider_id:
            await self.append(Launched(self.clock.unix(), instance, provider_id))

    async def launch_refused(self, instance: InstanceName, why: str) -> None:
        """The provider did not launch it. Said once for words that differ in their numbers only."""
        life = self.history.lives.get(instance)
        if life is not None and _without_numbers(life.refused) != _without_numbers(why):
            await self.append(LaunchRefused(self.clock.unix(), instance, why))

    async def open_entry(self, step: OpenEntry) -> None:
        """Open a ledger entry."""
        if step.entry not in self.history.entries:
            await self.append(
                EntryOpened(
                    self.clock.unix(), step.entry, step.subject, step.reason, step.evidence, step.served
                )
            )

    async def force_drain(self, step: ForceDrain) -> None:
        """Name the pods that are to be deleted past their budgets."""
        await self.append(DrainForced(self.clock.unix(), step.entry, step.subject, step.pods))

    async def close_entry(self, step: CloseEntry) -> None:
        """Close a ledger entry."""
        await self.append(EntryClosed(self.clock.unix(), step.entry, step.outcome))

    async def write_verdict(self, step: PassRelease | HaltRelease | RevokeRelease | CompleteRevision) -> None:
        """A verdict on a release, that there is none, or the end of a revision's rollout, into the ledger."""
        now = self.clock.unix()
        match step:
            case PassRelease(release=release, pool=pool, evidence=evidence):
                await self.append(ReleasePassed(now, release, pool, evidence))
            case HaltRelease(release=release, pool=pool, revision=revision, cause=cause, why=why):
                await self.append(ReleaseHalted(now, release, pool, revision, cause, why))
            case RevokeRelease(release=release, pool=pool, revision=revision, evidence=evidence):
                await self.append(ReleaseRevoked(now, release, pool, revision, evidence))
            case CompleteRevision(revision=revision, releases=releases, addons=addons, but=but):
                await self.append(RevisionCompleted(now, revision, releases, addons, but))

    async def task_ended(self, key: str, result: TaskResult) -> None:
        """A task outside the loop ended. One that says nothing again and again is written down once, as in
        `launch_refused`."""
        known, words = self.history.results.get(key), _without_numbers(result.text)
        if result.silent and known is not None and known.silent and _without_numbers(known.text) == words:
            return
        await self.append(TaskEnded(result.unix, key, result.ok, result.text, result.silent))

    async def _create(self, key: str, value: T) -> T:
        try:
            await self._sure(lambda: self.store.put(key, records.encode(value), IfAbsent()))
        except Conflict:
            there = await self.store.get(key)
            if there is None:
                raise
            return records.decode(there.data, type(value), key)
        return value

    async def _sure(self, write: Callable[[], Awaitable[object]]) -> None:
        sent_at = self.clock.boot()
        try:
            await write()
        except Conflict:
            raise
        except InterfaceError:
            self.doubtful = self.shut = True
            raise
        self.written_at = sent_at

    async def _take_intents(self) -> None:
        """Each intent becomes an event; then its object has done its work. One that cannot be read stays."""
        intents, self.unread = await read_intents(self.store)
        for key, intent in intents.items():
            await self.append(_asked(intent, self.clock.unix()))
            await self.store.delete(key)

    async def _read_revision(self) -> None:
        newest = await newest_revision_key(self.store)
        if newest is None or (
            self.revision is not None and records.revision_key(self.revision.number) == newest
        ):
            return
        self.revision = await read_revision(self.store, newest)


def _without_numbers(words: str) -> str:
    return re.sub(r"\d+", "#", words)


def _asked(intent: Intent, unix: float) -> Event:
    match intent:
        case KillIntent(id=key, instance=instance, reason=reason, accept_data_loss=accept):
            return KillAsked(unix, key, instance, reason, accept)
        case ReplaceIntent(id=key, instance=instance, by=by, reason=reason):
            return ReplaceAsked(unix, key, instance, by, reason)
        case RolloutIntent(id=key, revision=revision, order=order, by=by, reason=reason, causes=causes):
            return RolloutOrdered(unix, key, revision, order, by, reason, causes)
        case ScaleIntent(id=key, pool=pool, replicas=replicas, by=by, reason=reason):
            return PoolScaled(unix, key, pool, replicas, by, reason)
        case LiftIntent(id=key, release=release, by=by, reason=reason):
            return RevocationLifted(unix, key, release, by, reason)


async def read_intents(store: Store) -> tuple[dict[str, Intent], tuple[Blocked, ...]]:
    """What people asked for and is not taken in yet, by key; and what cannot be read, which holds up none of it."""
    found: dict[str, Intent] = {}
    unread: list[Blocked] = []
    for key in await store.list(records.INTENTS):
        try:
            there = await store.get(key)
            if there is not None:
                found[key] = records.decode_intent(there.data, key)
        except Corrupt as error:
            spoilt = "" if isinstance(error, TooNew) else "; ask for it anew and delete this object's file"
            unread.append(Blocked("store", key, f"not taken in and left where it is: {error}{spoilt}"))
    return found, tuple(unread)


async def newest_revision_key(store: Store) -> str | None:
    """Key of the newest revision; None before the first `apply`."""
    keys = await store.list(records.REVISIONS)
    return keys[-1] if keys else None


async def read_revision(store: Store, key: str) -> Revision:
    """A revision by key. Raises NotFound, Corrupt, TooNew."""
    there = await store.get(key)
    if there is None:
        raise NotFound(f"{key}: no such revision in the store")
    return records.decode(there.data, Revision, key)


async def read_newest(store: Store) -> Revision | None:
    """The revision in force; None before the first."""
    key = await newest_revision_key(store)
    return None if key is None else await read_revision(store, key)
