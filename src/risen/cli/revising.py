"""Applying a spec: what changes, whether it may, and writing the revision."""

from __future__ import annotations

from collections.abc import Mapping

import click

from risen.bootstrap import Cluster
from risen.codec.cluster_changes import Change, compare
from risen.core.names import ImageDigest, Role
from risen.core.spec import ClusterSpec
from risen.interfaces.errors import Conflict
from risen.services.revise import is_same, next_revision, read_newest, write_revision


async def apply_spec(
    cluster: Cluster, spec: ClusterSpec, images: Mapping[Role, ImageDigest], yes: bool
) -> bool:
    """Write the next revision unless nothing changed. Refuses by name what would roll instances."""
    last = await read_newest(cluster.store)
    wanted = next_revision(spec, images, last)
    if last is not None and is_same(last, wanted):
        click.echo(f"apply   revision {last.number}: nothing changed")
        return False
    if last is not None:
        changes = compare(last.spec, spec)
        tell_changes(changes)
        _refuse_rolling(changes, last.releases != wanted.releases)
        if not yes and changes:
            click.confirm("apply these changes?", abort=True)
    try:
        await write_revision(cluster.store, wanted)
    except Conflict as conflict:
        raise click.ClickException(
            "somebody else applied meanwhile; look at `risen plan` again"
        ) from conflict
    click.echo(f"apply   revision {wanted.number} of {spec.name}")
    return True


def tell_changes(changes: tuple[Change, ...]) -> None:
    """One line a change, saying whether it rolls."""
    for change in changes:
        effect = "rolls instances" if change.rolls else "replaces nothing"
        click.echo(f"  ~ {change.path} {change.old} → {change.new}   {effect}")


def _refuse_rolling(changes: tuple[Change, ...], releases_differ: bool) -> None:
    rolling = [change.path for change in changes if change.rolls]
    if rolling:
        raise click.ClickException(
            f"{', '.join(rolling)}: changing this would roll instances, and the rolling rebuild is not built yet; "
            "put the old value back, or make a new cluster"
        )
    if releases_differ:
        raise click.ClickException(
            "the images differ from those in force (the recipe.lock or this Risen changed), which would roll "
            "instances, and the rolling rebuild is not built yet; put the old recipe.lock back"
        )
