"""`risen recipe lock`, `risen bake` and `risen images`: words and exit codes around the builder.

Imports the builder only inside commands, so that `risen --help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from risen.core.names import ImageDigest, Role

if TYPE_CHECKING:
    from risen.adapters.builder.shelf import Shelf
    from risen.interfaces.builder import BakeProgress

Pinned = Callable[[], set[ImageDigest]]
FAILED, USAGE = 1, 64


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of this host: RISEN_HOME and RISEN_CACHE."""

    home: Path
    cache: Path


def places() -> Places:
    """From the environment, else /var/lib/risen and /var/cache/risen."""
    return Places(
        Path(os.environ.get("RISEN_HOME", "/var/lib/risen")),
        Path(os.environ.get("RISEN_CACHE", "/var/cache/risen")),
    )


def show_progress(progress: BakeProgress) -> None:
    """One line of a bake on standard error."""
    if progress.cached:
        line = f"{progress.step:24} cached   {progress.waits_for}"
    elif progress.seconds is None:
        line = f"{progress.step:24} …        {progress.waits_for}"
    else:
        line = f"{progress.step:24} {progress.seconds:6.1f}s  {progress.waits_for}"
    click.echo(line, err=True)


@contextmanager
def plain_errors() -> Iterator[None]:
    """What users did wrong, or what the world refused, as text and exit code 1, without a traceback."""
    from risen.codec.yaml_nodes import Problems
    from risen.interfaces.errors import InterfaceError

    try:
        yield
    except (InterfaceError, Problems) as error:
        click.echo(str(error), err=True)
        sys.exit(FAILED)


def _root_only() -> None:
    if os.geteuid() != 0:
        click.echo("baking needs root (it installs Debian packages into a tree): use sudo", err=True)
        sys.exit(FAILED)


_recipe = click.option(
    "-f", "--recipe", type=click.Path(path_type=Path), default=Path("recipe.yaml"), show_default=True,
    help="The recipe; its recipe.lock lies beside it.",
)  # fmt: skip


@click.group("recipe")
def recipe_group() -> None:
    """What goes into images."""


@recipe_group.command("lock")
@_recipe
@click.option(
    "--kubernetes", multiple=True, help="A Kubernetes version to lock; may be given again. [1.36.3]"
)
def lock_command(recipe: Path, kubernetes: tuple[str, ...]) -> None:
    """Resolve the recipe and pin every component and package in recipe.lock."""
    from risen.adapters.builder.locking import LockRequest, make_lock

    with plain_errors():
        path = lock_path(recipe)
        request = LockRequest(recipe, path, places().cache, kubernetes or kubernetes_wanted(recipe))
        lock = make_lock(request, show_progress)
        for one in lock.components:
            click.echo(f"{one.name} {one.version}: {one.why}{' [compiled here]' if one.compiled else ''}")
        click.echo(f"{len(lock.packages)} Debian packages · {path}")
        click.echo("next    risen bake")


