"""`recipe.lock`: what a recipe resolved to, as values and as canonical text. A bake uses only this.

Text is JSON with sorted keys, one item a line where it helps a diff; the same value always gives the same
bytes. Reads and writes no file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

SCHEMA = 1


class LockError(ValueError):
    """The text is not a lock that this Risen reads; `str` says why and what to do."""


@dataclass(frozen=True, slots=True, order=True)
class LockedPackage:
    """One Debian package. `filename` is its place under a mirror (`pool/…`), so that no mirror is named."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int
    filename: str


@dataclass(frozen=True, slots=True, order=True)
class LockedProgram:
    """One binary of a component: what it is called in the image and the sha256 of its bytes.

    `member` is its path inside a downloaded archive, empty where the download is the binary itself. An empty
    `sha256` is only found on an architecture whose compiled bytes nobody has pinned."""

    name: str
    sha256: str
    url: str = ""
    member: str = ""


@dataclass(frozen=True, slots=True, order=True)
class LockedComponent:
    """One component, resolved. `source` is path, official, go-modules or debian; `origin` a folder, URL,
    module set or package; `sha256` covers the download, or go.mod and go.sum of what is compiled here."""

    name: str
    version: str
    source: str
    origin: str
    why: str
    sha256: str = ""
    compiled: bool = False
    toolchain: str = ""
    programs: tuple[LockedProgram, ...] = ()

    def program(self, name: str) -> LockedProgram:
        """One of its binaries. Raises KeyError."""
        for program in self.programs:
            if program.name == name:
                return program
        raise KeyError(name)


@dataclass(frozen=True, slots=True, order=True)
class LockedFile:
    """A file of the user's own (also units and container image archives), pinned."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Lock:
    """A whole recipe.lock. `recipe_sha256` is of the recipe it was made from, so that a stale lock is seen."""

    recipe_sha256: str
    architecture: str
    suite: str
    requested: tuple[str, ...]
    packages: tuple[LockedPackage, ...]
    components: tuple[LockedComponent, ...]
    files: tuple[LockedFile, ...] = field(default=())

    def component(self, name: str, version: str | None = None) -> LockedComponent:
        """A component by name (and version, where several are locked). Raises KeyError."""
        for component in self.components:
            if component.name == name and version in (None, component.version):
                return component
        raise KeyError(name if version is None else f"{name} {version}")

    def kubernetes_versions(self) -> tuple[str, ...]:
        """Kubernetes versions that this lock can bake."""
        return tuple(one.version for one in self.components if one.name == "kubernetes")


def render_lock(lock: Lock) -> str:
    """The lock's canonical text."""
    ordered = replace(
        lock,
        packages=tuple(sorted(lock.packages)),
        components=tuple(sorted(lock.components)),
        files=tuple(sorted(lock.files)),
        requested=tuple(sorted(lock.requested)),
    )
    value = {"apiVersion": "risen/v1alpha1", "kind": "RecipeLock", "schema": SCHEMA, **asdict(ordered)}
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def lock_digest(lock: Lock) -> str:
    """`sha256:HEX` of the canonical text."""
    return "sha256:" + hashlib.sha256(render_lock(lock).encode()).hexdigest()


def parse_lock(text: str) -> Lock:
    """Read a lock. Raises LockError."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise LockError(f"not JSON ({error}): run `risen recipe lock` again") from None
    if not isinstance(value, dict) or value.get("kind") != "RecipeLock":
        raise LockError("not a RecipeLock: run `risen recipe lock` again")
    if value.get("schema") != SCHEMA:
        raise LockError(
            f"has schema {value.get('schema')}, this Risen reads {SCHEMA}: run `risen recipe lock`"
        )
    try:
        return _lock_of(value)
    except (KeyError, TypeError, AttributeError) as error:
        raise LockError(f"is damaged ({error}): run `risen recipe lock` again") from None


def _lock_of(value: Mapping[str, Any]) -> Lock:
    return Lock(
        recipe_sha256=value["recipe_sha256"],
        architecture=value["architecture"],
        suite=value["suite"],
        requested=tuple(value["requested"]),
        packages=tuple(LockedPackage(**one) for one in value["packages"]),
        components=tuple(
            LockedComponent(**{**one, "programs": tuple(LockedProgram(**p) for p in one["programs"])})
            for one in value["components"]
        ),
        files=tuple(LockedFile(**one) for one in value["files"]),
    )
