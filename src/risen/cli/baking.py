"""Images for a spec: locked and baked if they are not yet there, with progress."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from risen.bakery.lock import LockError, parse_lock
from risen.bootstrap import Recipe, bake_request, images_of, lock_recipe
from risen.cli.bakery import show_progress
from risen.cli.context import host
from risen.codec.yaml_nodes import Problems
from risen.core.names import ImageDigest, Role
from risen.core.spec import ClusterSpec, Revision
from risen.interfaces.builder import BakedImage
from risen.interfaces.errors import InterfaceError
from risen.services.revise import Baked, coredns_in


def bake_for(spec: ClusterSpec, folder: Path) -> Baked:
    """Bake the images of a spec's recipe, locking it first where it has no lock; quick when all is baked."""
    recipe = _recipe_of(spec, folder)
    if not recipe.lock.exists():
        click.echo(f"lock    {recipe.lock}: resolving every component and package once")
        with told_errors():
            lock_recipe(host(), recipe, (spec.kubernetes_version,), show_progress)
    digest = lock_digest(spec, folder)
    assert digest is not None
    return _told(_bake(spec, recipe), digest)


def foresee_for(spec: ClusterSpec, folder: Path) -> Baked | None:
    """What `bake_for` would give; None where something is still to be locked or baked. Bakes nothing."""
    digest = lock_digest(spec, folder)
    if digest is None:
        return None
    request = bake_request(host(), _recipe_of(spec, folder), _roles(spec), spec.kubernetes_version)
    with told_errors():
        images = request.foresee()
    if images is None:
        return None
    there = {image.digest: image for image in images_of(host()).list()}
    if not set(images.values()) <= there.keys():
        return None
    return _told({role: there[image] for role, image in images.items()}, digest)


def _told(images: Mapping[Role, BakedImage], lock: str) -> Baked:
    digests = {role: image.digest for role, image in images.items()}
    return Baked(digests, lock, coredns_in(images.values()))


def bake_missing(revision: Revision, spec: ClusterSpec, folder: Path) -> None:
    """Bake again what the images folder has lost. Raises when the bytes are not those of the revision."""
    missing = missing_images(revision)
    if not missing:
        return
    baked = {image.digest for image in _bake(spec, _recipe_of(spec, folder)).values()}
    if missing - baked:
        raise click.ClickException(
            f"image {min(missing - baked)} of revision {revision.number} is gone, and this recipe.lock and "
            "this Risen bake another one: bake it with the Risen that made it"
        )


def missing_images(revision: Revision) -> set[ImageDigest]:
    """Images of a revision that are not in the images folder."""
    return {release.image for release in revision.releases} - {one.digest for one in images_of(host()).list()}


def lock_digest(spec: ClusterSpec, folder: Path) -> str | None:
    """SHA-256 of the recipe.lock; None where there is none.

    Raises ClickException for a lock that the recipe, or a file that it names, has left behind: what was changed
    there would be in no image."""
    recipe = _recipe_of(spec, folder)
    if not recipe.lock.exists():
        return None
    data = recipe.lock.read_bytes()
    for path, wanted in _pinned_beside(recipe, data.decode(errors="replace")):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
            option = "" if path == recipe.file else " --files-only"
            raise click.ClickException(
                f"{path} has changed since {recipe.lock.name} was made: run `risen recipe lock{option}`"
            )
    return hashlib.sha256(data).hexdigest()


def _pinned_beside(recipe: Recipe, text: str) -> list[tuple[Path, str]]:
    """The recipe and its own files with the sha256 that the lock gives each. A lock that cannot be read pins
    nothing: baking from it says what is wrong with it."""
    try:
        lock = parse_lock(text)
    except LockError:
        return []
    own = [(recipe.file.parent / one.path, one.sha256) for one in lock.files]
    return [(recipe.file, lock.recipe_sha256), *own]


@contextmanager
def told_errors() -> Iterator[None]:
    """Operating errors and problems of a recipe become one message and exit code 1."""
    try:
        yield
    except (InterfaceError, Problems) as error:
        raise click.ClickException(str(error)) from error


def _bake(spec: ClusterSpec, recipe: Recipe) -> dict[Role, BakedImage]:
    with told_errors():
        baked = bake_request(host(), recipe, _roles(spec), spec.kubernetes_version).bake(show_progress)
    for role, image in baked.items():
        click.echo(f"image   {role:<14} {image.digest[:19]}…  {image.size_bytes / 2**20:.0f} MiB")
    return baked


def _roles(spec: ClusterSpec) -> tuple[Role, ...]:
    return tuple(sorted({pool.role for pool in spec.pools}))


def _recipe_of(spec: ClusterSpec, folder: Path) -> Recipe:
    recipes = sorted({pool.recipe for pool in spec.pools})
    if len(recipes) > 1:
        raise click.ClickException(
            f"pools with different recipes ({', '.join(recipes)}) are not built yet: use one recipe for all"
        )
    return Recipe(folder / recipes[0])
