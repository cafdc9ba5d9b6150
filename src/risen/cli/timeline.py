"""The picture of a rollout, from its events alone: one row an instance, and what was concluded when.

`picture_of` says what is to be seen; `svg.py` draws it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import click

from risen.bootstrap import CLOCK, Cluster
from risen.cli.context import run
from risen.cli.stories import Outcome, Story, events_of, read_stories
from risen.cli.words import span
from risen.core import events as happened
from risen.core.events import Event
from risen.core.names import InstanceName, PoolName, ReleaseId, Role
from risen.core.reasons import PLANNED
from risen.core.step import Birth

MOST_ROWS = 60
_OUTCOMES: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.WHOLE: "whole after {}",
        Outcome.REVOKED: "revoked and gone back from in {}",
        Outcome.ABORTED: "aborted and gone back from in {}",
        Outcome.PAUSED: "paused, {} so far",
        Outcome.SUPERSEDED: "superseded after {}",
        Outcome.GOING_ON: "going on for {}",
    }
)


class Phase(StrEnum):
    """What an instance is about; each has a colour."""

    LAUNCH = "launch"
    BOOT = "boot"
    JOIN = "join"
    SERVES = "serves"
    SERVES_OTHER = "serves, another release"
    DRAIN = "drain and power off"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Bar:
    """A phase from one moment to another, unix seconds."""

    phase: Phase
    start: float
    end: float
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """One instance. `off` is when it was seen gone."""

    instance: InstanceName
    release: ReleaseId
    bars: tuple[Bar, ...]
    off: float | None
    entry: tuple[float, str] | None
    """When its ledger entry was opened in this rollout, and why."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What was concluded or ordered: `kind` is `good`, `bad` or `order`."""

    unix: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn. `hidden` instances only served."""

    title: str
    subtitle: str
    start: float
    end: float
    rows: tuple[Row, ...]
    marks: tuple[Mark, ...]
    hidden: int = 0


@dataclass(slots=True)
class Moments:
    """When what happened to one instance."""

    birth: Birth
    born: float
    launched: float | None = None
    joined: float | None = None
    ready: float | None = None
    entry: happened.EntryOpened | None = None
    gone: float | None = None


@dataclass(slots=True)
class Lives:
    """Every instance's moments, from the stream."""

    known: dict[InstanceName, Moments] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """One event more; the first of a kind counts, of ledger entries the last."""
        match event:
            case happened.Born(unix=unix, birth=birth):
                self.known.setdefault(birth.instance, Moments(birth, unix))
            case happened.Launched(unix=unix, instance=name) if name in self.known:
                self.known[name].launched = self.known[name].launched or unix
            case happened.Joined(unix=unix, instance=name) if name in self.known:
                self.known[name].joined = self.known[name].joined or unix
            case happened.BecameReady(unix=unix, instance=name) if name in self.known:
                self.known[name].ready = self.known[name].ready or unix
            case happened.SeenGone(unix=unix, instance=name) if name in self.known:
                self.known[name].gone = self.known[name].gone or unix
            case happened.EntryOpened(subject=name) if name in self.known:
                self.known[name].entry = event
            case _:
                pass


def picture_of(cluster: str, story: Story, lives: Lives, now: float) -> Picture:
    """The rollout of one revision, from its application to its end, or to now while it goes on."""
    revision = story.revision
    start = revision.applied_unix or min((one.unix for one in story.replaced), default=now)
    end = _end(story, now)
    shown = [one for one in lives.known.values() if one.born < end and (one.gone is None or one.gone > start)]
    roles = {Role.CONTROL_PLANE: 0}
    shown.sort(key=lambda one: (roles.get(one.birth.role, 1), one.birth.pool, one.born, one.birth.instance))
    touched = [
        one for one in shown if one.born >= start or (one.entry is not None and one.entry.unix >= start)
    ]
    drawn = shown if len(shown) <= MOST_ROWS else touched[:MOST_ROWS]
    wanted = {one.pool: one.release for one in revision.releases}
    by = f"by {revision.by}" if revision.by else ""
    took = span(story.seconds if story.seconds is not None else end - start)
    count = len(story.replaced)
    outcome = f"{count} instance{'s' if count != 1 else ''} replaced, {_OUTCOMES[story.outcome].format(took)}"
    return Picture(
        title=f"{cluster} · revision {revision.number} · {outcome}",
        subtitle=" · ".join(text for text in (by, revision.reason) if text),
        start=start,
        end=end,
        rows=tuple(_row(one, wanted, start, end) for one in drawn),
        marks=_marks(story, end),
        hidden=len(shown) - len(drawn),
    )


