"""Data for programs: `-o json` and `-o yaml`, the same for every command that lists or shows. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
Row: TypeAlias = dict[str, object]


def output_option(default: str, *others: str) -> Callable[[F], F]:
    """`-o/--output`: a form for people first, then json and yaml, then `others`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice([default, "json", "yaml", *others]),
        default=default,
        show_default=True,
        help="For people, or for programs.",
    )


def watch_option(what: str) -> Callable[[F], F]:
    """`-w/--watch`: go on with what changes."""
    return click.option("-w", "--watch", is_flag=True, help=f"Go on with {what} until Ctrl-C.")


def tell_document(data: object, output: str) -> None:
    """One of several on the same output: JSON on a line of its own, or a YAML document."""
    if output == "json":
        click.echo(json.dumps(data, default=str))
    else:
        click.echo("---")
        tell_data(data, output)


def tell_data(data: object, output: str) -> None:
    """Print as JSON or YAML, the same data in both."""
    text = json.dumps(data, indent=2, default=str)
    if output == "yaml":
        import yaml

        text = yaml.safe_dump(json.loads(text), sort_keys=False, allow_unicode=True).rstrip("\n")
    click.echo(text)


def tell_next(command: str) -> None:
    """The next command, beside what a listing prints: on standard error, so that pipes stay clean."""
    click.echo(f"next    {command}", err=True)


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and their widths, for rows that come one after another."""

    widths: Mapping[str, int]

    @classmethod
    def of(cls, rows: Sequence[Row], columns: Sequence[str]) -> Table:
        """As wide as these rows need."""
        return cls(
            {name: max(len(name), *(len(_cell(row.get(name))) for row in rows), 0) + 2 for name in columns}
        )

    @property
    def head(self) -> str:
        """The columns' names."""
        return "".join(f"{name.upper():<{width}}" for name, width in self.widths.items()).rstrip()

    def line(self, row: Row) -> str:
        """A row; `-` for nothing."""
        cells = (f"{_cell(row.get(name)):<{width}}" for name, width in self.widths.items())
        return "".join(cells).rstrip()


def _cell(value: object) -> str:
    return "-" if value in (None, "") else str(value)


def table(rows: Iterable[Row]) -> str:
    """Rows with their keys as the head; `-` for nothing."""
    lines = list(rows)
    shown = Table.of(lines, tuple(lines[0]))
    return "\n".join([shown.head, *map(shown.line, lines)])


def at_most(lines: list[str], most: int, head: str, where: str) -> list[str]:
    """The first of them; how many more there are, and where to see them."""
    more = len(lines) - most
    return lines if more <= 0 else [*lines[:most], f"{head}and {more} more: {where}"]
