"""What a bake does, as data: each step says what it does (`describe`) and has a digest of all that goes in.

A step with the same digest gives the same layer, so its layer is taken from the cache. Carries nothing out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from risen.bakery.lock import LockedPackage

BASE_FORMAT = 2
"""Counts up when the way a base is made and cleaned changes what comes out."""


@dataclass(frozen=True, slots=True)
class BaseStep:
    """A Debian tree of exactly these packages, cleaned of what differs from bake to bake."""

    suite: str
    architecture: str
    requested: tuple[str, ...]
    packages: tuple[LockedPackage, ...]

    name = "base"

    def inputs(self) -> Mapping[str, object]:
        """What the digest covers."""
        return {
            "format": BASE_FORMAT,
            "suite": self.suite,
            "architecture": self.architecture,
            "requested": sorted(self.requested),
            "packages": sorted([one.name, one.version, one.sha256] for one in self.packages),
        }

    def describe(self) -> str:
        """One line for people."""
        return f"base: Debian {self.suite} {self.architecture}, {len(self.packages)} packages"


@dataclass(frozen=True, slots=True, order=True)
class Placed:
    """A program of a component, to be put at `path`. `key` names its bytes: their sha256 where it is pinned,
    else what they are compiled from."""

    path: str
    component: str
    version: str
    program: str
    key: str
    mode: int = 0o755


@dataclass(frozen=True, slots=True, order=True)
class Archived:
    """A program packed into a container image at `path`, its name beside it; `component` is `base` where it
    comes from there."""

    path: str
    reference: str
    component: str
    version: str
    program: str
    key: str


@dataclass(frozen=True, slots=True)
class ProgramsStep:
    """Programs and baked container images. `base` is the tree digest below, whose directory modes hold."""

    name: str
    base: str
    programs: tuple[Placed, ...]
    archives: tuple[Archived, ...] = ()

    def inputs(self) -> Mapping[str, object]:
        """What the digest covers."""
        return {
            "format": 2,
            "base": self.base,
            "programs": [[one.path, one.key, one.mode] for one in sorted(self.programs)],
            "archives": [[one.path, one.reference, one.key] for one in sorted(self.archives)],
        }

    def describe(self) -> str:
        """One line for people."""
        names = [f"{one.program} {one.version}" for one in self.programs]
        names += [f"image {one.reference}" for one in self.archives]
        return f"{self.name}: {', '.join(names)}"


@dataclass(frozen=True, slots=True, order=True)
class LaidFile:
    """A file, or with `link` a symbolic link, of a content layer. Owned by root."""

    path: str
    data: bytes = b""
    mode: int = 0o644
    link: str = ""


@dataclass(frozen=True, slots=True, order=True)
class CopiedFile:
    """A container image archive of the user's own, copied from `source` and checked, its names beside it."""

    path: str
    source: str
    sha256: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class ContentStep:
    """Risen's own units, scripts and settings and the recipe's files, for one role."""

    name: str
    base: str
    files: tuple[LaidFile, ...]
    copied: tuple[CopiedFile, ...] = ()

    def inputs(self) -> Mapping[str, object]:
        """What the digest covers."""
        return {
            "format": 2,
            "base": self.base,
            "files": [
                [one.path, hashlib.sha256(one.data).hexdigest(), one.mode, one.link]
                for one in sorted(self.files)
            ],
            "copied": [[one.path, one.sha256, one.mode] for one in sorted(self.copied)],
        }

    def describe(self) -> str:
        """One line for people."""
        return f"{self.name}: {len(self.files) + len(self.copied)} files"


Step: TypeAlias = BaseStep | ProgramsStep | ContentStep


def step_digest(step: Step) -> str:
    """Hex sha256 of a step's kind and everything that goes in."""
    value = {"kind": type(step).__name__, **step.inputs()}
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
