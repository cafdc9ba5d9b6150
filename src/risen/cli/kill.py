"""`risen kill`: ask that an instance be ended now. Writes an intent; the controller acts, and replaces it."""

from __future__ import annotations

import getpass
import os

import click

from risen.bootstrap import CLOCK, ENTROPY, Cluster
from risen.cli.context import ask, cluster_option, opened, run, yes_option
from risen.cli.words import leader_words
from risen.codec import records
from risen.core.history import KillIntent
from risen.core.names import InstanceName
from risen.engine.past import load_past
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
    cluster = run(opened(name))
    run(_look_for(cluster, InstanceName(instance)))
    if not yes:
        ask(f"end {instance} now, without draining it?")
    run(_ask_for(cluster, InstanceName(instance), reason or f"asked by {_caller()}", accept_data_loss))


def _caller() -> str:
    """Who asks: under sudo the one who called it; a number where the host knows no name."""
    if "SUDO_USER" in os.environ:
        return os.environ["SUDO_USER"]
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


async def _look_for(cluster: Cluster, instance: InstanceName) -> None:
    history = (await load_past(cluster.store)).history
    life = history.lives.get(instance)
    if life is None or life.gone_at_unix is not None:
        living = sorted(key for key, value in history.lives.items() if value.gone_at_unix is None)
        raise NotFound(
            f"no living instance {instance} in {cluster.name}; there are: {', '.join(living) or 'none'}"
        )


async def _ask_for(cluster: Cluster, instance: InstanceName, reason: str, accept_data_loss: bool) -> None:
    intent = KillIntent(f"kill-{int(CLOCK.unix())}-{ENTROPY.suffix()}", instance, reason, accept_data_loss)
    await cluster.store.put(records.intent_key(intent.id), records.encode(intent), IfAbsent())
    leader = await cluster.leadership.leader()
    who = leader_words(leader, CLOCK.unix()) if leader else "nobody leads: done once `risen up` starts one"
    click.echo(f"asked   end {instance} now · {who}")
    click.echo(f"next    risen events -w -c {cluster.name}")
