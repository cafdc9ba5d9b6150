"""`risen plan` and `risen apply`: replicas, labels and taints of a running cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from risen.bootstrap import Cluster, open_cluster
from risen.cli.context import file_option, host, read_spec, run, yes_option
from risen.cli.glimpse import Glimpse, Looker
from risen.cli.revising import apply_spec, tell_changes
from risen.codec.cluster_changes import compare
from risen.core.spec import ClusterSpec


@click.command()
@file_option
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when something would change.")
def plan(file: Path, detailed_exitcode: bool) -> None:
    """Show what applying cluster.yaml would change, and what the rules would do now. Changes nothing."""
    spec = read_spec(file)
    cluster = run(open_cluster(host(), spec.name))
    changes = compare(cluster.spec, spec)
    number = 0 if cluster.revision is None else cluster.revision.number
    click.echo(f"{spec.name} revision {number} → {number + bool(changes)} · this command launches nothing")
    tell_changes(changes)
    _tell_replicas(cluster.spec, spec)
    glimpse = run(_look(cluster))
    for step in glimpse.plan.steps:
        click.echo(f"  now     {type(step).__name__}")
    for waiting in glimpse.plan.waiting:
        click.echo(f"WAITING  {waiting.subject} for {waiting.for_what}")
    for blocked in glimpse.plan.blocked:
        click.echo(f"BLOCKED  {blocked.name}: {blocked.subject}: {blocked.why}")
    click.echo("next    risen apply" if changes else "nothing would change")
    if changes and detailed_exitcode:
        sys.exit(2)


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
def apply(file: Path, yes: bool) -> None:
    """Apply cluster.yaml: replicas, labels and taints. What would roll instances is refused by name."""
    spec = read_spec(file)
    cluster = run(open_cluster(host(), spec.name))
    if run(apply_spec(cluster, spec, file.parent, yes)):
        click.echo(f"next    risen status -c {spec.name}")
