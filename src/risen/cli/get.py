"""`risen get`: instances, members and backends as tables."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from risen.cli.context import cluster_option, opened, run
from risen.cli.glimpse import Glimpse, Looker
from risen.cli.rows import instance_rows
from risen.core.picture import Seen

Row = dict[str, object]


@click.command()
@click.argument("what", type=click.Choice(["instances", "members", "backends"]))
@cluster_option
@click.option(
    "-o", "--output", type=click.Choice(["wide", "json", "name"]), default="wide", show_default=True
)
def get(what: str, name: str | None, output: str) -> None:
    """List instances, etcd members or backends of the API endpoint."""
    rows = _rows(run(_look(name)), what)
    match output:
        case "json":
            click.echo(json.dumps(rows, indent=2))
        case "name":
            click.echo("\n".join(str(row["name"]) for row in rows))
        case _:
            click.echo(_table(rows) if rows else f"no {what}")


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


def _table(rows: list[Row]) -> str:
    columns = list(rows[0])
    texts = [
        [str(row[column]) if row[column] not in (None, "") else "-" for column in columns] for row in rows
    ]
    widths = [max(len(column), *(len(line[i]) for line in texts)) + 2 for i, column in enumerate(columns)]
    head = "".join(f"{column.upper():<{width}}" for column, width in zip(columns, widths, strict=True))
    body = ["".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)) for line in texts]
    return "\n".join(line.rstrip() for line in [head, *body])
