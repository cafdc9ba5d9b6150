"""What a user wants in an image, already checked: the value that `codec/recipe_yaml.py` produces.

Says nothing of where components come from in the end (that is the lock's) and reads no file.
"""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.names import Role

EVERY_ROLE = (Role.CONTROL_PLANE, Role.WORKER)
"""Roles that images are baked for; what names no role is for all of them."""


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """Ready binaries in a folder beside the recipe: `NAME-VERSION/PROGRAM` or `NAME/PROGRAM`."""

    path: str


@dataclass(frozen=True, slots=True)
class NamedSource:
    """`official` (upstream's release files), `go-modules` (compiled here) or `debian`."""

    name: str


Source = LocalFolder | NamedSource
DEFAULT_SOURCES: tuple[Source, ...] = (
    NamedSource("official"),
    NamedSource("go-modules"),
    NamedSource("debian"),
)


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """A file of the user's own. `source` is relative to the recipe; `mode` is octal text such as `0644`."""

    path: str
    source: str
    mode: int = 0o644
    roles: tuple[Role, ...] = EVERY_ROLE


@dataclass(frozen=True, slots=True)
class RecipeUnit:
    """A systemd unit of the user's own."""

    name: str
    source: str
    enabled: bool = True
    roles: tuple[Role, ...] = EVERY_ROLE


@dataclass(frozen=True, slots=True)
class RecipeImage:
    """A container image to preload: a docker-archive or OCI tar beside the recipe."""

    path: str
    roles: tuple[Role, ...] = EVERY_ROLE


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole recipe.yaml. `components` maps a name to a version or to `debian`."""

    name: str
    components: tuple[tuple[str, str], ...]
    architecture: str = "amd64"
    suite: str = "bookworm"
    sources: tuple[Source, ...] = DEFAULT_SOURCES
    packages: tuple[str, ...] = ()
    kernel_modules: tuple[str, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    files: tuple[RecipeFile, ...] = ()
    units: tuple[RecipeUnit, ...] = ()
    images: tuple[RecipeImage, ...] = ()

    def own_sources(self) -> tuple[str, ...]:
        """Files and units of the user's own, by path beside the recipe, sorted."""
        return tuple(sorted({one.source for one in self.files} | {one.source for one in self.units}))

    def version_of(self, component: str) -> str:
        """The version wanted of a component. Raises KeyError for one the recipe does not name."""
        return dict(self.components)[component]
