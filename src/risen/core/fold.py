"""`History` from events: `apply` adds one, `fold` adds all and what objects say besides.

Invariant: applying an event a second time changes nothing, so a stream that repeats itself after a crash
folds to the same history. The history is bounded: of gone lives and closed entries only the newest are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar, assert_never

from risen.core.events import (
    SECOND_KEY,
    AccessGiven,
    Alarm,
    BecameReady,
    BootstrapWritten,
    Born,
    ClusterIdSeen,
    DrainForced,
    EntryClosed,
    EntryOpened,
    Event,
    Joined,
    KillAsked,
    KillDone,
    Launched,
    LaunchRefused,
    PoolScaled,
    ReleaseHalted,
    ReleasePassed,
    ReleaseRevoked,
    ReplaceAsked,
    ReplaceDone,
    RevisionCompleted,
    RevocationLifted,
    RolloutOrdered,
    SeenGone,
    TaskEnded,
)
from risen.core.history import (
    Entry,
    History,
    KillIntent,
    Life,
    ReplaceIntent,
    Revoked,
    RolloutIntent,
    TaskResult,
)
from risen.core.names import ClusterUid, InstanceName
from risen.core.reasons import LET_LIVE
from risen.core.step import Birth, Bootstrap

KEEP_GONE_LIVES = 500
KEEP_CLOSED_ENTRIES = 500
KEEP_RESULTS = 200
KEEP_ORDERS = 50
K = TypeVar("K")
V = TypeVar("V")


def fold(
    cluster: ClusterUid,
    events: Iterable[Event],
    births: Iterable[Birth] = (),
    bootstraps: Iterable[Bootstrap] = (),
    etcd_cluster_id: str = "",
) -> History:
    """The history of a cluster. The objects stand in for events that a crash kept from being written."""
    stream = tuple(events)
    born = {event.birth.instance for event in stream if isinstance(event, Born)}
    history = begin(cluster, (birth for birth in births if birth.instance not in born))
    for event in stream:
        history = apply(history, event)
    return complete(history, bootstraps, etcd_cluster_id)


def begin(cluster: ClusterUid, untold: Iterable[Birth] = ()) -> History:
    """The history before the first event. `untold`: births whose event is not in the stream.

    They come before all events: such an instance may have been launched and have joined under a controller
    that knew it from its object.
    """
    history = History(cluster=cluster)
    for birth in sorted(untold, key=lambda one: (one.born_unix, one.instance)):
        history = _with_birth(history, birth)
    return history


def complete(history: History, bootstraps: Iterable[Bootstrap] = (), etcd_cluster_id: str = "") -> History:
    """The history after the last event, with what objects say besides."""
    for bootstrap in sorted(bootstraps, key=lambda one: one.generation):
        history = _with_bootstrap(history, bootstrap)
    return replace(history, etcd_cluster_id=etcd_cluster_id) if etcd_cluster_id else history


def apply(history: History, event: Event) -> History:
    """History with one event more. An event about an instance that is not known (any more) changes nothing."""
    match event:
        case BootstrapWritten(bootstrap=bootstrap):
            return _with_bootstrap(history, bootstrap)
        case Born(birth=birth):
            return _with_birth(history, birth)
        case LaunchRefused() | Launched() | Joined() | BecameReady() | SeenGone():
            return _with_life_event(history, event)
        case EntryOpened() | DrainForced() | EntryClosed():
            return _with_entry_event(history, event)
        case KillAsked(intent=intent, instance=instance, reason=reason, accept_data_loss=accept):
            return _with_kill(history, KillIntent(intent, instance, reason, accept))
        case KillDone(intent=intent):
            return replace(history, kills=tuple(kill for kill in history.kills if kill.id != intent))
        case ClusterIdSeen(cluster_id=cluster_id):
            return replace(history, etcd_cluster_id=history.etcd_cluster_id or cluster_id)
        case AccessGiven():
            return history
        case Alarm(kind=kind, subject=subject, text=text):
            return _with_alarm(history, kind, InstanceName(subject), text)
        case ReplaceAsked() | ReplaceDone() | RolloutOrdered() | PoolScaled():
            return _with_wish(history, event)
        case ReleaseHalted(revision=revision, release=release, cause=cause):
            halts = _added(history.halts, revision, (release, cause))
            return replace(history, halts=halts)
        case ReleasePassed() | ReleaseRevoked() | RevocationLifted() | RevisionCompleted() | TaskEnded():
            return _with_release_event(history, event)
        case _:
            assert_never(event)


def _with_wish(history: History, event: ReplaceAsked | ReplaceDone | RolloutOrdered | PoolScaled) -> History:
    match event:
        case ReplaceAsked(intent=intent, instance=instance, by=by, reason=reason):
            if any(known.id == intent for known in history.replaces):
                return history
            return replace(history, replaces=(*history.replaces, ReplaceIntent(intent, instance, by, reason)))
        case ReplaceDone(intent=intent):
            return replace(history, replaces=tuple(one for one in history.replaces if one.id != intent))
        case RolloutOrdered(
            intent=intent, revision=revision, order=order, by=by, reason=reason, causes=causes
        ):
            ordered = RolloutIntent(intent, revision, order, by, reason, causes)
            return replace(
                history,
                orders=_newest({**history.orders, revision: ordered}),
                gone_past=_added(history.gone_past, revision, *causes),
            )
        case PoolScaled(pool=pool, replicas=replicas):
            return replace(history, scaled={**history.scaled, pool: replicas})


def _with_release_event(
    history: History,
    event: ReleasePassed | ReleaseRevoked | RevocationLifted | RevisionCompleted | TaskEnded,
) -> History:
    match event:
        case ReleasePassed(release=release, evidence=evidence):
            return replace(history, passed={**history.passed, release: evidence})
        case ReleaseRevoked(release=release, pool=pool, revision=revision, evidence=evidence, unix=unix):
            revoked = Revoked(release, pool, revision, evidence, unix)
            return replace(
                history,
                revoked={**history.revoked, release: revoked},
                passed=_without(history.passed, {release}),
            )
        case RevocationLifted(release=release):
            return replace(history, revoked=_without(history.revoked, {release}))
        case RevisionCompleted(revision=revision, releases=releases, addons=addons, but=but):
            if revision < history.completed:
                return history
            passed = {release.release: ("completed",) for release in releases} | dict(history.passed)
            passed = _without(passed, set(history.revoked))
            return replace(
                history,
                completed=revision,
                completed_but=but,
                settled=releases,
                settled_addons=addons,
                passed=passed,
            )
        case TaskEnded(key=key, ok=ok, text=text, unix=unix, silent=silent):
            results = {**_without(history.results, {key}), key: TaskResult(ok, text, unix, silent)}
            keep = list(results)[-KEEP_RESULTS:]
            return replace(history, results={kept: results[kept] for kept in keep})


def _with_bootstrap(history: History, bootstrap: Bootstrap) -> History:
    if bootstrap in history.bootstraps:
        return history
    bootstraps = (*history.bootstraps, bootstrap)
    return replace(history, bootstraps=tuple(sorted(bootstraps, key=lambda one: one.generation)))


def _with_birth(history: History, birth: Birth) -> History:
    if birth.instance in history.lives:
        return history
    return replace(history, lives={**history.lives, birth.instance: Life(birth)})


def _with_life_event(
    history: History, event: LaunchRefused | Launched | Joined | BecameReady | SeenGone
) -> History:
    life = history.lives.get(event.instance)
    if life is None:
        return history
    match event:
        case LaunchRefused(unix=unix, why=why):
            since = life.refused_since_unix if life.refused else unix
            life = replace(life, refused=why, refused_since_unix=since)
        case Launched(provider_id=provider_id, unix=unix):
            life = replace(
                life,
                provider_id=provider_id,
                refused="",
                refused_since_unix=0.0,
                launched_at_unix=unix if life.launched_at_unix is None else life.launched_at_unix,
            )
        case Joined(unix=unix) if life.joined_at_unix is None:
            life = replace(life, joined_at_unix=unix)
        case BecameReady(unix=unix) if life.ready_at_unix is None:
            life = replace(life, ready_at_unix=unix)
        case SeenGone(unix=unix) if life.gone_at_unix is None:
            life = replace(life, gone_at_unix=unix)
    history = replace(history, lives={**history.lives, event.instance: life})
    return _bounded_lives(history) if isinstance(event, SeenGone) else history


def _with_entry_event(history: History, event: EntryOpened | DrainForced | EntryClosed) -> History:
    entry = history.entries.get(event.entry)
    match event:
        case EntryOpened(entry=key, subject=subject, reason=reason, evidence=evidence, unix=unix) as opened:
            if entry is not None:
                return history
            entry = Entry(key, subject, reason, evidence, unix, served=opened.served)
        case DrainForced(pods=pods):
            if entry is None:
                return history
            entry = replace(entry, forced=tuple(dict.fromkeys((*entry.forced, *pods))))
        case EntryClosed(outcome=outcome, unix=unix):
            if entry is None or entry.closed_unix is not None:
                return history
            entry = replace(entry, closed_unix=unix, outcome=outcome)
    history = replace(history, entries={**history.entries, event.entry: entry})
    return _bounded_entries(history) if isinstance(event, EntryClosed) else history


def _with_kill(history: History, kill: KillIntent) -> History:
    if any(known.id == kill.id for known in history.kills):
        return history
    return replace(history, kills=(*history.kills, kill))


def _with_alarm(history: History, kind: str, subject: InstanceName, text: str) -> History:
    life = history.lives.get(subject)
    if kind != SECOND_KEY or life is None or life.condemned:
        return history
    return replace(history, lives={**history.lives, subject: replace(life, condemned=text)})


def _bounded_lives(history: History) -> History:
    gone = [
        (life.gone_at_unix, name) for name, life in history.lives.items() if life.gone_at_unix is not None
    ]
    if len(gone) <= KEEP_GONE_LIVES:
        return history
    held = {entry.subject for entry in history.entries.values() if entry.closed_unix is None}
    forget = {name for _, name in sorted(gone)[:-KEEP_GONE_LIVES] if name not in held}
    return replace(history, lives=_without(history.lives, forget))


def _bounded_entries(history: History) -> History:
    closed = [
        (entry.closed_unix, key) for key, entry in history.entries.items() if entry.closed_unix is not None
    ]
    if len(closed) <= KEEP_CLOSED_ENTRIES:
        return history
    forget = {key for _, key in sorted(closed)[:-KEEP_CLOSED_ENTRIES] if not _buries(history, key)}
    return replace(history, entries=_without(history.entries, forget))


def _buries(history: History, key: str) -> bool:
    """Whether an entry is what tells that a life on record is over: without it that one would die once more."""
    entry = history.entries[key]
    life = history.lives.get(entry.subject)
    return life is not None and life.gone_at_unix is not None and entry.outcome not in LET_LIVE


def _added(mapping: Mapping[int, tuple[V, ...]], revision: int, *values: V) -> Mapping[int, tuple[V, ...]]:
    """Values of a revision with these more, each once."""
    if not values:
        return mapping
    return _newest({**mapping, revision: tuple(dict.fromkeys((*mapping.get(revision, ()), *values)))})


def _newest(mapping: Mapping[int, V]) -> dict[int, V]:
    """What belongs to the newest revisions."""
    return {key: mapping[key] for key in sorted(mapping)[-KEEP_ORDERS:]}


def _without(mapping: Mapping[K, V], forget: set[K]) -> dict[K, V]:
    kept = dict(mapping)
    for key in forget:
        kept.pop(key, None)
    return kept
