"""Text that people write as YAML, turned into plain data that remembers where each value stood.

Reads the YAML 1.2 core schema's scalars (`on`, `yes` and `0644` stay text), one document, no tags, anchors or
merge keys, no key twice. Never builds Python objects from tags, never touches a file, knows no field's meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands: `("spec", "pools", 1, "replicas")`."""
Position: TypeAlias = tuple[int, int]
"""Line and column, both from 1."""
Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
_UNFIT = re.compile("[\\x00\ud800-\udfff]")
"""What no file name, flag or UTF-8 text can hold; quoted escapes can name it all the same."""
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with a file. `line` and `column` count from 1; `message` also says what would be right."""

    file: str
    line: int
    column: int
    path: Path
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        return where + (f"{render_path(self.path)}: {self.message}" if self.path else self.message)


class Problems(Exception):
    """Everything wrong with a file, at once, in the order in which it stands there."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda one: (one.line, one.column, one.message)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Document:
    """A file's plain data, with the position of each value, of each key, and each scalar as it was written."""

    filename: str
    data: Plain
    positions: Mapping[Path, Position]
    key_positions: Mapping[Path, Position]
    written: Mapping[Path, str]

    def at(self, path: Path) -> Plain:
        """The value at a path, None where there is none."""
        value = self.data
        for part in path:
            if isinstance(part, int):
                if not isinstance(value, list) or part >= len(value):
                    return None
                value = value[part]
            else:
                value = value.get(part) if isinstance(value, dict) else None
        return value

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """A problem with what stands at `path`, or with the nearest thing around it that is there.

        `at_key` points at the key itself instead of at its value."""
        position = self.key_positions.get(path) if at_key else None
        around = path
        while position is None:
            position = self.positions.get(around)
            if position is None and not around:
                position = (1, 1)
            around = around[:-1]
        return Problem(self.filename, *position, path, message)


def load(text: str, filename: str) -> Document:
    """Read one YAML document. Raises Problems for broken syntax and for everything the module refuses."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Problems([Problem(filename, 1, 1, (), f"larger than {MAX_BYTES} bytes")])
    events = _events(text, filename)
    build = _Build(filename, events)
    data = build.document()
    if build.problems:
        raise Problems(build.problems)
    return Document(
        filename,
        data,
        MappingProxyType(build.positions),
        MappingProxyType(build.key_positions),
        MappingProxyType(build.written),
    )


def render_path(path: Path) -> str:
    """`spec.pools[1].labels["a/b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z_][\w-]*", part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def plain_scalar(text: str) -> bool | int | float | str | None:
    """What an unquoted scalar means. `0644` stays text: YAML 1.1 and 1.2 read it as different numbers.

    Source: YAML 1.2.2, section 10.3.2, less its `True`, `TRUE`, `Null`, `.inf` and `.nan`.
    """
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) < 20 else text
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _events(text: str, filename: str) -> tuple[Event, ...]:
    """All events of a stream that holds at most one document."""
    try:
        return tuple(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        parts = [part for part in (error.context, error.problem) if part]
        raise Problems([Problem(filename, *position, (), "not YAML: " + ", ".join(parts))]) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        position = (before.count("\n") + 1, error.position - before.rfind("\n"))
        message = f"not YAML: the character U+{int(error.character):04X} may not stand in it"
        raise Problems([Problem(filename, *position, (), message)]) from None


def _start(event: Event) -> Position:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


@dataclass(slots=True)
class _Build:
    """Turns a stream of events into plain data; what it refuses goes to `problems` and it reads on."""

    filename: str
    events: tuple[Event, ...]
    problems: list[Problem] = field(default_factory=list)
    positions: dict[Path, Position] = field(default_factory=dict)
    key_positions: dict[Path, Position] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    rest: Iterator[Event] = field(init=False)

    def __post_init__(self) -> None:
        self.rest = iter(self.events)

    def refuse(self, event: Event, path: Path, message: str) -> None:
        """Note a problem at an event."""
        self.problems.append(Problem(self.filename, *_start(event), path, message))

    def document(self) -> Plain:
        """The one document of the stream."""
        starts = [event for event in self.events if isinstance(event, DocumentStartEvent)]
        if not starts:
            raise Problems([Problem(self.filename, 1, 1, (), "the file is empty")])
        for extra in starts[1:]:
            self.refuse(extra, (), "a second document: one file holds one")
        for event in self.rest:
            match event:
                case StreamStartEvent() | DocumentStartEvent():
                    continue
                case StreamEndEvent():
                    break
                case _:
                    return self.value(event, ())
        return None

    def value(self, event: Event, path: Path) -> Plain:
        """The value that starts with this event."""
        if len(path) > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels"
            raise Problems([*self.problems, Problem(self.filename, *_start(event), path[:3], message)])
        self.positions[path] = _start(event)
        if isinstance(event, AliasEvent):
            self.refuse(event, path, f"aliases (*{event.anchor}) are not read: write the value out")
            return None
        if not isinstance(event, NodeEvent):
            raise AssertionError(f"unexpected YAML event {event}")
        if event.anchor:
            self.refuse(
                event, path, f"anchors (&{event.anchor}) are not read: write the value where it is used"
            )
        if tag := getattr(event, "tag", None):
            self.refuse(event, path, f"tags ({tag}) are not read: write plain values, text in quotes")
        match event:
            case ScalarEvent():
                self.written[path] = event.value
                if unfit := _UNFIT.search(event.value):
                    self.refuse(event, path, f"the character U+{ord(unfit[0]):04X} may not stand in text")
                return plain_scalar(event.value) if event.style is None else str(event.value)
            case SequenceStartEvent():
                return self.sequence(path)
            case MappingStartEvent():
                return self.mapping(path)
        raise AssertionError(f"unexpected YAML event {event}")

    def sequence(self, path: Path) -> list[Plain]:
        """The items up to the end of this list."""
        items: list[Plain] = []
        while not isinstance(event := next(self.rest), SequenceEndEvent):
            items.append(self.value(event, (*path, len(items))))
        return items

    def mapping(self, path: Path) -> dict[str, Plain]:
        """The pairs up to the end of this mapping. Keys are text as written, whatever they look like."""
        pairs: dict[str, Plain] = {}
        while not isinstance(event := next(self.rest), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                self.refuse(event, path, "a key must be plain text")
                self.value(event, (*path, "?"))
                self.value(next(self.rest), (*path, "?"))
                continue
            key, here = event.value, (*path, event.value)
            if key == "<<" and event.style is None:
                self.refuse(event, path, "merge keys (<<) are not read: write the fields out")
            if event.anchor or event.tag:
                self.refuse(event, here, "a key takes no anchor and no tag")
            if key in pairs:
                line, column = self.key_positions[here]
                self.refuse(event, here, f"this key stands already at {line}:{column}: keep one of them")
            else:
                self.key_positions[here] = _start(event)
            pairs[key] = self.value(next(self.rest), here)
        return pairs
