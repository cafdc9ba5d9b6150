"""Images for a spec: locked and baked if they are not yet there, with progress."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from risen.bootstrap import Recipe, bake_images, lock_recipe
from risen.cli.bakery import show_progress
from risen.cli.context import host
from risen.codec.yaml_nodes import Problems
from risen.core.names import ImageDigest, Role
from risen.core.spec import ClusterSpec
from risen.interfaces.errors import InterfaceError


def bake_for(spec: ClusterSpec, folder: Path, *, may_lock: bool) -> Mapping[Role, ImageDigest]:
    """The images of a spec's recipe, by role; quick when all is baked.

    Without a recipe.lock one is made if `may_lock`, else this is refused: a new lock may mean new images.
    """
    recipe = _recipe_of(spec, folder)
    roles = tuple(sorted({pool.role for pool in spec.pools}))
    try:
        if not recipe.lock.exists():
            if not may_lock:
                raise click.ClickException(
                    f"{recipe.lock}: not there; put it back, or make it by `risen recipe lock`"
                )
            click.echo(f"lock    {recipe.lock}: resolving every component and package once")
            lock_recipe(host(), recipe, (spec.kubernetes_version,), show_progress)
        baked = bake_images(host(), recipe, roles, spec.kubernetes_version, show_progress)
    except (InterfaceError, Problems) as error:
        raise click.ClickException(str(error)) from error
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
