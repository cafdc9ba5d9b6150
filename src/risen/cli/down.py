"""`risen down`: delete a cluster and exactly what was added to this host for it."""

from __future__ import annotations

import contextlib
import shutil

import click

from risen.bootstrap import Host, destroy_all, open_cluster, site_on_host
from risen.cli.context import chosen, cluster_option, host, need_root, run, yes_option
from risen.cli.leading import take_lead
from risen.interfaces.errors import InterfaceError, NotFound


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
    lead = await take_lead(place, cluster)
    try:
        with contextlib.suppress(NotFound):
            for instance in await destroy_all(place, cluster):
                click.echo(f"        {instance}")
            await site_on_host(place, cluster).clear()
        shutil.rmtree(place.folder(cluster), ignore_errors=True)
        place.key_file(cluster).unlink(missing_ok=True)
        for folder in (place.home / "clusters", place.home / "keys"):
            with contextlib.suppress(OSError):
                folder.rmdir()
    finally:
        if lead is not None:
            await lead.release()
