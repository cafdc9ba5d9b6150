"""Data for programs: `-o json` and `-o yaml`, the same for every command that lists or shows. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


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


def table(rows: Iterable[dict[str, object]]) -> str:
    """Rows with their keys as the head; `-` for nothing."""
    lines = list(rows)
    columns = list(lines[0])
    texts = [
        [str(row[column]) if row[column] not in (None, "") else "-" for column in columns] for row in lines
    ]
    widths = [max(len(column), *(len(text[i]) for text in texts)) + 2 for i, column in enumerate(columns)]
    head = "".join(f"{column.upper():<{width}}" for column, width in zip(columns, widths, strict=True))
    body = ["".join(f"{cell:<{width}}" for cell, width in zip(text, widths, strict=True)) for text in texts]
    return "\n".join(line.rstrip() for line in [head, *body])


def at_most(lines: list[str], most: int, head: str, where: str) -> list[str]:
    """The first of them; how many more there are, and where to see them."""
    more = len(lines) - most
    return lines if more <= 0 else [*lines[:most], f"{head}and {more} more: {where}"]
