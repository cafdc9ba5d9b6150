"""The story of each revision: who applied it and why, what became of it, how long that took. Reads, decides nothing."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

import click

from risen.cli.output import table, tell_data, tell_next
from risen.cli.words import moment, span
from risen.codec import records
from risen.core import events as happened
from risen.core.events import Event
from risen.core.judge.back import ABORT, PAUSE
from risen.core.names import InstanceName, ReleaseId
from risen.core.reasons import ROLLING
from risen.core.spec import Revision
from risen.engine.record import read_revision
from risen.interfaces.store import Store

PAGE_RECORDS = 2000


class Outcome(StrEnum):
    """What became of a revision."""

    WHOLE = "whole"
    REVOKED = "revoked"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"
    PAUSED = "paused"
    GOING_ON = "going on"


@dataclass(slots=True)
class Story:
    """What became of a revision. Moments are unix seconds; None for what did not happen."""

    revision: Revision
    completed_unix: float | None = None
    orders: list[happened.RolloutOrdered] = field(default_factory=list)
    passed: list[happened.ReleasePassed] = field(default_factory=list)
    halted: list[happened.ReleaseHalted] = field(default_factory=list)
    revoked: list[happened.ReleaseRevoked] = field(default_factory=list)
    replaced: list[happened.EntryOpened] = field(default_factory=list)
    """Ledger entries of the kinds that put another in an instance's place by plan."""
    closed: dict[str, happened.EntryClosed] = field(default_factory=dict)
    until_unix: float | None = None
    """When the next revision was applied."""

    @property
    def outcome(self) -> Outcome:
        """What became of it so far."""
        if self.completed_unix is not None:
            return Outcome.WHOLE
        if self.revoked:
            return Outcome.REVOKED
        order = self.orders[-1].order if self.orders else ""
        if order == ABORT:
            return Outcome.ABORTED
        if self.until_unix is not None:
            return Outcome.SUPERSEDED
        return Outcome.PAUSED if order == PAUSE else Outcome.GOING_ON

    @property
    def seconds(self) -> float | None:
        """From when it was applied until every instance was on it."""
        if self.completed_unix is None or not self.revision.applied_unix:
            return None
        return max(0.0, self.completed_unix - self.revision.applied_unix)

    @property
    def verdicts(self) -> tuple[str, ...]:
        """What was concluded of its releases, and the orders on it, in their order."""
        told: list[tuple[float, str]] = [
            (one.unix, f"{one.release} passed: {'; '.join(one.evidence)}") for one in self.passed
        ]
        told += [(one.unix, f"{one.release} halted: {one.why}") for one in self.halted]
        told += [(one.unix, f"{one.release} REVOKED: {'; '.join(one.evidence)}") for one in self.revoked]
        told += [
            (one.unix, f"{one.order} by {one.by or 'somebody'}{f': {one.reason}' if one.reason else ''}")
            for one in self.orders
        ]
        return tuple(text for _, text in sorted(told))


async def read_stories(store: Store) -> tuple[Story, ...]:
    """The stories of all revisions, by number."""
    revisions = [await read_revision(store, key) for key in await store.list(records.REVISIONS)]
    return tell_of(revisions, [event async for event in events_of(store, _is_told)])


async def events_of(store: Store, wanted: Callable[[Event], bool]) -> AsyncIterator[Event]:
    """Events that are wanted, in their order; the stream is never held whole."""
    after, more = 0, True
    while more:
        page = await store.read(records.EVENTS, after, PAGE_RECORDS)
        for seq, data in page:
            event = records.decode_event(data, seq)
            if wanted(event):
                yield event
            after = seq
        more = len(page) == PAGE_RECORDS


def _is_told(event: Event) -> bool:
    match event:
        case happened.EntryOpened(reason=reason):
            return reason in ROLLING
        case (
            happened.EntryClosed()
            | happened.ReleasePassed()
            | happened.ReleaseHalted()
            | happened.ReleaseRevoked()
            | happened.RevisionCompleted()
            | happened.RolloutOrdered()
        ):
            return True
        case _:
            return False


