"""Events as lines for people and as data: the one rendering of the stream."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from risen.cli.words import on_it
from risen.codec import records
from risen.core import events as happened
from risen.core.events import Event
from risen.core.spec import Revision
from risen.interfaces.store import Store


@dataclass(slots=True)
class EventStream:
    """The events after a sequence number."""

    store: Store
    after: int = 0

    @staticmethod
    async def newest(store: Store) -> int:
        """Sequence number of the newest event; 0 for none."""
        found = await store.read(records.EVENTS)
        return found[-1][0] if found else 0

    async def new(self) -> list[Event]:
        """What was added since the last call."""
        found = []
        for seq, data in await self.store.read(records.EVENTS, self.after):
            found.append(records.decode_event(data, seq))
            self.after = seq
        return found


def plain(event: Event) -> dict[str, object]:
    """An event as data: its `kind`, its `time` (RFC 3339), and its own fields."""
    time = datetime.fromtimestamp(event.unix, UTC).isoformat(timespec="milliseconds")
    return {"kind": type(event).__name__, "time": time, **asdict(event)}


def plain_applied(revision: Revision) -> dict[str, object]:
    """The same of a revision, which is an object of the store and no event."""
    time = datetime.fromtimestamp(revision.applied_unix, UTC).isoformat(timespec="milliseconds")
    releases = {one.pool: one.release for one in revision.releases}
    return {
        "kind": "RevisionApplied", "time": time, "unix": revision.applied_unix, "revision": revision.number,
        "by": revision.by, "reason": revision.reason, "releases": releases,
    }  # fmt: skip


def line_of(event: Event) -> str:
    """One line, beginning with the time of day and a word."""
    return _line(event.unix, *_words(event))


def applied_line(revision: Revision) -> str:
    """The same of a revision."""
    releases = ", ".join(f"{one.pool} {one.release}" for one in revision.releases)
    who = _asked(revision.by, revision.reason)
    return _line(revision.applied_unix, "apply", f"revision {revision.number}{who} ({releases})")


def _line(unix: float, word: str, text: str) -> str:
    clock = datetime.fromtimestamp(unix).strftime("%H:%M:%S")
    return f"{clock} {word:<8}{text}"


def _words(event: Event) -> tuple[str, str]:
    match event:
        case happened.BootstrapWritten(bootstrap=bootstrap):
            return "found", f"etcd is founded on {bootstrap.founder}"
        case happened.ClusterIdSeen(cluster_id=cluster_id):
            return "etcd", f"cluster id {cluster_id}: nothing is ever founded again"
        case happened.Born(birth=birth):
            return "born", f"{birth.instance} ({birth.reason}) release {birth.release}"
        case happened.LaunchRefused(instance=instance, why=why):
            return "refused", f"{instance} is not launched: {why}"
        case happened.Launched(instance=instance):
            return "launch", instance
        case happened.Joined(instance=instance):
            return "join", instance
        case happened.BecameReady(instance=instance):
            return "rise", f"{instance} is Ready"
        case happened.SeenGone(instance=instance):
            return "gone", instance
        case happened.EntryOpened(entry=entry, subject=subject, reason=reason, evidence=evidence):
            return reason, f"{subject}: {'; '.join(evidence)} (ledger {entry})"
        case happened.DrainForced(entry=entry, subject=subject, pods=pods):
            return "FORCED", f"{subject}: deleted past their budgets: {', '.join(pods)} (ledger {entry})"
        case happened.EntryClosed(entry=entry, outcome=outcome):
            return "closed", f"ledger {entry}: {outcome}"
        case happened.Alarm(kind=kind, subject=subject, text=text):
            return "ALARM", f"{subject}: {kind}: {text}"
        case happened.TaskEnded(key=key, ok=ok, text=text, silent=silent):
            return "task", f"{key} {'done' if ok else 'says nothing' if silent else 'FAILED'}: {text}"
        case (
            happened.ReleasePassed()
            | happened.ReleaseHalted()
            | happened.ReleaseRevoked()
            | happened.RevocationLifted()
            | happened.RevisionCompleted()
        ):
            return _of_release(event)
        case _:
            return _of_people(event)


def _of_release(
    event: happened.ReleasePassed
    | happened.ReleaseHalted
    | happened.ReleaseRevoked
    | happened.RevocationLifted
    | happened.RevisionCompleted,
) -> tuple[str, str]:
    match event:
        case happened.ReleasePassed(release=release, pool=pool, evidence=evidence):
            return "passed", f"{release} of {pool}: {'; '.join(evidence)}"
        case happened.ReleaseHalted(release=release, pool=pool, revision=revision, why=why):
            return "halted", f"{release} of {pool}, revision {revision}: {why}"
        case happened.ReleaseRevoked(release=release, pool=pool, revision=revision, evidence=evidence):
            return "REVOKED", f"{release} of {pool}, revision {revision} goes back: {'; '.join(evidence)}"
        case happened.RevocationLifted(release=release, by=by, reason=reason):
            return "lifted", f"{release} may be launched again{_asked(by, reason)}"
        case happened.RevisionCompleted(revision=revision, but=but):
            return "whole", f"revision {revision}: {on_it(but)}"


def _of_people(
    event: happened.KillAsked
    | happened.KillDone
    | happened.ReplaceAsked
    | happened.ReplaceDone
    | happened.RolloutOrdered
    | happened.PoolScaled
    | happened.AccessGiven,
) -> tuple[str, str]:
    match event:
        case happened.KillAsked(instance=instance, reason=reason):
            return "asked", f"end {instance} now: {reason}"
        case happened.KillDone(intent=intent):
            return "done", f"kill {intent}"
        case happened.ReplaceAsked(instance=instance, by=by, reason=reason):
            return "asked", f"replace {instance}{_asked(by, reason)}"
        case happened.ReplaceDone(intent=intent):
            return "done", f"replace {intent}"
        case happened.RolloutOrdered(revision=revision, order=order, by=by, reason=reason, causes=causes):
            past = f" past what it is halted for ({'; '.join(causes)})" if causes else ""
            return order, f"rollout of revision {revision}{past}{_asked(by, reason)}"
        case happened.PoolScaled(pool=pool, replicas=replicas, by=by, reason=reason):
            return "scale", f"{pool} to {replicas}{_asked(by, reason)}"
        case happened.AccessGiven(by=by, group=group, hours=hours):
            return "access", f"a kubeconfig of {group}, good for {hours:g} h{_asked(by, '')}"


def _asked(by: str, reason: str) -> str:
    """`, by jane: slow disk`."""
    return f", by {by or 'somebody'}{f': {reason}' if reason else ''}"
