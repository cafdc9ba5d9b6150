"""`risen up`: check the host, bake, apply, start the controller if nobody leads, and watch until all is there."""

from __future__ import annotations

import math
from pathlib import Path

import click

from risen.bootstrap import (
    CLOCK,
    Cluster,
    create_cluster,
    examine_host,
    local_settings,
    local_site,
    open_cluster,
)
from risen.cli.context import file_option, host, need_root, read_cluster_file, run, yes_option
from risen.cli.doctor import render
from risen.cli.glimpse import Glimpse, Looker
from risen.cli.revising import ApplyOptions, apply_file
from risen.cli.rising import Rising, dns_line
from risen.cli.watch import EventStream
from risen.cli.words import blocked_words, leader_words, waiting_words
from risen.core.spec import ClusterSpec
from risen.interfaces.provider import StartedController

LOOK_AGAIN_SECONDS = 0.5
PATIENCE = 4.0
"""A look is followed by so many times as long without: on a slow host what is watched needs the processor more."""
MOST_PATIENCE_SECONDS = 10.0
ADDON_POLL_SECONDS = 1.0
STARTUP_SECONDS = 300.0
"""Python alone takes 10 s where the processor is emulated; what hangs is ended by a person."""
SAY_AFTER_SECONDS = 10.0
DNS_SECONDS = 60.0
"""For the cluster's DNS once all instances serve. More would hold up what may never come: no kube-proxy of ours, no node
without the user's own taints."""
DNS_MEND = "look at `risen kubectl get pods -n kube-system -o wide`"
RESTART_SECONDS = 60.0
"""Within which systemd has a controller that failed lead again, on the slowest of hosts."""


@click.command()
@file_option
@yes_option
@click.option(
    "--timeout", default=900.0, show_default=True, help="Seconds to watch before giving up watching."
)
def up(file: Path, yes: bool, timeout: float) -> None:
    """Bake, start and watch a cluster rise; run again after any interruption, it carries on.

    Ctrl-C stops the watching only: the controller goes on.
    """
    need_root("instances are systemd machines of this host")
    wanted = read_cluster_file(file)
    spec = wanted.spec
    _check_host(spec)
    began = CLOCK.boot()
    cluster = run(create_cluster(host(), spec.name))
    run(apply_file(cluster, wanted, file.parent, ApplyOptions(yes)))
    cluster = run(open_cluster(host(), spec.name))
    try:
        start_controller(cluster)
        glimpse = run(_watch(cluster, timeout))
    except (click.Abort, KeyboardInterrupt):  # also between two runs of the loop
        click.echo(f"\nstopped watching; the controller goes on\nnext    risen status -c {spec.name}")
        raise SystemExit(130) from None
    _tell_end(spec, glimpse, CLOCK.boot() - began)


def _check_host(spec: ClusterSpec) -> None:
    """Nothing is begun on a host that cannot carry it."""
    report = examine_host(host(), spec)
    click.echo(render(report))
    failed = [check.name for check in report.checks if check.bars and not check.ok]
    if failed:
        raise click.ClickException(
            f"this host cannot carry {spec.name} yet ({', '.join(failed)}): mend it as shown above"
        )


def start_controller(cluster: Cluster) -> None:
    """Start `risen serve` so that it outlives this command, unless somebody leads; say who does."""
    leader = run(cluster.leadership.leader())
    if leader is not None:
        click.echo(f"lead    already: {leader_words(leader, CLOCK.unix())}")
        return
    log = cluster.host.folder(cluster.name) / "controller.log"
    started = local_site(local_settings(cluster)).start_controller(log)
    leader = run(_led(cluster, started))
    click.echo(f"lead    {leader_words(leader, CLOCK.unix())} · log {log}")


async def _led(cluster: Cluster, started: StartedController) -> str:
    """Who leads. One that lives is waited for, however slow its host is; one that ended is told at once."""
    began = said_at = CLOCK.boot()
    while CLOCK.boot() < began + STARTUP_SECONDS:
        leader = await cluster.leadership.leader()
        if leader is not None:
            started.yield_to(leader)
            return leader
        if started.ended():
            raise click.ClickException(f"the controller ended at once. {_last_words(cluster)}")
        if CLOCK.boot() > said_at + SAY_AFTER_SECONDS:
            said_at = CLOCK.boot()
            click.echo(f"wait    the controller to lead ({said_at - began:.0f} s)")
        await CLOCK.sleep(0.1)
    raise click.ClickException(
        f"the controller did not come to lead in {STARTUP_SECONDS:.0f} s. {_last_words(cluster)}"
    )


def _last_words(cluster: Cluster) -> str:
    """The end of the controller's log, whatever is in it."""
    log = cluster.host.folder(cluster.name) / "controller.log"
    lines = log.read_bytes()[-4096:].decode(errors="replace").split("\n") if log.exists() else []
    words = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return f"Its last words: {words[:400]} (log: {log})"


async def _watch(cluster: Cluster, timeout: float) -> Glimpse:
    stream, rising = EventStream(cluster.store), Rising(CLOCK.boot())
    for event in await stream.new():
        rising.lines(event, None)
    looker = await Looker.open(cluster, ADDON_POLL_SECONDS)
    patience = RESTART_SECONDS if local_site(local_settings(cluster)).restarts_controller else 0.0
    led_at = CLOCK.boot()
    end, settled_at = led_at + timeout, math.inf
    try:
        while True:
            began = CLOCK.boot()
            glimpse = await looker.look()
            lines = [line for event in await stream.new() for line in rising.lines(event, glimpse.picture)]
            for line in lines or rising.quiet(glimpse):
                click.echo(line)
                rising.said_at = glimpse.boot
            if glimpse.settled:
                settled_at = min(settled_at, CLOCK.boot())
                whole, line = dns_line(glimpse.picture)
                if whole or CLOCK.boot() > settled_at + DNS_SECONDS:
                    click.echo(f"check   {line}" if whole else f"careful {line}; {DNS_MEND}")
                    return glimpse
            if glimpse.leader is None:
                if CLOCK.boot() >= led_at + patience:
                    raise click.ClickException(f"nobody leads any more: run it again. {_last_words(cluster)}")
            else:
                led_at = CLOCK.boot()
            if CLOCK.boot() > end:
                raise click.ClickException(_still_missing(glimpse, timeout))
            took = CLOCK.boot() - began
            await CLOCK.sleep(max(LOOK_AGAIN_SECONDS, min(PATIENCE * took, MOST_PATIENCE_SECONDS)))
    finally:
        await looker.close()


def _still_missing(glimpse: Glimpse, timeout: float) -> str:
    blocked = "".join(f"\n  blocked  {blocked_words(item)}" for item in glimpse.plan.blocked)
    waiting = "".join(f"\n  waiting  {waiting_words(item, glimpse.boot)}" for item in glimpse.plan.waiting)
    missing = ", ".join(glimpse.not_ready) or "none"
    return f"not all there after {timeout:.0f} s (the controller goes on); not Ready: {missing}{blocked}{waiting}"


def _tell_end(spec: ClusterSpec, glimpse: Glimpse, seconds: float) -> None:
    pools = ", ".join(f"{pool.replicas} {pool.name}" for pool in spec.pools)
    click.echo(f"up in {int(seconds) // 60}m{int(seconds) % 60:02d}s: {pools}.")
    click.echo(f"next    risen status -c {spec.name}    risen kubectl -c {spec.name} get nodes")
