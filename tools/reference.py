"""Writes docs/reference.md from the code: every command with its options, every field of the two files, every invariant.

    python tools/reference.py            write it
    python tools/reference.py --check    exit 1 if it is not what the code says

Reads nothing but the code; the same code gives the same text.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from risen.cli.main import COMMANDS, risen
from risen.codec.cluster_changes import schema
from risen.codec.fields import FieldDoc, field_docs
from risen.codec.recipe_yaml import RecipeWritten
from risen.core.safety.invariants import INVARIANTS
from risen.sim.truths import SAYS

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
HEAD = """\
# Reference

Written from the code by `make reference`; a test says whether it is current.
Fields in `[]` may stand many times. Exit codes: 0 done, 1 told why not, 2 something would change (`risen plan --detailed-exitcode` only), 64 wrong use,
130 stopped by Ctrl-C. `risen kubectl` ends with kubectl's own.
"""


def render() -> str:
    """The whole page."""
    parts = [HEAD, "## Commands\n"]
    context = click.Context(risen, info_name="risen")
    for name, target, _ in COMMANDS:
        if importlib.util.find_spec(target.partition(":")[0]) is None:
            continue
        command = risen.get_command(context, name)
        if command is not None:
            parts += _command(command, name, context)
    parts += ["## cluster.yaml\n", *_cluster_fields(), "## recipe.yaml\n", *_recipe_fields()]
    parts += ["## Invariants\n", *_invariants()]
    return "\n".join(parts)


def _command(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    """A command and, of a group, every command below it."""
    context = click.Context(command, info_name=name, parent=parent)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None:
                yield from _command(found, below, context)
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"### `{context.command_path}`\n"
    yield f"```\n{context.command_path} {usage}\n```\n"
    yield _paragraphs(inspect.cleandoc(command.help or "")) + "\n"
    rows = [
        record
        for parameter in command.get_params(context)
        if "--help" not in parameter.opts and (record := parameter.get_help_record(context)) and record[1]
    ]
    if rows:
        yield _table(("option", ""), ((f"`{option}`", words) for option, words in rows))


def _paragraphs(text: str) -> str:
    """A command's help; click's mark for text that keeps its lines becomes a code block."""
    blocks = []
    for block in text.split("\n\n"):
        kept = block.removeprefix("\b\n")
        blocks.append(f"```\n{kept}\n```" if kept != block else block)
    return "\n\n".join(blocks)


def _cluster_fields() -> Iterator[str]:
    rows = [(field, effect.value if effect else "") for field, effect in schema()]
    yield _table(
        ("field", "what", "default", "for", "changing it"),
        (
            (f"`{field.path}`", field.kind, _default(field), field.description, effect)
            for field, effect in rows
        ),
    )
    yield from _not_built(field for field, _ in rows)


def _recipe_fields() -> Iterator[str]:
    fields = list(field_docs(RecipeWritten))
    yield _table(
        ("field", "what", "default", "for"),
        ((f"`{field.path}`", field.kind, _default(field), field.description) for field in fields),
    )
    yield from _not_built(fields)


def _invariants() -> Iterator[str]:
    yield (
        "What may never happen. A step that would break one is refused, on the plan and again on freshly read facts "
        "right before it is sent. The simulator finds a run in which one was broken all the same, on its world's "
        "truth at every write and event; and says so by this name.\n"
    )
    refused = {invariant.name: invariant.says for invariant in INVARIANTS}
    found = {truth.value: says for truth, says in SAYS.items()}
    yield _table(
        ("invariant", "of a step", "of a simulated run"),
        (
            (f"`{name}`", refused.get(name, ""), found.get(name, ""))
            for name in dict.fromkeys([*refused, *found])
        ),
    )


def _not_built(fields: Iterable[FieldDoc]) -> Iterator[str]:
    rows = [(f"`{field.path}.{name}`", instead) for field in fields for name, instead in field.not_built]
    if rows:
        yield "Refused by name, because it is not built yet:\n"
        yield _table(("field", "this Risen has"), rows)


def _default(field: FieldDoc) -> str:
    if field.required:
        return "required"
    return f"`{field.default}`" if field.default else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it is current."""
    text = render()
    if arguments == ["--check"]:
        return 0 if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text else 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    print(f"wrote   {TARGET.name}: {text.count(chr(10))} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
