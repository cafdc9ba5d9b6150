"""Leading instead of the controller, for commands that must not be undone by it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket

import click

from risen.bootstrap import CLOCK, Host, leadership_of
from risen.interfaces.store import Lead

LEAD_SECONDS = 30.0


async def take_lead(place: Host, cluster: str) -> Lead | None:
    """Ask the controller to end and lead in its place, so that nothing is launched meanwhile.

    None where there is no store to lead.
    """
    if not (place.folder(cluster) / "store").is_dir():
        return None
    leadership = leadership_of(place, cluster)
    end = CLOCK.boot() + LEAD_SECONDS
    while (lead := await leadership.try_lead(f"{socket.gethostname()} {os.getpid()}")) is None:
        leader = await leadership.leader()
        pid = _pid_of(leader or "")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if CLOCK.boot() > end:
            raise click.ClickException(
                f"{leader} still leads after {LEAD_SECONDS:.0f} s: end it, then try again"
            )
        await CLOCK.sleep(0.2)
    return lead


def _pid_of(leader: str) -> int | None:
    """The process id in `HOST PID …`."""
    words = leader.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
