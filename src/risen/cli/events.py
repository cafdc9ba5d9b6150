"""`risen events`: what happened, and why, from the one stream."""

from __future__ import annotations

import json

import click

from risen.bootstrap import CLOCK
from risen.cli.context import cluster_option, opened, run
from risen.cli.output import output_option, tell_data, tell_next
from risen.cli.watch import EventStream, line_of, plain
from risen.core.events import Event

LOOK_AGAIN_SECONDS = 0.5


@click.command()
@cluster_option
@click.option("-w", "--watch", is_flag=True, help="Go on with new events until Ctrl-C.")
@output_option("text")
def events(name: str | None, watch: bool, output: str) -> None:
    """What happened, and why: births, joins, deaths, repairs, alarms. As data: one document an event."""
    run(_tell(name, watch, output))


async def _tell(name: str | None, watch: bool, output: str) -> None:
    cluster = await opened(name)
    stream = EventStream(cluster.store)
    while True:
        new = await stream.new()
        for event in new:
            _tell_one(event, output)
        if not watch:
            if output == "text":
                tell_next(
                    f"risen events -w -c {cluster.name}" if new else "risen up     (nothing happened yet)"
                )
            return
        await CLOCK.sleep(LOOK_AGAIN_SECONDS)


def _tell_one(event: Event, output: str) -> None:
    match output:
        case "json":
            click.echo(json.dumps(plain(event)))
        case "yaml":
            click.echo("---")
            tell_data(plain(event), output)
        case _:
            click.echo(line_of(event))
