"""A few lines that are shown again and again: in place on a terminal, else each change once. Decides nothing."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import click

UP_AND_CLEAR = "\x1b[{}A\x1b[J"
_SPAN = re.compile(r"\b\d+(\.\d+)?(s|m|h|d)(\d\d[ms])?\b")


@dataclass(slots=True)
class Screen:
    """Where `in_place`, the lines replace those shown before; `columns` is the terminal's width."""

    in_place: bool
    columns: int = 0
    say: Callable[[str], None] = click.echo
    shown: list[str] = field(default_factory=list)

    @classmethod
    def of_terminal(cls) -> Screen:
        """In place where standard output is a terminal."""
        return cls(sys.stdout.isatty(), shutil.get_terminal_size().columns)

    def show(self, lines: Sequence[str]) -> None:
        """Show these instead of the last ones."""
        if self.in_place:
            fitting = [line[: self.columns - 1] if self.columns else line for line in lines]
            if self.shown:
                self.say(UP_AND_CLEAR.format(len(self.shown)) + "\n".join(fitting))
            else:
                self.say("\n".join(fitting))
            self.shown = fitting
            return
        known = {_timeless(line) for line in self.shown}
        for line in lines:
            if _timeless(line) not in known:
                self.say(line)
        self.shown = list(lines)


def _timeless(line: str) -> str:
    """A line without its spans of time: that only those have changed is no news."""
    return _SPAN.sub("", line)
