"""What differs between two releases: what their images hold, single settings, and files as unified diffs. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from risen.instance.release import Release, ReleaseFile
from risen.instance.settings import Form


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing by name. `old` is empty for what is new, `new` for what is gone."""

    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ReleaseDiff:
    """All that differs. `about` is of the release itself, `settings` are flags and values of files by
    `FILE NAME`, `files` maps a path to its unified diff."""

    about: tuple[Difference, ...]
    components: tuple[Difference, ...]
    packages: tuple[Difference, ...]
    settings: tuple[Difference, ...]
    files: tuple[tuple[str, str], ...]


def diff_releases(old: Release, new: Release) -> ReleaseDiff:
    """From `old` to `new`; nothing in it for equal ones but for their ids."""
    about = {name: (getattr(old, name), getattr(new, name)) for name in ("role", "image", "kubernetes")} | {
        "certificate names": (", ".join(old.api_names), ", ".join(new.api_names))
    }
    return ReleaseDiff(
        tuple(Difference(name, before, after) for name, (before, after) in about.items() if before != after),
        _differences(dict(old.components), dict(new.components)),
        _differences(dict(old.packages), dict(new.packages)),
        _differences(dict(_settings(old)), dict(_settings(new))),
        tuple(_unified(old, new)),
    )


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Difference, ...]:
    names = sorted({*old, *new})
    found = (Difference(name, old.get(name, ""), new.get(name, "")) for name in names)
    return tuple(one for one in found if one.old != one.new)


def _settings(release: Release) -> Iterator[tuple[str, str]]:
    """Every flag and every value of a JSON file, named by file and place."""
    for file in release.files:
        name = file.path.rpartition("/")[2]
        match file.form:
            case Form.FLAGS:
                yield from _flags(name, file.text)
            case Form.JSON:
                yield from _values(name, "", json.loads(file.text))
            case Form.TEXT:
                continue


def _flags(name: str, text: str) -> Iterator[tuple[str, str]]:
    """The last of several wins, as it does for the program."""
    for line in text.splitlines():
        flag, _, value = line.removeprefix("--").partition("=")
        yield f"{name} {flag}", value


def _values(name: str, place: str, value: object) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for key, below in value.items():
                yield from _values(name, f"{place}.{key}" if place else str(key), below)
        case list() if value and all(isinstance(one, dict) for one in value):
            for number, below in enumerate(value):
                yield from _values(name, f"{place}[{number}]", below)
        case _:
            yield f"{name} {place}", value if isinstance(value, str) else json.dumps(value)


def _unified(old: Release, new: Release) -> Iterator[tuple[str, str]]:
    before, after = _by_path(old), _by_path(new)
    for path in sorted({*before, *after}):
        one, other = before.get(path), after.get(path)
        if one != other:
            yield path, _unified_of(path, one, other)


def _unified_of(path: str, old: ReleaseFile | None, new: ReleaseFile | None) -> str:
    lines = list(
        difflib.unified_diff(
            _lines(old), _lines(new),
            "/dev/null" if old is None else f"a{path}", "/dev/null" if new is None else f"b{path}", lineterm="",
        )
    )  # fmt: skip
    if old is not None and new is not None and old.mode != new.mode:
        lines = [f"mode of {path}: {old.mode:04o} → {new.mode:04o}", *lines]
    return "\n".join(lines)


def _lines(file: ReleaseFile | None) -> list[str]:
    return [] if file is None else file.text.splitlines()


def _by_path(release: Release) -> dict[str, ReleaseFile]:
    return {file.path: file for file in release.files}
