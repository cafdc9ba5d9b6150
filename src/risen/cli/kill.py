"""`risen kill`: ask that an instance be ended now. Writes an intent; the controller acts, and replaces it."""

from __future__ import annotations

import click

from risen.cli.asking import ask_for, caller, living, new_id
from risen.cli.context import ask, cluster_option, opened, run, yes_option
from risen.core.history import KillIntent
from risen.core.names import InstanceName


@click.command()
@click.argument("instance")
@cluster_option
@yes_option
@click.option("--reason", default="", help="Why; it is kept in the ledger.")
@click.option("--accept-data-loss", is_flag=True, help="Also end the only etcd member.")
def kill(instance: str, name: str | None, yes: bool, reason: str, accept_data_loss: bool) -> None:
    """End INSTANCE now, without draining it; another rises. `risen replace` drains it first."""
    cluster = run(opened(name))
    run(living(cluster, InstanceName(instance)))
    if not yes:
        ask(f"end {instance} now, without draining it?")
    why = f"{reason} (asked by {caller()})" if reason else f"asked by {caller()}"
    intent = KillIntent(new_id("kill"), InstanceName(instance), why, accept_data_loss)
    run(ask_for(cluster, intent, f"end {instance} now"))
    click.echo(f"next    risen events -w -c {cluster.name}")
