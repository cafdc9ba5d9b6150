"""`risen plan` and `risen apply`: replicas, labels and taints of a running cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from risen.bootstrap import Cluster, open_cluster
from risen.cli.context import file_option, host, read_spec, run, yes_option
from risen.cli.glimpse import Glimpse, Looker
from risen.cli.revising import apply_spec, tell_changes
from risen.cli.words import blocked_words, step_words, waiting_words
from risen.codec.cluster_changes import compare
from risen.core.spec import ClusterSpec


@click.command()
@file_option
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when something would change.")
def plan(file: Path, detailed_exitcode: bool) -> None:
    """Show what applying cluster.yaml would change, and what the rules would do now. Changes nothing."""
    if _tell_plan(file) and detailed_exitcode:
        sys.exit(2)


def _tell_plan(file: Path) -> bool:
    """Whether applying the file would change anything."""
    spec = read_spec(file)
    cluster = run(open_cluster(host(), spec.name))
    changes = compare(cluster.spec, spec)
    number = 0 if cluster.revision is None else cluster.revision.number
    click.echo(f"{spec.name} revision {number} → {number + bool(changes)} · this command launches nothing")
    tell_changes(changes)
    _tell_replicas(cluster.spec, spec)
    glimpse = run(_look(cluster))
    for step in glimpse.plan.steps:
        click.echo(f"NOW      {step_words(step)}")
    for waiting in glimpse.plan.waiting:
        click.echo(f"WAITING  {waiting_words(waiting, glimpse.boot)}")
    for blocked in glimpse.plan.blocked:
        click.echo(f"BLOCKED  {blocked_words(blocked)}")
    if not changes:
        click.echo("nothing would change")
    where = "" if file == Path("cluster.yaml") else f" -f {file}"
    click.echo(f"next    risen apply{where}" if changes else f"next    risen status -c {spec.name}")
    return bool(changes)


def _tell_replicas(now: ClusterSpec, wanted: ClusterSpec) -> None:
    for pool in wanted.pools:
        before = now.pool(pool.name)
        more = pool.replicas - (before.replicas if before else 0)
        if more:
            click.echo(f"  {pool.name}: {'launch' if more > 0 else 'drain and delete'} {abs(more)}")


async def _look(cluster: Cluster) -> Glimpse:
    looker = await Looker.open(cluster)
    try:
        return await looker.look_in_sync()
    finally:
        await looker.close()


@click.command()
@file_option
@yes_option
@click.option("--dry-run", is_flag=True, help="Change nothing: the same as `risen plan`.")
def apply(file: Path, yes: bool, dry_run: bool) -> None:
    """Apply cluster.yaml: replicas, labels and taints. What would roll instances is refused by name."""
    if dry_run:
        _tell_plan(file)
        return
    spec = read_spec(file)
    cluster = run(open_cluster(host(), spec.name))
    applied = run(apply_spec(cluster, spec, file.parent, yes))
    if applied and run(cluster.leadership.leader()) is None:
        click.echo("        nobody leads: it is done once `risen up` starts a controller")
    click.echo(f"next    risen status -c {spec.name}")
