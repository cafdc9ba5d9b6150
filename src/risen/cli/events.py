"""`risen events`: what happened, and why, from the one stream."""

from __future__ import annotations

import click

from risen.bootstrap import CLOCK
from risen.cli.context import cluster_option, opened, run
from risen.cli.watch import EventLines

LOOK_AGAIN_SECONDS = 0.5


@click.command()
@cluster_option
@click.option("-w", "--watch", is_flag=True, help="Go on with new events until Ctrl-C.")
def events(name: str | None, watch: bool) -> None:
    """What happened, and why."""
    run(_tell(name, watch))


async def _tell(name: str | None, watch: bool) -> None:
    lines = EventLines((await opened(name)).store)
    while True:
        for line in await lines.new():
            click.echo(line)
        if not watch:
            return
        await CLOCK.sleep(LOOK_AGAIN_SECONDS)
