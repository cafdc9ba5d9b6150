"""`risen up`: check the host, bake, apply, start the controller if nobody leads, and watch until all is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from risen.bootstrap import CLOCK, Cluster, create_cluster, examine_host, open_cluster
from risen.cli.context import file_option, host, need_root, read_spec, run, yes_option
from risen.cli.doctor import render
from risen.cli.glimpse import Glimpse, Looker
from risen.cli.revising import apply_spec
from risen.cli.watch import EventStream, line_of
from risen.core.spec import ClusterSpec

LOOK_AGAIN_SECONDS = 0.5
ADDON_POLL_SECONDS = 1.0
STARTUP_SECONDS = 20.0


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
    spec = read_spec(file)
    _check_host(spec)
    began = CLOCK.boot()
    cluster = run(create_cluster(host(), spec.name))
    run(apply_spec(cluster, spec, file.parent, yes))
    cluster = run(open_cluster(host(), spec.name))
    start_controller(cluster)
    try:
        glimpse = run(_watch(cluster, timeout))
    except click.Abort:
        click.echo(f"\nstopped watching; the controller goes on. next    risen status -c {spec.name}")
        raise
    _tell_end(spec, glimpse, CLOCK.boot() - began)


def _check_host(spec: ClusterSpec) -> None:
    """Nothing is begun on a host that cannot carry it."""
    report = examine_host(host(), spec)
    click.echo(render(report))
    failed = [check.name for check in report.checks if not check.ok]
    if failed:
        raise click.ClickException(
            f"this host cannot carry {spec.name} yet ({', '.join(failed)}): mend it as shown above"
        )


def start_controller(cluster: Cluster) -> None:
    """Start `risen serve` detached unless somebody leads; say who does."""
    leader = run(cluster.leadership.leader())
    if leader is not None:
        click.echo(f"lead    {leader} leads already")
        return
    log = cluster.host.folder(cluster.name) / "controller.log"
    with log.open("ab") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "risen.cli.main", "serve", "-c", cluster.name],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/",
        )  # fmt: skip
    leader = run(_led(cluster, started))
    click.echo(f"lead    {leader} · log {log}")


async def _led(cluster: Cluster, started: subprocess.Popen[bytes]) -> str:
    end = CLOCK.boot() + STARTUP_SECONDS
    log = cluster.host.folder(cluster.name) / "controller.log"
    while CLOCK.boot() < end:
        leader = await cluster.leadership.leader()
        if leader is not None:
            return leader
        if started.poll() is not None:
            raise click.ClickException(
                f"the controller ended with {started.returncode}; its last words are in {log}"
            )
        await CLOCK.sleep(0.1)
    raise click.ClickException(f"the controller did not come to lead in {STARTUP_SECONDS:.0f} s; see {log}")


async def _watch(cluster: Cluster, timeout: float) -> Glimpse:
    stream = EventStream(cluster.store, await EventStream.newest(cluster.store))
    looker = await Looker.open(cluster, ADDON_POLL_SECONDS)
    end = CLOCK.boot() + timeout
    try:
        while True:
            for event in await stream.new():
                click.echo(line_of(event))
            glimpse = await looker.look()
            if glimpse.settled:
                return glimpse
            if glimpse.leader is None:
                raise click.ClickException("nobody leads any more; `risen status` says where the log is")
            if CLOCK.boot() > end:
                raise click.ClickException(_still_missing(glimpse, timeout))
            await CLOCK.sleep(LOOK_AGAIN_SECONDS)
    finally:
        await looker.close()


def _still_missing(glimpse: Glimpse, timeout: float) -> str:
    blocked = "".join(f"\n  blocked {item.name}: {item.subject}: {item.why}" for item in glimpse.plan.blocked)
    waiting = "".join(f"\n  waiting {item.subject} for {item.for_what}" for item in glimpse.plan.waiting)
    missing = ", ".join(glimpse.not_ready) or "none"
    return f"not all there after {timeout:.0f} s (the controller goes on); not Ready: {missing}{blocked}{waiting}"


def _tell_end(spec: ClusterSpec, glimpse: Glimpse, seconds: float) -> None:
    pools = ", ".join(f"{pool.replicas} {pool.name}" for pool in spec.pools)
    click.echo(f"up in {int(seconds) // 60}m{int(seconds) % 60:02d}s: {pools}.")
    click.echo(f"next    risen status -c {spec.name}    risen kubectl -c {spec.name} get nodes")
