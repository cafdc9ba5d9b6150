"""What makes image layers: programs on this host (mmdebstrap, go, tar) behind the bakery's pure steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from risen.core.names import ImageDigest, Role


@dataclass(frozen=True, slots=True)
class BakedImage:
    """An image as it lies on this host: overlay layers from the lowest to the highest.

    `components` and `packages` are (name, version), sorted; empty in a record that does not tell.
    """

    digest: ImageDigest
    role: Role
    layers: tuple[Path, ...]
    size_bytes: int
    components: tuple[tuple[str, str], ...] = ()
    packages: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BakeProgress:
    """One line of progress: which step, what it waits for, seconds it took once done (else None)."""

    step: str
    waits_for: str
    seconds: float | None = None
    cached: bool = False


Report = Callable[[BakeProgress], None]


class Images(Protocol):
    """Baked images of this host, by digest. `get` raises NotFound."""

    def get(self, digest: ImageDigest) -> BakedImage: ...
    def list(self) -> tuple[BakedImage, ...]: ...
