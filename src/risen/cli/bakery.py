"""`risen recipe lock`, `risen bake` and `risen images`: words and exit codes around the builder.

Decides one thing only: which images of this host's clusters are not pruned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from risen.bakery.digest import diff_entries, render_entry
from risen.bakery.lock import parse_lock
from risen.bakery.recipe import EVERY_ROLE
from risen.bootstrap import Host, Recipe, bake_request, images_of, lock_files, lock_recipe, open_cluster
from risen.cli.context import ask, host, need_root, read_spec, run, yes_option
from risen.cli.output import output_option, tell_data
from risen.codec import records
from risen.codec.cluster_checks import KUBERNETES_VERSIONS
from risen.codec.yaml_nodes import Problems
from risen.core.names import ImageDigest, Role
from risen.engine.past import load_past
from risen.engine.record import read_revision
from risen.interfaces.builder import BakeProgress
from risen.interfaces.errors import InterfaceError

KEPT_REVISIONS = 5
"""Revisions whose images stay: the one in force and those before it."""


def show_progress(progress: BakeProgress) -> None:
    """One line of a bake on standard error."""
    if progress.cached:
        took = "cached"
    elif progress.seconds is None:
        took = "…"
    else:
        took = f"{progress.seconds:.1f}s"
    click.echo(f"{progress.step:<22} {took:>7}  {progress.waits_for}", err=True)


@contextmanager
def plain_errors() -> Iterator[None]:
    """What users did wrong, or what the world refused, as text and exit code 1, without a traceback."""
    try:
        yield
    except (InterfaceError, Problems) as error:
        raise click.ClickException(str(error)) from error


_recipe = click.option(
    "-f", "--recipe", "file", type=click.Path(path_type=Path), default=Path("recipe.yaml"), show_default=True,
    help="The recipe; its recipe.lock lies beside it.",
)  # fmt: skip


@click.group("recipe")
def recipe_group() -> None:
    """What goes into images."""


@recipe_group.command("lock")
@_recipe
@click.option("--kubernetes", multiple=True, help="A Kubernetes version to lock; may be given again.")
@click.option(
    "--files-only", is_flag=True, help="Keep every version; pin only files that the recipe names. No network."
)
def lock_command(file: Path, kubernetes: tuple[str, ...], files_only: bool) -> None:
    """Resolve the recipe and pin every component and package in recipe.lock: the newest that Debian has now.

    Without --kubernetes the version is that of a cluster.yaml beside the recipe, else the newest one. Where only
    the content of files, units or image archives beside the recipe has changed, --files-only will do."""
    recipe = Recipe(file)
    if files_only:
        _lock_files(recipe, kubernetes)
        return
    with plain_errors():
        lock_recipe(host(), recipe, kubernetes or _versions_beside(file), show_progress)
    lock = parse_lock(recipe.lock.read_text())
    for one in lock.components:
        click.echo(f"{one.name:<12} {one.version:<22} {one.why}")
    click.echo(f"{len(lock.packages)} Debian packages pinned in {recipe.lock}")
    click.echo("next    risen bake")


def _lock_files(recipe: Recipe, kubernetes: tuple[str, ...]) -> None:
    if kubernetes:
        raise click.UsageError(
            "--files-only keeps the Kubernetes versions of the lock: leave out --kubernetes"
        )
    with plain_errors():
        changed = lock_files(recipe)
    counted = f"{len(changed)} file{'s' * (len(changed) > 1)} changed: {', '.join(changed)}"
    click.echo(f"kept every version; {counted if changed else 'no file has changed'}")
    click.echo("next    risen bake")


@click.command("bake")
@_recipe
@click.option(
    "--role", "roles", multiple=True, type=click.Choice(["control-plane", "worker"]), help="Only this role."
)
@click.option("--kubernetes", default="", help="Which of the lock's Kubernetes versions.")
@output_option("text")
def bake_command(file: Path, roles: tuple[str, ...], kubernetes: str, output: str) -> None:
    """Bake images from recipe.lock. What is cached by its digest is not made again."""
    need_root("it installs Debian packages into a tree")
    wanted = tuple(Role(one) for one in roles) or EVERY_ROLE
    with plain_errors():
        baked = bake_request(host(), Recipe(file), wanted, kubernetes).bake(show_progress)
    if output != "text":
        tell_data({str(role): image.digest for role, image in baked.items()}, output)
        return
    for role, image in baked.items():
        click.echo(f"{role:<14} {image.digest}  {_mib(image.size_bytes)} in {len(image.layers)} layers")
    click.echo("next    risen up")


@click.group("images", invoke_without_command=True)
@click.pass_context
def images_group(context: click.Context) -> None:
    """Baked images of this host; alone it lists them."""
    if context.invoked_subcommand is None:
        context.invoke(list_command, output="text")


@images_group.command("list")
@output_option("text", "name")
def list_command(output: str) -> None:
    """All baked images."""
    shelf = images_of(host())
    with plain_errors():
        images = [(one, shelf.record(one.digest)) for one in shelf.list()]
    if output in ("json", "yaml"):
        tell_data([record for _, record in images], output)
    elif output == "name":
        for one, _ in images:
            click.echo(one.digest)
    else:
        click.echo(f"{'ROLE':<14} {'KUBERNETES':<11} {'SIZE':>8}  DIGEST")
        for one, record in images:
            click.echo(
                f"{one.role:<14} {record.get('kubernetes', ''):<11} {_mib(one.size_bytes):>8}  {one.digest}"
            )


@images_group.command("show")
@click.argument("digest")
@click.option("--verify", is_flag=True, help="Read the layers back and compare their digests.")
@click.option("--files", is_flag=True, help="List every path with mode, owner, size and sha256.")
@output_option("text")
def show_command(digest: str, verify: bool, files: bool, output: str) -> None:
    """One image: what it was baked from and where it lies. DIGEST may be shortened."""
    shelf = images_of(host())
    with plain_errors():
        found = shelf.find(digest)
        if verify:
            shelf.verify(found)
            click.echo("verified: every layer read back, digests equal", err=True)
        if files:
            for entry in shelf.contents(found):
                click.echo(render_entry(entry))
            return
        layers = [str(layer) for layer in shelf.get(found).layers]
        if output != "text":
            tell_data({**shelf.record(found), "paths": layers}, output)
            return
        click.echo(json.dumps(shelf.record(found), indent=1, sort_keys=True))
        for layer in layers:
            click.echo(f"# {layer}")


@images_group.command("diff")
@click.argument("old")
@click.argument("new")
def diff_command(old: str, new: str) -> None:
    """What differs between two images, path by path. Digests may be shortened."""
    shelf = images_of(host())
    with plain_errors():
        before, after = shelf.contents(shelf.find(old)), shelf.contents(shelf.find(new))
    for line in diff_entries(before, after):
        click.echo(line)


@images_group.command("prune")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@yes_option
def prune_command(dry_run: bool, yes: bool) -> None:
    """Remove images that no cluster of this host needs, and layers that no image needs.

    What was baked, or became needed, while the question stood is kept."""
    shelf = images_of(host())
    pinned = run(pinned_images(host()))
    with plain_errors():
        images = shelf.list()
        unneeded = {one.digest for one in images} - pinned
        if dry_run or not yes:
            for one in images:
                word = "remove" if one.digest in unneeded else "keep"
                click.echo(f"{word:<7} {one.role:<14} {one.digest}")
        if dry_run:
            return
        need_root("layers are root's")
        if not yes and unneeded:
            ask("remove these?")
        gone, freed = shelf.prune(unneeded, lambda: run(pinned_images(host())))
    for digest in gone:
        click.echo(f"removed {digest}")
    click.echo(f"{len(gone)} images removed, {_mib(freed)} freed")


async def pinned_images(at: Host) -> set[ImageDigest]:
    """Images that any cluster on this host may launch: of its living instances, of its newest revisions (what
    `rollout undo` goes to), and of the releases it goes back to by itself.

    Raises Corrupt, NotFound: what cannot be read pins everything, so that nothing is pruned then."""
    pinned: set[ImageDigest] = set()
    for name in at.clusters():
        store = (await open_cluster(at, name)).store
        history = (await load_past(store)).history
        pinned |= {life.birth.image for life in history.lives.values() if life.gone_at_unix is None}
        pinned |= {release.image for release in history.settled}
        for key in (await store.list(records.REVISIONS))[-KEPT_REVISIONS:]:
            revision = await read_revision(store, key)
            pinned |= {release.image for release in revision.releases}
    return pinned


def _versions_beside(recipe: Path) -> tuple[str, ...]:
    """The version that a cluster.yaml beside the recipe names, else the newest this Risen knows."""
    beside = recipe.parent / "cluster.yaml"
    return (read_spec(beside).kubernetes_version,) if beside.is_file() else KUBERNETES_VERSIONS[:1]


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


commands: tuple[click.Command, ...] = (recipe_group, bake_command, images_group)
"""For `cli/main.py`."""
