"""Images for a spec: locked and baked if they are not yet there, with progress."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from risen.adapters.builder.bake import BakeRequest, bake
from risen.adapters.builder.locking import LockRequest, make_lock
from risen.cli.bakery import lock_path, show_progress
from risen.cli.context import host
from risen.codec.yaml_nodes import Problems
from risen.core.names import ImageDigest, Role
from risen.core.spec import ClusterSpec
from risen.instance.content import image_content
from risen.interfaces.errors import InterfaceError


def bake_for(spec: ClusterSpec, folder: Path) -> Mapping[Role, ImageDigest]:
    """Lock the recipe where it has no lock, and bake what is not baked; quick when nothing is to do."""
    recipe = _recipe_of(spec, folder)
    try:
        if not lock_path(recipe).exists():
            click.echo(f"lock    {lock_path(recipe)}: resolving every component and package once")
            make_lock(
                LockRequest(recipe, lock_path(recipe), host().cache, (spec.kubernetes_version,)),
                show_progress,
            )
        return _bake(spec, recipe)
    except (InterfaceError, Problems) as error:
        raise click.ClickException(str(error)) from error


def _recipe_of(spec: ClusterSpec, folder: Path) -> Path:
    recipes = sorted({pool.recipe for pool in spec.pools})
    if len(recipes) > 1:
        raise click.ClickException(
            f"pools with different recipes ({', '.join(recipes)}) are not built yet: use one recipe for all"
        )
    return folder / recipes[0]


def _bake(spec: ClusterSpec, recipe: Path) -> Mapping[Role, ImageDigest]:
    roles = tuple(sorted({pool.role for pool in spec.pools}))
    request = BakeRequest(
        recipe, lock_path(recipe), host().home, host().cache, image_content, roles, spec.kubernetes_version
    )
    baked = bake(request, show_progress)
    for role, image in baked.items():
        click.echo(f"image   {role:<14} {image.digest[:19]}…  {image.size_bytes / 2**20:.0f} MiB")
    return {role: image.digest for role, image in baked.items()}


def baked_for(spec: ClusterSpec, folder: Path) -> Mapping[Role, ImageDigest]:
    """The images of a spec that `apply` compares against those in force; baked where the lock is newer."""
    recipe = _recipe_of(spec, folder)
    if not lock_path(recipe).exists():
        raise click.ClickException(
            f"{lock_path(recipe)}: not there; `risen recipe lock` makes it, or put it back"
        )
    try:
        return _bake(spec, recipe)
    except (InterfaceError, Problems) as error:
        raise click.ClickException(str(error)) from error
