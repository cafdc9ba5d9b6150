"""How the controller is started so that it outlives whoever asked: by its boot unit where systemd is process 1,
else as a process in a session of its own. It does not say who leads."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from risen.adapters.local.boot_unit import keep_boot_unit, unit_name
from risen.adapters.local.host import is_systemd_host, run
from risen.adapters.local.launcher import console_tail
from risen.adapters.local.settings import LocalSettings
from risen.interfaces.provider import StartedController

LOG_LIMIT_BYTES = 16 << 20
LOG_KEPT_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class DetachedController:
    """For hosts without systemd as process 1."""

    process: subprocess.Popen[bytes]

    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    def yield_to(self, leader: str) -> None:
        """Of two that were started at once the one that does not lead is ended again."""
        if str(self.process.pid) not in leader.split():
            self.process.terminate()


@dataclass(frozen=True, slots=True)
class UnitController:
    """For hosts with systemd as process 1, which starts it again when it fails. `restarts` at its start."""

    unit: str
    restarts: int

    def ended(self) -> bool:
        """Whether it failed since, though systemd may be starting it again."""
        seen = _seen(self.unit)
        return seen.off or seen.restarts > self.restarts

    def yield_to(self, leader: str) -> None:
        """A unit is one process however often it is started; beside a leader of another kind it waits its turn."""


def start_controller(settings: LocalSettings, log: Path) -> StartedController:
    """Returns once it is on its way. Raises Invalid, OutcomeUnknown (systemd does not take the unit)."""
    if not is_systemd_host():
        return start_detached((*settings.boot_command, "serve", "-c", settings.name), log)
    keep_boot_unit(settings)
    unit = unit_name(settings)
    if _seen(unit).fell:
        # A start now would wait for the restart and count as it: the new one would be taken for failed.
        run(["systemctl", "stop", unit])
        run(["systemctl", "reset-failed", unit])
    restarts = _seen(unit).restarts
    run(["systemctl", "start", "--no-block", unit])
    return UnitController(unit, restarts)


def start_detached(argv: Sequence[str], log: Path) -> DetachedController:
    """In `/`, in a session of its own, with the caller's environment; what it prints is added to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
        )
    return DetachedController(process)


def bound_log(log: Path) -> None:
    """Keep the log's end, from a whole line on, when it has grown beyond its bound. Its writers append, so it may be
    cut under them. Raises OSError."""
    if not log.exists() or log.stat().st_size <= LOG_LIMIT_BYTES:
        return
    tail = console_tail(log, LOG_KEPT_BYTES)
    with log.open("r+b") as file:
        file.truncate(0)
        file.write(tail[tail.find(b"\n") + 1 :])


@dataclass(frozen=True, slots=True)
class UnitSeen:
    """What systemd shows of a unit. `off` when it neither runs nor is about to; `fell` while systemd waits before it
    starts it again by itself."""

    off: bool
    fell: bool
    restarts: int
    """How often systemd started it again by itself."""


def unit_seen(shown: str) -> UnitSeen:
    """From `systemctl show -p ActiveState,SubState,NRestarts,Job`; a queued start is a Job, and its unit still
    inactive."""
    values = dict(line.split("=", 1) for line in shown.splitlines())
    queued = values.get("Job", "") not in ("", "0")
    off = not queued and values["ActiveState"] in ("failed", "inactive")
    return UnitSeen(off, values["SubState"] == "auto-restart", int(values["NRestarts"]))


def _seen(unit: str) -> UnitSeen:
    return unit_seen(run(["systemctl", "show", "-p", "ActiveState,SubState,NRestarts,Job", unit]))
