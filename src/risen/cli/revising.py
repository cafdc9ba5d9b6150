"""Applying a spec: what changes, whether it may, and writing the revision."""

from __future__ import annotations

from pathlib import Path

import click

from risen.bootstrap import Cluster
from risen.cli.baking import bake_for, bake_missing, lock_digest
from risen.cli.context import ask
from risen.codec.cluster_changes import Change, compare
from risen.core.spec import ClusterSpec, Revision
from risen.interfaces.errors import Conflict
from risen.services.revise import (
    first_revision,
    images_of_revision,
    next_revision,
    read_newest,
    write_revision,
)


async def apply_spec(cluster: Cluster, spec: ClusterSpec, folder: Path, yes: bool) -> bool:
    """Write the next revision unless nothing changed. Refuses by name what would roll instances."""
    last = await read_newest(cluster.store)
    if last is None:
        await _write(cluster, first_revision(spec, bake_for(spec, folder)))
        return True
    changes = compare(last.spec, spec)
    tell_changes(changes)
    _refuse_rolling(changes, last, lock_digest(spec, folder))
    if changes and not yes:
        ask("apply these changes?")
    bake_missing(last, spec, folder)
    if not changes:
        click.echo(f"apply   revision {last.number}: nothing changed")
        return False
    await _write(cluster, next_revision(last, spec, images_of_revision(last)))
    return True


async def _write(cluster: Cluster, revision: Revision) -> None:
    """Of two that apply the same at once both go on; who applied something else is told."""
    try:
        await write_revision(cluster.store, revision)
    except Conflict as conflict:
        newest = await read_newest(cluster.store)
        if newest is None or newest != revision:
            raise click.ClickException(
                "somebody else applied meanwhile, and something else; look at `risen plan` again"
            ) from conflict
        click.echo(f"apply   revision {revision.number} of {cluster.name} (somebody else applied the same)")
        return
    click.echo(f"apply   revision {revision.number} of {cluster.name}")


def tell_changes(changes: tuple[Change, ...]) -> None:
    """One line a change, saying what it does."""
    for change in changes:
        click.echo(f"  ~ {change}")


def _refuse_rolling(changes: tuple[Change, ...], last: Revision, lock: str | None) -> None:
    rolling = [change.path for change in changes if change.rolls]
    if rolling:
        raise click.ClickException(
            f"{', '.join(rolling)}: changing this would roll instances, and the rolling rebuild is not built "
            "yet; put the old value back, or make a new cluster"
        )
    if lock is not None and lock != last.lock:
        raise click.ClickException(
            f"recipe.lock is not the one that revision {last.number} was baked from, so it would roll "
            "instances, and the rolling rebuild is not built yet; put the old recipe.lock back"
        )
