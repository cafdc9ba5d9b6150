"""The controller as the tests see it: its journal, and `risen up` again and again while it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from host import HOME, processes_of
from pieces import RISEN, Cluster

Moment = tuple[str, str]
"""(`sent` or `done`, step kind)."""
MOMENTS = ("sent", "done")


def log_of(cluster: Cluster) -> Path:
    """The controller's journal."""
    return HOME / "clusters" / cluster.name / "controller.log"


def controllers(cluster: Cluster) -> list[int]:
    """Processes that run `risen serve` for the cluster."""
    found = []
    for process in processes_of(cluster.name):
        try:
            words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[-4:-1] == ["serve", "-c", cluster.name]:
            found.append(process)
    return found


def end(process: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return


def begin_up(cluster: Cluster, output: Path) -> subprocess.Popen[bytes]:
    """`risen up --yes` in the cluster's folder, what it prints in `output`."""
    environment = {**os.environ, "RISEN_CLUSTER": cluster.name, "PYTHONUNBUFFERED": "1"}
    with output.open("wb") as file:
        return subprocess.Popen(
            (*RISEN, "up", "--yes"), cwd=cluster.folder, env=environment, stdout=file, stderr=file
        )


@dataclass
class Assassin:
    """Kills the controller at each (moment, step kind) of its journal that it has not killed it at before."""

    cluster: Cluster
    offset: int = 0
    killed_at: list[Moment] = field(default_factory=list)

    def begin(self) -> None:
        """Forget where it struck, and look only at what the journal says from now on."""
        self.killed_at.clear()
        self.offset = log_of(self.cluster).stat().st_size

    @property
    def kinds(self) -> set[str]:
        """Step kinds at which it struck, be it when one was sent or when one was done."""
        return {kind for _, kind in self.killed_at}

    def strike(self) -> bool:
        """Read what is new in the journal; kill at the first new moment, and say whether it did."""
        log = log_of(self.cluster)
        if not log.exists():
            return False
        with log.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        new = [
            moment for moment in map(_moment, whole.splitlines()) if moment and moment not in self.killed_at
        ]
        if not new:
            return False
        for process in controllers(self.cluster):
            end(process)
        self.killed_at.append(new[0])
        return True

    def until(self, wanted: Callable[[], bool], bound_seconds: float) -> None:
        """Start again with `risen up` after every kill, until it ends well and `wanted` holds."""
        last, output = time.monotonic() + bound_seconds, self.cluster.folder / "up.out"
        while time.monotonic() < last:
            up = begin_up(self.cluster, output)
            while up.poll() is None and time.monotonic() < last:
                self.strike()
                time.sleep(0.01)
            if up.poll() is None:
                up.kill()
                up.wait()
                break
            if up.returncode == 0 and wanted():
                return
        raise AssertionError(
            f"not within {bound_seconds:.0f} s; killed at {self.killed_at}\n{output.read_text()[-3000:]}"
        )


def _moment(line: bytes) -> Moment | None:
    try:
        told = json.loads(line)
    except ValueError:  # cut by a kill, or no journal line
        return None
    what = told.get("what") if isinstance(told, dict) else None
    return (what, str(told["step"])) if what in MOMENTS else None
