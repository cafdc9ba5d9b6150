"""Images for a spec: locked and baked if they are not yet there, with progress."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from risen.bootstrap import Recipe, bake_images, images_of, lock_recipe
from risen.cli.bakery import show_progress
from risen.cli.context import host
from risen.codec.yaml_nodes import Problems
from risen.core.names import ImageDigest, Role
from risen.core.spec import ClusterSpec, Revision
from risen.interfaces.errors import InterfaceError
from risen.services.revise import Baked


def bake_for(spec: ClusterSpec, folder: Path) -> Baked:
    """Bake the images of a spec's recipe, locking it first where it has no lock; quick when all is baked."""
    recipe = _recipe_of(spec, folder)
    if not recipe.lock.exists():
        click.echo(f"lock    {recipe.lock}: resolving every component and package once")
        with told_errors():
            lock_recipe(host(), recipe, (spec.kubernetes_version,), show_progress)
    digest = lock_digest(spec, folder)
    assert digest is not None
    return Baked(_bake(spec, recipe), digest)


def bake_missing(revision: Revision, spec: ClusterSpec, folder: Path) -> None:
    """Bake again what the images folder has lost. Raises when the bytes are not those of the revision."""
    there = {image.digest for image in images_of(host()).list()}
    missing = {release.image for release in revision.releases} - there
    if not missing:
        return
    baked = set(_bake(spec, _recipe_of(spec, folder)).values())
    if missing - baked:
        raise click.ClickException(
            f"image {min(missing - baked)} of revision {revision.number} is gone, and this recipe.lock and "
            "this Risen bake another one: bake it with the Risen that made it"
        )


def lock_digest(spec: ClusterSpec, folder: Path) -> str | None:
    """SHA-256 of the recipe.lock; None where there is none."""
    lock = _recipe_of(spec, folder).lock
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None


@contextmanager
def told_errors() -> Iterator[None]:
    """Operating errors and problems of a recipe become one message and exit code 1."""
    try:
        yield
    except (InterfaceError, Problems) as error:
        raise click.ClickException(str(error)) from error


def _bake(spec: ClusterSpec, recipe: Recipe) -> dict[Role, ImageDigest]:
    roles = tuple(sorted({pool.role for pool in spec.pools}))
    with told_errors():
        baked = bake_images(host(), recipe, roles, spec.kubernetes_version, show_progress)
    for role, image in baked.items():
        click.echo(f"image   {role:<14} {image.digest[:19]}…  {image.size_bytes / 2**20:.0f} MiB")
    return {role: image.digest for role, image in baked.items()}


def _recipe_of(spec: ClusterSpec, folder: Path) -> Recipe:
    recipes = sorted({pool.recipe for pool in spec.pools})
    if len(recipes) > 1:
        raise click.ClickException(
            f"pools with different recipes ({', '.join(recipes)}) are not built yet: use one recipe for all"
        )
    return Recipe(folder / recipes[0])
