"""`risen events`: what happened, and why, from the one stream; and when which revision was applied, by whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import click

from risen.bootstrap import CLOCK
from risen.cli.context import cluster_option, opened, run
from risen.cli.output import output_option, tell_document, tell_next, watch_option
from risen.cli.watch import EventStream, applied_line, line_of, plain, plain_applied
from risen.codec import records
from risen.core.events import Event
from risen.core.spec import Revision
from risen.engine.record import read_revision
from risen.interfaces.store import Store

LOOK_AGAIN_SECONDS = 0.5


@dataclass(slots=True)
class Revisions:
    """Revisions that were not told yet; those that do not say when they were applied are left out."""

    store: Store
    known: set[str] = field(default_factory=set)

    async def new(self) -> list[Revision]:
        """What was applied since the last call."""
        keys = [key for key in await self.store.list(records.REVISIONS) if key not in self.known]
        self.known |= set(keys)
        found = [await read_revision(self.store, key) for key in keys]
        return [revision for revision in found if revision.applied_unix]


@click.command()
@cluster_option
@watch_option("new events")
@output_option("text")
def events(name: str | None, watch: bool, output: str) -> None:
    """What happened, and why: revisions, births, joins, deaths, repairs, verdicts, alarms. As data: one document an
    event."""
    run(_tell(name, watch, output))


async def _tell(name: str | None, watch: bool, output: str) -> None:
    cluster = await opened(name)
    stream, revisions = EventStream(cluster.store), Revisions(cluster.store)
    while True:
        new = list(merged(await revisions.new(), await stream.new()))
        for one in new:
            _tell_one(one, output)
        if not watch:
            if output == "text":
                tell_next(
                    f"risen events -w -c {cluster.name}" if new else "risen up     (nothing happened yet)"
                )
            return
        await CLOCK.sleep(LOOK_AGAIN_SECONDS)


def merged(revisions: Iterable[Revision], events: Iterable[Event]) -> Iterator[Revision | Event]:
    """Events keep their order; each revision comes before the first event that is younger."""
    waiting = sorted(revisions, key=lambda one: one.applied_unix)
    for event in events:
        while waiting and waiting[0].applied_unix <= event.unix:
            yield waiting.pop(0)
        yield event
    yield from waiting


def _tell_one(one: Revision | Event, output: str) -> None:
    if output == "text":
        click.echo(applied_line(one) if isinstance(one, Revision) else line_of(one))
        return
    data = plain_applied(one) if isinstance(one, Revision) else plain(one)
    tell_document(data, output)
