"""`risen get`: instances, members and backends as tables."""

from __future__ import annotations

from dataclasses import asdict

import click

from risen.cli.context import cluster_option, opened, run
from risen.cli.glimpse import Glimpse, Looker
from risen.cli.output import output_option, table, tell_data, tell_next
from risen.cli.rows import instance_rows
from risen.core.picture import Seen

Row = dict[str, object]


@click.command()
@click.argument("what", type=click.Choice(["instances", "members", "backends"]))
@cluster_option
@output_option("wide", "name")
def get(what: str, name: str | None, output: str) -> None:
    """List instances, etcd members or backends of the API endpoint."""
    rows = _rows(run(_look(name)), what)
    match output:
        case "json" | "yaml":
            tell_data(rows, output)
        case "name":
            for row in rows:
                click.echo(row["name"])
        case _:
            click.echo(table(rows) if rows else f"no {what}")
            tell_next("risen status" if rows else "risen up")


async def _look(name: str | None) -> Glimpse:
    looker = await Looker.open(await opened(name))
    try:
        return await looker.look_in_sync()
    finally:
        await looker.close()


def _rows(glimpse: Glimpse, what: str) -> list[Row]:
    match what:
        case "instances":
            return [asdict(row) for row in instance_rows(glimpse)]
        case "members":
            etcd = glimpse.picture.etcd
            if not isinstance(etcd, Seen):
                raise click.ClickException(f"etcd cannot be seen: {etcd.error}")
            return [asdict(member) for member in etcd.value.members]
        case _:
            endpoint = glimpse.picture.endpoint
            if not isinstance(endpoint, Seen):
                raise click.ClickException(f"the endpoint cannot be seen: {endpoint.error}")
            return [asdict(backend) for backend in endpoint.value]
