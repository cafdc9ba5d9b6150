"""`risen plan` and `risen apply`: what a changed cluster.yaml or recipe.lock does, and doing it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from risen.bootstrap import Cluster, open_cluster
from risen.cli.context import file_option, host, read_cluster_file, run, yes_option
from risen.cli.planning import tell_plan
from risen.cli.revising import ApplyOptions, apply_file, apply_planned
from risen.codec import records


@click.command()
@file_option
@click.option(
    "--out", type=click.Path(path_type=Path), help="Keep the plan in this file, for `risen apply FILE`."
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when something would change.")
def plan(file: Path, out: Path | None, detailed_exitcode: bool) -> None:
    """Show what applying cluster.yaml would change: in which waves, how long, what stands in the way. Changes
    nothing."""
    if tell_plan(file, out) and detailed_exitcode:
        sys.exit(2)


@click.command()
@click.argument("plan_file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
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
def apply(plan_file: Path | None, file: Path, dry_run: bool, **how: str | bool) -> None:
    """Apply cluster.yaml and the recipe.lock beside its recipe, or the plan in FILE that `risen plan --out` wrote.

    What rolls instances replaces them a few at a time; what cannot be changed on a cluster that is up is refused
    by name. A plan is refused once the world moved on: another revision was applied, or orders, sizes, instances or etcd are
    not as they were. It is applied without asking.
    """
    options = ApplyOptions(bool(how["yes"]), str(how["reason"]), str(how["override"]))
    if plan_file is not None:
        given = (
            click.get_current_context().get_parameter_source("file") is click.core.ParameterSource.COMMANDLINE
        )
        if dry_run or given:
            raise click.UsageError("FILE is a plan and stands alone: without --file and --dry-run")
        cluster, applied = _apply_plan(plan_file, options)
    elif dry_run:
        tell_plan(file)
        return
    else:
        wanted = read_cluster_file(file)
        cluster = run(open_cluster(host(), wanted.spec.name))
        applied = run(apply_file(cluster, wanted, file.parent, options))
    if applied and run(cluster.leadership.leader()) is None:
        click.echo("        nobody leads: it is done once `risen up` starts a controller")
    click.echo(f"next    risen status -c {cluster.name}")


def _apply_plan(file: Path, options: ApplyOptions) -> tuple[Cluster, bool]:
    plan = _read(file)
    cluster = run(open_cluster(host(), plan.name))
    return cluster, run(apply_planned(cluster, plan, options))


def _read(file: Path) -> records.PlanFile:
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise click.ClickException(f"{file}: no such plan; `risen plan --out {file}` writes one") from error
    if b"apiVersion" in data[:4096]:
        raise click.ClickException(f"{file}: no plan; a cluster.yaml is given by -f {file}")
    return records.decode(data, records.PlanFile, str(file))
