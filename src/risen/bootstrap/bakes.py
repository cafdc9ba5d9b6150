"""Recipes, bakes and what was baked on this host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from risen.bootstrap.place import Host
from risen.core.names import Role
from risen.interfaces.errors import NotFound

if TYPE_CHECKING:
    from risen.adapters.builder.bake import BakeRequest
    from risen.adapters.builder.shelf import Shelf
    from risen.interfaces.builder import Report


def images_of(host: Host) -> Shelf:
    """Baked images of this host."""
    from risen.adapters.builder.shelf import Shelf

    return Shelf(host.home)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe on disk; its lock lies beside it."""

    file: Path

    @property
    def lock(self) -> Path:
        """`recipe.lock` beside `recipe.yaml`."""
        return self.file.with_suffix(".lock")


def lock_recipe(host: Host, recipe: Recipe, versions: tuple[str, ...], report: Report) -> None:
    """Resolve a recipe into its lock. Raises what `make_lock` raises."""
    from risen.adapters.builder.locking import LockRequest, make_lock

    make_lock(LockRequest(recipe.file, recipe.lock, host.cache, versions), report)


def lock_files(recipe: Recipe) -> tuple[str, ...]:
    """Pin only the recipe's own files anew; which changed. Raises what the builder's `lock_files` raises."""
    from risen.adapters.builder import locking

    return locking.lock_files(recipe.file, recipe.lock)


def bake_request(host: Host, recipe: Recipe, roles: tuple[Role, ...], version: str) -> BakeRequest:
    """An image per role, to be baked or foreseen: quick where nothing changed."""
    from risen.adapters.builder.bake import BakeRequest
    from risen.instance.content import image_content

    return BakeRequest(recipe.file, recipe.lock, host.home, host.cache, image_content, roles, version)


def kubectl_of(host: Host, version: str) -> Path:
    """The kubectl that was baked with this Kubernetes version. Raises NotFound."""
    from risen.adapters.builder.tools import tool_path

    program = tool_path(host.home, "kubernetes", version, "kubectl")
    if not program.exists():
        raise NotFound(f"{program}: not there; `risen bake` puts kubectl {version} there")
    return program
