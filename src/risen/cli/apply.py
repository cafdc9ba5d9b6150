"""`risen plan` and `risen apply`: what a changed cluster.yaml or recipe.lock does, and doing it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from risen.bootstrap import Cluster, open_cluster
from risen.cli.context import file_option, host, read_spec, run, yes_option
from risen.cli.glimpse import Glimpse, Looker
from risen.cli.revising import (
    ApplyOptions,
    Proposal,
    apply_spec,
    foreseen,
    propose,
    tell_changes,
    tell_releases,
)
from risen.cli.words import blocked_words, step_words, waiting_words
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
    last = cluster.revision_in_force
    proposal = propose(last, spec, file.parent)
    number = last.number
    click.echo(
        f"{spec.name} revision {number} → {number + proposal.something} · this command launches nothing"
    )
    tell_changes(proposal)
    _tell_releases(proposal, file.parent)
    _tell_replicas(last.spec, spec)
    if proposal.refusal:
        click.echo(f"REFUSED  {proposal.refusal}")
    glimpse = run(_look(cluster))
    for step in glimpse.plan.steps:
        click.echo(f"NOW      {step_words(step)}")
    for waiting in glimpse.plan.waiting:
        click.echo(f"WAITING  {waiting_words(waiting, glimpse.boot)}")
    for blocked in glimpse.plan.blocked:
        click.echo(f"BLOCKED  {blocked_words(blocked)}")
    if not proposal.something:
        click.echo("nothing would change")
    where = "" if file == Path("cluster.yaml") else f" -f {file}"
    command = f"risen {'plan' if proposal.refusal else 'apply'}{where}"
    click.echo(f"next    {command if proposal.something else f'risen status -c {spec.name}'}")
    return proposal.something


def _tell_releases(proposal: Proposal, folder: Path) -> None:
    if not proposal.rolls or proposal.refusal:
        return
    revision = foreseen(proposal, folder)
    if revision is None:
        click.echo("  releases are known once their images are baked (`risen apply` bakes them first)")
        return
    tell_releases(proposal.last, revision)


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
@click.option("--reason", default="", help="Why; it is kept with the revision.")
@click.option(
    "--override-revocation",
    "override",
    default="",
    metavar="REASON",
    help="Take a revoked release nevertheless.",
)
def apply(file: Path, yes: bool, dry_run: bool, reason: str, override: str) -> None:
    """Apply cluster.yaml and the recipe.lock beside its recipe. What rolls instances replaces them a few at a
    time; what cannot be changed on a cluster that is up is refused by name."""
    if dry_run:
        _tell_plan(file)
        return
    spec = read_spec(file)
    cluster = run(open_cluster(host(), spec.name))
    applied = run(apply_spec(cluster, spec, file.parent, ApplyOptions(yes, reason, override)))
    if applied and run(cluster.leadership.leader()) is None:
        click.echo("        nobody leads: it is done once `risen up` starts a controller")
    click.echo(f"next    risen status -c {spec.name}")
