"""`risen down`: delete a cluster with its data and keys, and undo what it changed of this host while it was up."""

from __future__ import annotations

import contextlib
import shutil

import click

from risen.bootstrap import Host, destroy_all, lost_site, mend_site, open_cluster, rose_on_host, site_on_host
from risen.cli.context import ask, chosen, cluster_option, host, need_root, no_answer, run, yes_option
from risen.cli.leading import take_lead
from risen.interfaces.errors import InterfaceError, NotFound


@click.command()
@cluster_option
@yes_option
def down(name: str | None, yes: bool) -> None:
    """Delete a cluster: its instances, etcd data, network, store and keys. Images, what bakes fetched and compiled,
    installed packages and your files stay.

    Where deletionProtection is on, or the store cannot say, the cluster's name must be typed, also with --yes.
    """
    need_root("instances are systemd machines of this host")
    cluster = chosen(name)
    place = host()
    if not place.folder(cluster).exists() and not place.key_file(cluster).exists():
        click.echo(f"no cluster {cluster} on this host: nothing to delete")
        click.echo("next    risen init   then: risen up")
        return
    run(mend_site(place, cluster))
    run(_refuse_while_foreign(place, cluster))
    protected = run(_protection(place, cluster))
    click.echo(
        f"down    {cluster}: every instance, its etcd data, its network, {place.folder(cluster)} and its keys"
    )
    if protected:
        _ask_for_name(protected, cluster)
    elif not yes:
        ask("delete all of it?")
    lost = lost_site(place, cluster)
    if lost:
        raise click.ClickException(f"nothing was deleted: {lost}")
    run(_delete(place, cluster))
    click.echo(f"gone    {cluster}")
    click.echo(
        "next    risen up     (images are kept, so a new cluster rises sooner; or: risen images prune)"
    )


def _ask_for_name(why: str, cluster: str) -> None:
    try:
        typed = click.prompt(f"{why}: type the cluster's name to delete it")
    except click.Abort as end:
        raise no_answer(end, "type the cluster's name into its standard input") from end
    if typed != cluster:
        raise click.ClickException("not the cluster's name: nothing was deleted")


async def _refuse_while_foreign(place: Host, cluster: str) -> None:
    """Machines of others on the bridge would lose their network: nothing is begun while one is there."""
    with contextlib.suppress(NotFound):
        await site_on_host(place, cluster).refuse_while_foreign()


async def _protection(place: Host, cluster: str) -> str:
    """Why the cluster is protected; empty when it is not. A store that cannot be read, or is away from a cluster that
    rose here, counts as protected; one that was never finished holds nothing to protect."""
    try:
        protected = (await open_cluster(place, cluster)).spec.deletion_protection
    except NotFound:
        away = f"{place.folder(cluster) / 'store'} is away or empty, so the cluster may be protected"
        return away if rose_on_host(place, cluster) else ""
    except InterfaceError as error:
        click.echo(f"Error: {error}", err=True)
        return "the store cannot be read, so the cluster may be protected"
    return "deletionProtection is on" if protected else ""


async def _delete(place: Host, cluster: str) -> None:
    lead = await take_lead(place, cluster)
    try:
        with contextlib.suppress(NotFound):
            for instance in await destroy_all(place, cluster):
                click.echo(f"        {instance}")
            await site_on_host(place, cluster).clear()
        # Before the folder: a key alone would not tell the next `down` whether its store is gone or elsewhere.
        place.key_file(cluster).unlink(missing_ok=True)
        if place.folder(cluster).exists():
            shutil.rmtree(place.folder(cluster))
        for folder in (place.home / "clusters", place.home / "keys"):
            with contextlib.suppress(OSError):
                folder.rmdir()
    finally:
        if lead is not None:
            await lead.release()