def tell_of(revisions: Iterable[Revision], events: Iterable[Event]) -> tuple[Story, ...]:
    """Events told to the revision that they belong to: by number where they name one, else the newest by then."""
    stories = [Story(revision) for revision in sorted(revisions, key=lambda one: one.number)]
    for story, later in itertools.pairwise(stories):
        story.until_unix = later.revision.applied_unix
    numbered = {story.revision.number: story for story in stories}
    for event in events:
        match event:
            case happened.RevisionCompleted(unix=unix, revision=number) if number in numbered:
                numbered[number].completed_unix = numbered[number].completed_unix or unix
            case happened.RolloutOrdered(revision=number) if number in numbered:
                numbered[number].orders.append(event)
            case happened.ReleaseHalted(revision=number) if number in numbered:
                numbered[number].halted.append(event)
            case happened.ReleaseRevoked(revision=number) if number in numbered:
                numbered[number].revoked.append(event)
            case happened.ReleasePassed(unix=unix) if (newest := _newest_by(stories, unix)) is not None:
                newest.passed.append(event)
            case happened.EntryOpened(unix=unix) if (newest := _newest_by(stories, unix)) is not None:
                newest.replaced.append(event)
            case happened.EntryClosed(entry=entry):
                _close(stories, event, entry)
            case _:
                pass
    return tuple(stories)


def _newest_by(stories: list[Story], unix: float) -> Story | None:
    return next((story for story in reversed(stories) if story.revision.applied_unix <= unix), None)


def _close(stories: list[Story], event: happened.EntryClosed, entry: str) -> None:
    for story in reversed(stories):
        if any(opened.entry == entry for opened in story.replaced):
            story.closed[entry] = event
            return


def undone_to(stories: Iterable[Story], newest: Revision) -> int:
    """The last revision before the newest that stood with other releases. Raises ClickException if none did."""
    for story in sorted(stories, key=lambda one: -one.revision.number):
        earlier = story.revision.number < newest.number and story.completed_unix is not None
        if earlier and story.revision.releases != newest.releases:
            return story.revision.number
    raise click.ClickException(
        "no earlier revision stood whole with other releases; `risen rollout history` lists all, --to names one"
    )


# --- for people and programs --------------------------------------------------------------------------------
def tell_stories(stories: tuple[Story, ...], output: str) -> None:
    """The newest last."""
    match output:
        case "json" | "yaml":
            tell_data([plain_story(story) for story in stories], output)
        case _:
            rows = [_row(story, before) for story, before in zip(stories, (None, *stories), strict=False)]
            click.echo(table(rows) if rows else "no revision yet")
            if output == "wide":
                for story in stories:
                    for line in story.verdicts:
                        click.echo(f"{story.revision.number:<3} {line}")
            tell_next("risen rollout history --svg FILE   or: risen rollout undo --to N")


def _row(story: Story, before: Story | None) -> dict[str, object]:
    revision = story.revision
    return {
        "revision": revision.number,
        "applied": moment(revision.applied_unix) if revision.applied_unix else "",
        "by": revision.by,
        "releases": " ".join(_changed(revision, before.revision if before else None)) or "as before",
        "replaced": len(story.replaced),
        "outcome": story.outcome,
        "took": "" if story.seconds is None else span(story.seconds),
        "why": revision.reason,
    }


def _changed(revision: Revision, before: Revision | None) -> tuple[ReleaseId, ...]:
    old = {one.release for one in before.releases} if before is not None else set()
    return tuple(dict.fromkeys(one.release for one in revision.releases if one.release not in old))


def plain_story(story: Story) -> dict[str, object]:
    """As data."""
    revision = story.revision
    return {
        "revision": revision.number,
        "applied_unix": revision.applied_unix or None,
        "by": revision.by,
        "reason": revision.reason,
        "releases": {one.pool: one.release for one in revision.releases},
        "outcome": story.outcome,
        "completed_unix": story.completed_unix,
        "seconds": story.seconds,
        "verdicts": list(story.verdicts),
        "replaced": [_plain_entry(story, entry) for entry in story.replaced],
    }


def _plain_entry(story: Story, entry: happened.EntryOpened) -> dict[str, object]:
    closed = story.closed.get(entry.entry)
    return {
        "instance": InstanceName(entry.subject),
        "reason": entry.reason,
        "evidence": list(entry.evidence),
        "opened_unix": entry.unix,
        "closed_unix": closed.unix if closed is not None else None,
        "outcome": closed.outcome if closed is not None else "",
        "ledger": entry.entry,
    }
