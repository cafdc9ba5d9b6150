"""Why an instance has not joined, in its own words: the last line that join printed on its console. Only looks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from risen.core.history import Entry, History
from risen.core.judge.joining import pool_of_name
from risen.core.names import InstanceName, PoolName
from risen.core.reasons import NEVER_JOINED
from risen.interfaces.errors import InterfaceError
from risen.interfaces.provider import Provider

CONSOLE_BYTES = 65536
LONGEST_LINE = 300
_JOIN_LINE = re.compile(r"risen-join\[\d+\]: ([^\r\n]*[^\s])")
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
"""CSI and OSC sequences and single escapes (ECMA-48)."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\U00010000-\U0010ffff]+")


@dataclass(frozen=True, slots=True)
class Consoles:
    """Last join lines: of instances that are still to join, and of those that were given up since a pool last
    had one Ready. Empty text where an instance printed none."""

    joining: Mapping[InstanceName, str]
    given_up: Mapping[InstanceName, str]

    def of(self, name: InstanceName) -> str:
        """The line of an instance that is here; empty for one that has joined."""
        return self.joining.get(name) or self.given_up.get(name, "")


def join_line(console: bytes) -> str:
    """The last line that the join script printed, without its tag; empty when there is none."""
    found = _JOIN_LINE.findall(console.decode(errors="replace"))
    return _CONTROL.sub(" ", found[-1])[:LONGEST_LINE] if found else ""


def console_lines(console: bytes) -> tuple[str, ...]:
    """What it printed, line by line, without what would move a terminal's cursor or colour it."""
    text = _ESCAPES.sub("", console.decode(errors="replace"))
    lines = (_CONTROL.sub(" ", line).rstrip()[:LONGEST_LINE] for line in re.split(r"[\r\n]+", text))
    return tuple(line for line in lines if line)


def joining(history: History) -> tuple[InstanceName, ...]:
    """Launched instances without a join answer."""
    return tuple(
        sorted(
            name
            for name, life in history.lives.items()
            if life.launched_at_unix is not None
            and life.gone_at_unix is None
            and life.joined_at_unix is None
            and life.ready_at_unix is None
        )
    )


def given_up(history: History) -> tuple[InstanceName, ...]:
    """Of each pool the newest that never joined, unless another of the pool was Ready after it."""
    newest: dict[PoolName, Entry] = {}
    for entry in sorted(history.entries.values(), key=lambda one: one.opened_unix):
        if entry.reason == NEVER_JOINED:
            newest[pool_of_name(entry.subject)] = entry
    for life in history.lives.values():
        last = newest.get(life.birth.pool)
        if last is not None and (life.ready_at_unix or 0.0) > last.opened_unix:
            del newest[life.birth.pool]
    return tuple(sorted(entry.subject for entry in newest.values()))


async def read_consoles(provider: Provider, history: History) -> Consoles:
    """Ask the provider for the consoles of all these. Who says that it joined has: a controller that was killed
    right after its answer could not note it."""
    gone = {name: await _line_of(provider, name) for name in given_up(history)}
    here = {name: await _line_of(provider, name) for name in joining(history) if name not in gone}
    return Consoles({name: said for name, said in here.items() if said != f"{name} joined"}, gone)


async def _line_of(provider: Provider, name: InstanceName) -> str:
    try:
        return join_line(await provider.console(name, CONSOLE_BYTES))
    except InterfaceError as error:
        return f"not readable: {error}"
