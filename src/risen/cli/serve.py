"""`risen serve`: the controller. Surroundings first, then the join service, then the engine until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import signal
import sys
from collections.abc import Callable
from functools import partial

import click

from risen.bootstrap import (
    CLOCK,
    Clients,
    Cluster,
    bound_controller_log,
    connect,
    engine_world,
    heartbeat_of,
    local_site,
    serve_joins,
)
from risen.cli.context import cluster_option, need_root, opened, run
from risen.engine.journal import Journal
from risen.engine.loop import Engine, lead_and_load
from risen.services.signer import Signer
from risen.services.site_keeper import SiteKeeper

OWN_SECONDS = 60.0
"""How often the controller looks after its own: certificates and log."""
COLLECT_EVERY = (700, 10, 10)
"""Python's own pace, which short commands slow down: the controller lives for months and stays small."""


@click.command()
@cluster_option
def serve(name: str | None) -> None:
    """Run the controller in the foreground; one leads, others wait for their turn.

    Its journal, one JSON object a line, goes to standard output.
    """
    gc.set_threshold(*COLLECT_EVERY)
    need_root("the controller starts and ends instances")
    run(_serve(name))


async def _serve(name: str | None) -> None:
    cluster = await opened(name)
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    clients = await connect(cluster)
    try:
        await _keep(cluster, clients, stopping)
    finally:
        await clients.close()


async def _keep(cluster: Cluster, clients: Clients, stopping: asyncio.Event) -> None:
    journal = Journal(CLOCK, _print_line)
    world = engine_world(cluster, clients, journal)
    engine = await lead_and_load(world, stopping.is_set)
    if engine is None:
        return
    heartbeat = heartbeat_of(clients.settings)
    heartbeat.beat()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(engine.lead.release)
        site = local_site(clients.settings)
        await site.prepare()
        await clients.provider.sweep()
        clients.kubernetes.on_change = engine.changed.set
        clients.kubernetes.start()
        await stack.enter_async_context(serve_joins(cluster, clients, engine.records, _note))
        signer = Signer(clients.kubernetes.signing, clients.authorities.cluster, CLOCK, _note)
        keeper = SiteKeeper(site, clients.endpoint, CLOCK, _note)
        faults: list[str] = []
        for work in (_keep_own(clients), signer.run(), keeper.run()):
            duty = asyncio.create_task(work)
            duty.add_done_callback(partial(_ended_early, stopping, faults))
            stack.callback(duty.cancel)
        await _until_stopped(engine, heartbeat.beat, stopping)
    if faults:
        raise click.ClickException(faults[0])


async def _until_stopped(engine: Engine, beat: Callable[[], None], stopping: asyncio.Event) -> None:

    def stopped() -> bool:
        """Asked before each cycle: a loop that hangs, or a process that is stopped, shows no more signs of life."""
        beat()
        return stopping.is_set()

    keeping = asyncio.create_task(engine.keep(stopped))
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({keeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await keeping


async def _keep_own(clients: Clients) -> None:
    while True:
        bound_controller_log(clients.settings)
        await CLOCK.sleep(OWN_SECONDS)
        clients.renew_if_due()


def _ended_early(stopping: asyncio.Event, faults: list[str], duty: asyncio.Task[None]) -> None:
    """A duty runs for ever: one that ended by a fault is told, and the controller fails, to be started whole."""
    if duty.cancelled() or stopping.is_set():
        return
    faults.append(f"{duty.get_coro()!r} ended: {duty.exception()!r}; the controller ends")
    stopping.set()
    _note(faults[0])


def _print_line(line: str) -> None:
    with contextlib.suppress(OSError):  # the log's disk is full: the cluster is kept without its log
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _note(line: str) -> None:
    _print_line(json.dumps({"unix": round(CLOCK.unix(), 3), "what": "note", "line": line}))
