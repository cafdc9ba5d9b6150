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
"""(`sent`, `within` or `done`, step kind): the last line of the journal, or in the middle of what it began."""
MOMENTS = {"sent": "sent", "done": "done", "asked": "sent", "answered": "done"}
"""What a line of the journal tells, by its word for a step or a task (whose kind is how its key begins)."""
STOPPED_BOUND_SECONDS = 5.0
LOOK_SECONDS = 0.001
"""The shortest step, a birth's record with its event, takes some ms; the next one follows a look at everything."""


def log_of(cluster: Cluster) -> Path:
    """The controller's journal."""
    return HOME / "clusters" / cluster.name / "controller.log"


def controllers(cluster: Cluster) -> list[int]:
    """Processes that run `risen serve` for the cluster."""
    return [process for process in processes_of(cluster.name) if serves(cluster, process)]


def serves(cluster: Cluster, process: int) -> bool:
    """Whether this process is a controller of the cluster."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return words[-4:-1] == ["serve", "-c", cluster.name]


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
class Prey:
    """A controller that leads, by its own journal: its process, the last moment told, launches not ended yet."""

    process: int
    last: Moment | None = None
    launching: set[str] = field(default_factory=set)

    def hear(self, told: dict[str, object]) -> None:
        """Take in a line of its journal."""
        what = str(told.get("what"))
        step = str(told.get("step") or str(told.get("task")).partition("/")[0])
        if what in MOMENTS:
            self.last = (MOMENTS[what], step)
        if step == "Launch":
            (self.launching.add if what == "sent" else self.launching.discard)(str(told["instance"]))

    def stop(self) -> bool:
        """SIGSTOP, and see it stand still: it writes no line after this. False when it is gone."""
        end(self.process, signal.SIGSTOP)
        last = time.monotonic() + STOPPED_BOUND_SECONDS
        while time.monotonic() < last:
            if (state := _state_of(self.process)) in ("T", "Z", ""):
                return state == "T"
        raise AssertionError(f"controller {self.process} does not stop")


@dataclass
class Assassin:
    """Kills the controller at each moment of its journal that it has not killed it at before.

    It is stopped first and its journal read to the end, so that a moment counts only if the controller died
    before it told of another: a kill that comes late is counted as what it was, or does not happen.
    """

    cluster: Cluster
    offset: int = 0
    prey: Prey | None = None
    killed_at: list[Moment] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    """Launches that had come to the start of the machine when they were looked at."""

    def begin(self) -> None:
        """Forget where it struck; what the journal tells so far is no moment to strike at."""
        self.killed_at.clear()
        self._read()
        if self.prey is not None:
            self.prey.last = None

    @property
    def kinds(self) -> set[str]:
        """Step kinds at which it struck, be it when one was sent, within it or when it was done."""
        return {kind for _, kind in self.killed_at}

    def strike(self) -> bool:
        """Read what is new in the journal; kill if the moment is a new one, and say whether it did."""
        self._read()
        prey = self.prey
        if prey is None or self._moment(prey) is None:
            return False
        if not serves(self.cluster, prey.process) or not prey.stop():
            self.prey = None
            return False
        self._read()
        moment = self._moment(prey, closely=True)
        if moment is None:
            end(prey.process, signal.SIGCONT)
            return False
        end(prey.process)
        self.killed_at.append(moment)
        self.prey = None
        return True

    def _read(self) -> None:
        log = log_of(self.cluster)
        if not log.exists():
            self.offset = 0
            return
        with log.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.splitlines():
            told = _told(line)
            if told.get("what") == "leading":
                self.prey = Prey(int(str(told["holder"]).split()[-1]))
            elif self.prey is not None:
                self.prey.hear(told)

    def _moment(self, prey: Prey, closely: bool = False) -> Moment | None:
        """The new moment at which the controller is; `closely` looks also at processes."""
        if prey.last is not None and prey.last not in self.killed_at:
            return prey.last
        within = ("within", "Launch")
        if within not in self.killed_at and any(self._half_made(name, closely) for name in prey.launching):
            return within
        return None

    def _half_made(self, name: str, closely: bool) -> bool:
        """Whether an instance has its disk and nothing of it runs yet."""
        if name in self.begun or not (_folder_of(self.cluster, name) / "disk.ext4").exists():
            return False
        if closely and processes_of(self.cluster.name, name):
            self.begun.add(name)
            return False
        return True

    def until(self, wanted: Callable[[], bool], bound_seconds: float) -> None:
        """Start again with `risen up` after every kill, until it ends well and `wanted` holds."""
        last, output = time.monotonic() + bound_seconds, self.cluster.folder / "up.out"
        while time.monotonic() < last:
            up = begin_up(self.cluster, output)
            while up.poll() is None and time.monotonic() < last:
                self.strike()
                time.sleep(LOOK_SECONDS)
            if up.poll() is None:
                up.kill()
                up.wait()
                break
            if up.returncode == 0 and wanted():
                return
        raise AssertionError(
            f"not within {bound_seconds:.0f} s; killed at {self.killed_at}\n{output.read_text()[-3000:]}"
        )


def _folder_of(cluster: Cluster, instance: str) -> Path:
    return HOME / "clusters" / cluster.name / "instances" / instance


def _state_of(process: int) -> str:
    """One letter as proc(5) has it, empty when there is no such process."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _told(line: bytes) -> dict[str, object]:
    """A line of the journal; empty for one that a kill cut, or that is none."""
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
