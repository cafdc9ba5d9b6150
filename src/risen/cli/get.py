"""`risen get`: instances, members and backends as tables, once or as they change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

import click

from risen.bootstrap import CLOCK
from risen.cli.context import cluster_option, opened, run
from risen.cli.glimpse import Glimpse, Looker
from risen.cli.output import (
    Row,
    Table,
    output_option,
    tell_data,
    tell_document,
    tell_next,
    watch_option,
)
from risen.cli.rows import instance_rows
from risen.core.picture import Seen

LOOK_AGAIN_SECONDS = 1.0
NARROW: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "instances": ("name", "pool", "address", "state", "verdict", "ready", "release"),
        "members": ("name", "id", "peer_url", "learner", "healthy", "leader"),
    }
)
"""What people are shown unless they ask for `-o wide`: little enough for a terminal, and nothing that always moves."""


@click.command()
@click.argument("what", type=click.Choice(["instances", "members", "backends"]))
@cluster_option
@watch_option("rows that change")
@output_option("table", "wide", "name")
def get(what: str, name: str | None, watch: bool, output: str) -> None:
    """List instances, etcd members or backends of the API endpoint.

    With -w a row is printed again when something that is shown of it changes; as data: one document a row.
    """
    if watch:
        run(_watch(name, what, output))
        return
    rows = _rows(run(_look(name)), what)
    match output:
        case "json" | "yaml":
            tell_data(rows, output)
        case "name":
            for row in rows:
                click.echo(row["name"])
        case _:
            click.echo(_table(rows, what, output) if rows else f"no {what}")
            tell_next("risen status" if rows else "risen up")


async def _look(name: str | None) -> Glimpse:
    looker = await Looker.open(await opened(name))
    try:
        return await looker.look_once()
    finally:
        await looker.close()


async def _watch(name: str | None, what: str, output: str) -> None:
    looker, changes = await Looker.open(await opened(name)), Changes(what, output)
    try:
        glimpse = await looker.look_once()
        while True:
            changes.tell(glimpse)
            await CLOCK.sleep(LOOK_AGAIN_SECONDS)
            glimpse = await looker.look()
    finally:
        await looker.close()


def _table(rows: list[Row], what: str, output: str) -> str:
    shown = Table.of(rows, _columns(rows[0], what, output))
    return "\n".join([shown.head, *map(shown.line, rows)])


def _columns(row: Row, what: str, output: str) -> tuple[str, ...]:
    return tuple(row) if output == "wide" else NARROW.get(what, tuple(row))


@dataclass(slots=True)
class Changes:
    """Tells each row when it is first seen, when what is shown of it changes, and when it is gone."""

    what: str
    output: str
    told: dict[str, Row] = field(default_factory=dict)
    table: Table | None = None
    unseen: str = ""

    def tell(self, glimpse: Glimpse) -> None:
        """What cannot be seen is said once, on standard error, and nothing counts as gone meanwhile."""
        try:
            rows = {f"{row['name'] or row.get('id')}": row for row in _rows(glimpse, self.what)}
        except click.ClickException as error:
            if self.unseen != error.message:
                self.unseen = error.message
                click.echo(error.message, err=True)
            return
        self.unseen = ""
        changed = [
            row for key, row in rows.items() if self._shown(row) != self._shown(self.told.get(key, {}))
        ]
        gone = [{"name": key, "gone": True} for key in self.told if key not in rows]
        self.told = rows
        if self.table is None and changed and self.output in ("table", "wide"):
            self.table = Table.of(changed, _columns(changed[0], self.what, self.output))
            click.echo(self.table.head)
        for row in (*changed, *gone):
            self._tell_one(row)

    def _shown(self, row: Row) -> Row:
        match self.output:
            case "table":
                return {column: row.get(column) for column in NARROW.get(self.what, tuple(row))}
            case "name":
                return {"name": row.get("name")}
            case _:
                return row

    def _tell_one(self, row: Row) -> None:
        match self.output:
            case "json" | "yaml":
                tell_document(row, self.output)
            case "name":
                click.echo(row["name"])
            case _ if self.table is not None:
                click.echo(f"{row['name']} is gone" if "gone" in row else self.table.line(row))


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