def _end(story: Story, now: float) -> float:
    if story.completed_unix is not None:
        return story.completed_unix
    under_way = any(entry.entry not in story.closed for entry in story.replaced)
    if story.until_unix is None and (under_way or story.outcome in (Outcome.GOING_ON, Outcome.PAUSED)):
        return now
    moments = [one.unix for one in story.closed.values()] + [one.unix for one in story.replaced]
    moments += [one.unix for one in story.revoked] + [one.unix for one in story.orders]
    return max(moments, default=story.until_unix or now)


def _row(one: Moments, wanted: dict[PoolName, ReleaseId], start: float, end: float) -> Row:
    old = one.birth.release != wanted.get(one.birth.pool)
    entry = one.entry
    taken = entry.unix if entry is not None else None
    lost = entry is not None and entry.reason not in PLANNED
    stages: list[tuple[Phase, float | None]] = [
        (Phase.LAUNCH, one.born),
        (Phase.BOOT, one.launched),
        (Phase.JOIN, one.joined),
        (Phase.SERVES_OTHER if old else Phase.SERVES, one.ready),
        (Phase.LOST if lost else Phase.DRAIN, taken),
    ]
    there = [(phase, at) for phase, at in stages if at is not None]
    ends = [at for _, at in there[1:]] + [one.gone if one.gone is not None else end]
    bars = tuple(
        Bar(
            phase,
            max(at, start),
            min(until, end),
            f"{one.birth.instance}: {phase}, {span(max(0.0, until - at))}",
        )
        for (phase, at), until in zip(there, ends, strict=True)
        if until > start and at < end and until > at
    )
    shown = entry is not None and start <= entry.unix <= end
    why = (
        (entry.unix, f"{entry.reason}: {'; '.join(entry.evidence)}") if entry is not None and shown else None
    )
    off = one.gone if one.gone is not None and start <= one.gone <= end else None
    return Row(one.birth.instance, one.birth.release, bars, off, why)


def _marks(story: Story, end: float) -> tuple[Mark, ...]:
    found = [Mark(one.unix, "good", f"{one.release} passed") for one in story.passed]
    found += [Mark(one.unix, "bad", f"{one.release} revoked") for one in story.revoked]
    found += [Mark(one.unix, "order", f"{one.order} by {one.by or 'somebody'}") for one in story.orders]
    if story.completed_unix is not None:
        found.append(Mark(story.completed_unix, "good", "whole"))
    return tuple(sorted((mark for mark in found if mark.unix <= end), key=lambda mark: mark.unix))


def chosen_story(stories: Iterable[Story], number: int | None) -> Story:
    """The one asked for, else the last that replaced something. Raises ClickException."""
    there = list(stories)
    if number is None:
        found = next((story for story in reversed(there) if story.replaced), None)
        if found is None:
            raise click.ClickException("no revision has replaced anything yet: there is nothing to draw")
        return found
    found = next((story for story in there if story.revision.number == number), None)
    if found is None:
        raise click.ClickException(f"no revision {number}: there are 1 to {len(there)}")
    return found


def write_picture(cluster: Cluster, file: Path, number: int | None) -> None:
    """Draw one rollout into a file; under sudo the file is the caller's."""
    from risen.cli.svg import draw

    picture = run(_read(cluster, number))
    file.write_text(draw(picture))
    if os.geteuid() == 0 and "SUDO_UID" in os.environ:
        os.chown(file, int(os.environ["SUDO_UID"]), int(os.environ.get("SUDO_GID", "-1")))
    click.echo(f"drawn   {file}: {picture.title}")
    click.echo(f"next    risen rollout history -c {cluster.name}")


async def _read(cluster: Cluster, number: int | None) -> Picture:
    story = chosen_story(await read_stories(cluster.store), number)
    lives = Lives()
    async for event in events_of(cluster.store, lambda _: True):
        lives.add(event)
    return picture_of(cluster.name, story, lives, CLOCK.unix())
