"""How a program is started so that it outlives us and is found again: two launchers, one interface.

Where systemd is process 1: a transient service in `risen.slice`. Elsewhere: a cgroup subtree of its own in
every hierarchy. Both start in the cluster's network namespace, detached, with output to a file, and both
label what they start by its cgroup path.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from risen.adapters.local import cgroups
from risen.adapters.local.host import PROGRAMS_PATH, in_time, is_systemd_host, run
from risen.interfaces.errors import OutcomeUnknown

ENTER = (
    'for file in $ENTRIES; do echo $$ > "$file" || exit 9; done; unset ENTRIES; exec setsid -f nsenter "$@"'
)
"""Run by sh: move oneself into the cgroups, then detach. Not `ip netns exec`: it hides /sys/fs/cgroup."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start. `unit` is an instance's name, or begins with `_` for the site's own programs.

    `console` gets its output. `stop` is a shell script that ends it in order (run by systemd at host
    shutdown); `machine` says that it is an nspawn machine (delegation, ready notification).
    """

    unit: str
    argv: tuple[str, ...]
    console: Path
    netns: Path
    machine: bool = False
    stop: Path | None = None


class Launcher(Protocol):
    """`group` is the cgroup path of a unit below each hierarchy's root; `units` names what has a group; `halt`
    keeps a program from being started again before it is killed."""

    def group(self, unit: str) -> str: ...
    def units(self) -> frozenset[str]: ...
    def start(self, program: Program) -> None: ...
    def halt(self, unit: str) -> None: ...
    def clear(self, unit: str) -> None: ...
    def clear_all(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CgroupLauncher:
    """For hosts without systemd as process 1."""

    cluster: str

    def group(self, unit: str) -> str:
        """`risen/CLUSTER/UNIT`."""
        return f"risen/{self.cluster}/{unit}"

    def units(self) -> frozenset[str]:
        """Every unit of the cluster that has a group."""
        return cgroups.children(f"risen/{self.cluster}")

    def start(self, program: Program) -> None:
        """Returns once the program is detached; it may still fail."""
        entries = cgroups.make(self.group(program.unit))
        env = {"PATH": PROGRAMS_PATH, "TERM": "dumb", "ENTRIES": " ".join(str(path) for path in entries)}
        argv = ["sh", "-c", ENTER, "sh", f"--net={program.netns}", "--", *program.argv]
        with program.console.open("ab") as console, in_time():
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=env, cwd="/",
                timeout=10, check=False,
            )  # fmt: skip
        if done.returncode != 0:
            raise OutcomeUnknown(f"{program.unit}: cannot start {program.argv[0]} (exit {done.returncode})")

    def halt(self, unit: str) -> None:
        """Nothing starts it again here."""

    def clear(self, unit: str) -> None:
        """Remove an empty group."""
        cgroups.remove(self.group(unit))

    def clear_all(self) -> None:
        """Remove the cluster's group, and the common one when it was the last."""
        cgroups.remove(f"risen/{self.cluster}")
        if not cgroups.children("risen"):
            cgroups.remove("risen")


@dataclass(frozen=True, slots=True)
class SystemdLauncher:
    """For hosts with systemd as process 1."""

    cluster: str
    stop_seconds: float = 20.0
    """For a unit to stop; its stop script presses the power button."""

    def _unit(self, unit: str) -> str:
        return f"risen-{self.cluster}.{unit}.service"

    def group(self, unit: str) -> str:
        """`risen.slice/risen-CLUSTER.UNIT.service`; names are DNS labels, so the dot is unambiguous."""
        return f"risen.slice/{self._unit(unit)}"

    def units(self) -> frozenset[str]:
        """Every unit of the cluster that has a group."""
        prefix = f"risen-{self.cluster}."
        names = cgroups.children("risen.slice")
        return frozenset(
            name.removeprefix(prefix).removesuffix(".service") for name in names if name.startswith(prefix)
        )

    def start(self, program: Program) -> None:
        """Returns once systemd has started it (a machine: once nspawn says that its init runs)."""
        output = f"append:{program.console}"
        properties = [
            "Delegate=yes", "KillMode=mixed", "TasksMax=infinity", "LimitNOFILE=1048576",
            f"NetworkNamespacePath={program.netns}", f"StandardOutput={output}", f"StandardError={output}",
            f"Before=risen-{self.cluster}.service",  # the boot unit's controller ends first at shutdown
            "TimeoutStopSec=90", f"Type={'notify' if program.machine else 'exec'}",
        ]  # fmt: skip
        if program.machine:
            properties.append("Environment=TERM=dumb")
        else:
            properties += ["Restart=always", "RestartSec=250ms", "StartLimitIntervalSec=0"]
        if program.stop is not None:
            properties.append(f"ExecStop=/bin/sh {program.stop}")
        argv = [
            "systemd-run",
            "--quiet",
            "--collect",
            "--slice=risen.slice",
            f"--unit={self._unit(program.unit)}",
        ]
        for text in properties:
            argv += ["-p", text]
        run([*argv, "--", *program.argv])

    def halt(self, unit: str) -> None:
        """Stop a program of the site's own, so that systemd does not start it again once it is killed."""
        self._systemctl("stop", self._unit(unit))

    def _systemctl(self, verb: str, unit: str) -> None:
        """What is "not loaded" is as good as stopped: what counts is that the group is gone, seen afterwards.

        Raises OutcomeUnknown when systemd takes too long.
        """
        with in_time():
            subprocess.run(
                ["systemctl", verb, unit], capture_output=True, timeout=self.stop_seconds, check=False
            )

    def clear(self, unit: str) -> None:
        """Let systemd forget the unit; its processes are gone, so its stop script ends at once."""
        self._systemctl("stop", self._unit(unit))
        cgroups.remove(self.group(unit))

    def clear_all(self) -> None:
        """Stop the slice when nothing of any cluster is left in it."""
        if not any(name.endswith(".service") for name in cgroups.children("risen.slice")):
            self._systemctl("stop", "risen.slice")


def launcher_for(cluster: str) -> Launcher:
    """The launcher of this host."""
    return SystemdLauncher(cluster) if is_systemd_host() else CgroupLauncher(cluster)


def stop_script(button: Path) -> str:
    """Presses the power button and waits for the machine to end ($MAINPID is set by systemd)."""
    return (
        f'[ -n "$MAINPID" ] || exit 0\n: > {button}/power\n'
        'while kill -0 "$MAINPID" 2>/dev/null; do sleep 0.2; done\n'
    )


def console_tail(file: Path, limit: int) -> bytes:
    """The last `limit` bytes of a file, or nothing where there is none."""
    try:
        with file.open("rb") as console:
            size = os.fstat(console.fileno()).st_size
            console.seek(max(0, size - limit))
            return console.read(limit)
    except FileNotFoundError:
        return b""
