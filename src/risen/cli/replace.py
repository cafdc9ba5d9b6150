"""`risen replace`: ask for another instance in the place of one that works. Writes an intent; the controller acts."""

from __future__ import annotations

import click

from risen.cli.asking import ask_for, caller, living, new_id
from risen.cli.context import ask, cluster_option, opened, run, yes_option
from risen.core.history import ReplaceIntent
from risen.core.names import InstanceName


@click.command()
@click.argument("instance")
@cluster_option
@yes_option
@click.option("--reason", default="", help="Why; it is kept in the ledger.")
def replace(instance: str, name: str | None, yes: bool, reason: str) -> None:
    """Put another in the place of INSTANCE: launched first where the pool may surge, then INSTANCE is drained and
    powered off.

    Budgets are kept, and nothing of it is lost that runs elsewhere too. `risen kill` is for what hangs.
    """
    cluster = run(opened(name))
    life = run(living(cluster, InstanceName(instance)))
    if not yes:
        ask(f"replace {instance} of pool {life.birth.pool}, drained first?")
    intent = ReplaceIntent(new_id("replace"), InstanceName(instance), caller(), reason)
    run(ask_for(cluster, intent, f"replace {instance}"))
    click.echo(f"next    risen rollout status -w -c {cluster.name}")
