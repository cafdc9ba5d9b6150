"""What people ask of the controller: an intent in the store, under their name. Acts on nothing itself."""

from __future__ import annotations

import difflib
import getpass
import os
from collections.abc import Iterable

import click

from risen.bootstrap import CLOCK, ENTROPY, Cluster
from risen.cli.words import leader_words
from risen.codec import records
from risen.core.history import History, Intent, Life
from risen.core.names import InstanceName
from risen.engine.past import load_past
from risen.interfaces.errors import NotFound
from risen.interfaces.store import IfAbsent


def caller() -> str:
    """Who asks: what CI calls itself in RISEN_BY, under sudo the one who called it, else the user; a number where
    the host knows no name."""
    named = os.environ.get("RISEN_BY") or os.environ.get("SUDO_USER")
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def new_id(kind: str) -> str:
    """An intent's id: its kind, the second, and chance."""
    return f"{kind}-{int(CLOCK.unix())}-{ENTROPY.suffix()}"


async def ask_for(cluster: Cluster, intent: Intent, said: str) -> None:
    """Write an intent and say what was asked, and who acts on it."""
    await cluster.store.put(records.intent_key(intent.id), records.encode(intent), IfAbsent())
    leader = await cluster.leadership.leader()
    who = leader_words(leader, CLOCK.unix()) if leader else "nobody leads: done once `risen up` starts one"
    click.echo(f"asked   {said} · {who}")


async def living(cluster: Cluster, instance: InstanceName) -> Life:
    """The life of an instance. Raises NotFound, which names those that live and are called nearly so."""
    return living_in((await load_past(cluster.store)).history, cluster.name, instance)


def living_in(history: History, cluster: str, instance: InstanceName) -> Life:
    """The same, of a history at hand."""
    life = history.lives.get(instance)
    if life is not None and life.gone_at_unix is None:
        return life
    living = [key for key, value in history.lives.items() if value.gone_at_unix is None]
    was = f"{instance} is gone" if life is not None else f"no living instance {instance} in {cluster}"
    raise NotFound(f"{was}; there are: {_near(instance, living)}")


def life_in(history: History, cluster: str, instance: InstanceName) -> Life:
    """The life of an instance, gone or not, as far back as the history goes. Raises NotFound."""
    life = history.lives.get(instance)
    if life is None:
        raise NotFound(
            f"no instance {instance} is known in {cluster}; there are: {_near(instance, history.lives)}"
        )
    return life


def _near(instance: InstanceName, names: Iterable[InstanceName]) -> str:
    """Those that are called nearly so, else all, as far as a line goes."""
    there = sorted(names)
    near = difflib.get_close_matches(instance, there, n=3) or there
    return ", ".join(near[:20]) or "none"