@click.command("bake")
@_recipe
@click.option(
    "--role", "roles", multiple=True, type=click.Choice(["control-plane", "worker"]), help="Only this role."
)
@click.option("--kubernetes", default="", help="Which of the lock's Kubernetes versions.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def bake_command(recipe: Path, roles: tuple[str, ...], kubernetes: str, output: str) -> None:
    """Bake images from recipe.lock."""
    from risen.adapters.builder.bake import BakeRequest, bake
    from risen.bakery.recipe import EVERY_ROLE
    from risen.instance.content import image_content

    with plain_errors():
        _root_only()
        wanted = tuple(Role(one) for one in roles) or EVERY_ROLE
        place = places()
        request = BakeRequest(
            recipe, lock_path(recipe), place.home, place.cache, image_content, wanted, kubernetes
        )
        baked = bake(request, show_progress)
        if output == "json":
            click.echo(json.dumps({str(role): image.digest for role, image in baked.items()}, indent=1))
            return
        for role, image in baked.items():
            click.echo(f"{role:14} {image.digest}  {_mib(image.size_bytes)} in {len(image.layers)} layers")
        click.echo("next    risen images list")


@click.group("images")
def images_group() -> None:
    """Baked images of this host."""


@images_group.command("list")
@click.option("-o", "--output", type=click.Choice(["text", "json", "name"]), default="text")
def list_command(output: str) -> None:
    """All baked images."""
    with plain_errors():
        shelf = _shelf()
        images = shelf.list()
        if output == "json":
            click.echo(json.dumps([shelf.record(one.digest) for one in images], indent=1))
        elif output == "name":
            for one in images:
                click.echo(one.digest)
        else:
            click.echo(f"{'ROLE':14} {'KUBERNETES':11} {'SIZE':>9}  DIGEST")
            for one in images:
                version = shelf.record(one.digest).get("kubernetes", "")
                click.echo(f"{one.role:14} {version:11} {_mib(one.size_bytes):>9}  {one.digest}")


@images_group.command("show")
@click.argument("digest")
@click.option("--verify", is_flag=True, help="Read the layers back and compare their digests.")
@click.option("--files", is_flag=True, help="List every path.")
def show_command(digest: str, verify: bool, files: bool) -> None:
    """One image: what it was baked from and where it lies. DIGEST may be shortened."""
    from risen.bakery.digest import render_entry

    with plain_errors():
        shelf = _shelf()
        found = shelf.find(digest)
        if verify:
            shelf.verify(found)
            click.echo(f"{found}: every layer read back, digests equal", err=True)
        if files:
            for entry in shelf.contents(found):
                click.echo(render_entry(entry))
            return
        click.echo(json.dumps(shelf.record(found), indent=1, sort_keys=True))
        for layer in shelf.get(found).layers:
            click.echo(str(layer))


@images_group.command("diff")
@click.argument("old")
@click.argument("new")
def diff_command(old: str, new: str) -> None:
    """What differs between two images, path by path."""
    from risen.bakery.digest import diff_entries

    with plain_errors():
        shelf = _shelf()
        before, after = shelf.contents(shelf.find(old)), shelf.contents(shelf.find(new))
        for line in diff_entries(before, after):
            click.echo(line)


def images_prune(pinned: Pinned) -> click.Command:
    """`images prune`, told what clusters still need."""

    @click.command("prune")
    @click.option("--dry-run", is_flag=True, help="Only say what would go.")
    def prune(dry_run: bool) -> None:
        """Remove images that no cluster needs, and layers no image needs."""
        with plain_errors():
            shelf, kept = _shelf(), pinned()
            if dry_run:
                for one in shelf.list():
                    click.echo(f"{'keep  ' if one.digest in kept else 'remove'} {one.role:14} {one.digest}")
                return
            gone, freed = shelf.prune(kept)
            for digest in gone:
                click.echo(f"removed {digest}")
            click.echo(f"{len(gone)} images removed, {_mib(freed)} freed")

    return prune


def kubernetes_wanted(recipe: Path) -> tuple[str, ...]:
    """The version that a cluster.yaml beside the recipe names, else the newest with a shipped module set."""
    from risen.adapters.builder.golang import shipped_versions
    from risen.codec.cluster_yaml import parse_cluster

    beside = recipe.parent / "cluster.yaml"
    if beside.is_file():
        return (parse_cluster(beside.read_text(), str(beside)).kubernetes_version,)
    return (max(shipped_versions("kubernetes"), key=lambda one: [int(part) for part in one.split(".")]),)


def lock_path(recipe: Path) -> Path:
    """`recipe.lock` beside `recipe.yaml`."""
    return recipe.with_suffix(".lock")


def _shelf() -> Shelf:
    from risen.adapters.builder.shelf import Shelf

    return Shelf(places().home)


def _mib(size: int) -> str:
    return f"{size / 1024 / 1024:.0f} MiB"


commands: tuple[click.Command, ...] = (recipe_group, bake_command, images_group)
"""For cli/main.py, which also adds `images_prune(...)` to the images group."""


@click.group()
def main() -> None:
    """The bakery alone: `python -m risen.cli.bakery`."""


for _command in commands:
    main.add_command(_command)

if __name__ == "__main__":
    main()
