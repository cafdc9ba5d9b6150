"""`risen kill`: ask that an instance be ended now. Writes an intent; the controller acts, and replaces it."""

from __future__ import annotations

import getpass

import click

from risen.bootstrap import CLOCK, ENTROPY
from risen.cli.context import cluster_option, opened, run, yes_option
from risen.codec import records
from risen.core.history import KillIntent
from risen.core.names import InstanceName
from risen.engine.record import load_history
from risen.interfaces.errors import NotFound
from risen.interfaces.store import IfAbsent


@click.command()
@click.argument("instance")
@cluster_option
@yes_option
@click.option("--reason", default="", help="Why; it is kept in the ledger.")
@click.option("--accept-data-loss", is_flag=True, help="Also end the only etcd member.")
def kill(instance: str, name: str | None, yes: bool, reason: str, accept_data_loss: bool) -> None:
    """End INSTANCE now, without draining it; another rises. `risen events -w` shows how."""
    if not yes:
        click.confirm(f"end {instance} now, without draining it?", abort=True)
    run(_ask(name, InstanceName(instance), reason or f"asked by {getpass.getuser()}", accept_data_loss))


async def _ask(name: str | None, instance: InstanceName, reason: str, accept_data_loss: bool) -> None:
    cluster = await opened(name)
    history = await load_history(cluster.store)
    life = history.lives.get(instance)
    if life is None or life.gone_at_unix is not None:
        living = sorted(key for key, value in history.lives.items() if value.gone_at_unix is None)
        raise NotFound(
            f"no living instance {instance} in {cluster.name}; there are: {', '.join(living) or 'none'}"
        )
    intent = KillIntent(f"kill-{int(CLOCK.unix())}-{ENTROPY.suffix()}", instance, reason, accept_data_loss)
    await cluster.store.put(records.intent_key(intent.id), records.encode(intent), IfAbsent())
    leader = await cluster.leadership.leader()
    click.echo(
        f"asked   end {instance}: {leader or 'nobody leads now; it is done when `risen up` starts a controller'}"
    )
    click.echo(f"next    risen events -w -c {cluster.name}")
