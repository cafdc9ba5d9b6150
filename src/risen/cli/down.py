"""`risen down`: delete a cluster and exactly what was added to this host for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal

import click

from risen.bootstrap import CLOCK, Host, leadership_of, on_host, open_cluster
from risen.cli.context import chosen, cluster_option, host, need_root, run, yes_option
from risen.interfaces.errors import InterfaceError, NotFound
from risen.interfaces.store import Lead

LEAD_SECONDS = 30.0


@click.command()
@cluster_option
@yes_option
def down(name: str | None, yes: bool) -> None:
    """Delete a cluster: its instances, etcd data, network, store and keys. Images stay."""
    need_root("instances are systemd machines of this host")
    cluster = chosen(name)
    place = host()
    if not place.folder(cluster).exists():
        click.echo(f"no cluster {cluster} on this host: nothing to delete")
        return
    protected = run(_is_protected(place, cluster))
    click.echo(
        f"down    {cluster}: every instance, its etcd data, its network, {place.folder(cluster)} and its keys"
    )
    if protected and click.prompt("deletionProtection is on: type the cluster's name") != cluster:
        raise click.ClickException("not the cluster's name: nothing was deleted")
    if not protected and not yes:
        click.confirm("delete all of it?", abort=True)
    run(_delete(place, cluster))
    click.echo(f"gone    {cluster}")


async def _is_protected(place: Host, cluster: str) -> bool:
    """Protection as the spec in force says; a store that cannot be read protects nothing on this host."""
    try:
        return (await open_cluster(place, cluster)).spec.deletion_protection
    except InterfaceError:
        return False


async def _delete(place: Host, cluster: str) -> None:
    lead = await _take_lead(place, cluster)
    try:
        with contextlib.suppress(NotFound):
            there = on_host(place, cluster)
            seen = await there.provider.list()
            ours = [one for one in seen.instances if one.cluster == there.settings.uid]
            await asyncio.gather(*(there.provider.destroy(one.provider_id) for one in ours))
            for one in ours:
                click.echo(f"        {one.name}")
            await there.site.clear()
        shutil.rmtree(place.folder(cluster), ignore_errors=True)
        place.key_file(cluster).unlink(missing_ok=True)
        for folder in (place.home / "clusters", place.home / "keys"):
            with contextlib.suppress(OSError):
                folder.rmdir()
    finally:
        if lead is not None:
            await lead.release()


async def _take_lead(place: Host, cluster: str) -> Lead | None:
    """Ask the controller to end and lead in its place, so that nothing is launched meanwhile."""
    if not (place.folder(cluster) / "store").is_dir():
        return None
    leadership = leadership_of(place, cluster)
    end = CLOCK.boot() + LEAD_SECONDS
    while (lead := await leadership.try_lead(f"down {os.getpid()}")) is None:
        leader = await leadership.leader()
        pid = _pid_of(leader or "")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if CLOCK.boot() > end:
            raise click.ClickException(
                f"{leader} still leads after {LEAD_SECONDS:.0f} s: end it, then run `down` again"
            )
        await CLOCK.sleep(0.2)
    return lead


def _pid_of(leader: str) -> int | None:
    """The process id in `HOST PID …`."""
    words = leader.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
