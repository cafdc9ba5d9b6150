"""`risen stop` and `risen start`: all instances of a cluster off and on again, their disks kept."""

from __future__ import annotations

import click

from risen.bootstrap import Host, mend_site, start_all, stop_all
from risen.cli.context import ask, chosen, cluster_option, host, need_root, run, yes_option
from risen.cli.leading import take_lead
from risen.interfaces.provider import PowerResult


@click.command()
@cluster_option
@yes_option
def stop(name: str | None, yes: bool) -> None:
    """Power all instances off in order, workers first; their disks stay. The controller ends too."""
    need_root("instances are systemd machines of this host")
    cluster = chosen(name)
    if not yes:
        ask(f"power off every instance of {cluster}?")
    run(mend_site(host(), cluster))
    _tell(run(_stop(host(), cluster)))
    click.echo(f"next    risen start -c {cluster}")


async def _stop(place: Host, cluster: str) -> tuple[PowerResult, ...]:
    lead = await take_lead(place, cluster)
    try:
        return await stop_all(place, cluster)
    finally:
        if lead is not None:
            await lead.release()


@click.command()
@cluster_option
@click.option(
    "--after-boot", is_flag=True, help="Only those that have not run since this host booted (for its unit)."
)
def start(name: str | None, after_boot: bool) -> None:
    """Power all instances on again, by the host alone: neither store nor controller is needed."""
    need_root("instances are systemd machines of this host")
    cluster = chosen(name)
    run(mend_site(host(), cluster))
    _tell(run(start_all(host(), cluster, after_boot)))
    click.echo(f"next    risen up     (starts a controller that watches over {cluster} again)")


def _tell(results: tuple[PowerResult, ...]) -> None:
    for result in results:
        click.echo(f"{result.state:<8}{result.instance}   {result.trouble}".rstrip())
    if any(result.trouble for result in results):
        raise click.ClickException("not every instance is as wished; try again, or look with `risen status`")
