"""One cgroup subtree per unit, in every hierarchy, on version 1 and 2: the label that finds processes again.

A unit's processes cannot leave its subtree (nspawn roots the cgroup namespace there), so an empty subtree is
proof that nothing of the unit runs. Source: cgroups(7), cgroup_namespaces(7).
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from risen.adapters.local.host import boot_seconds, wait_for_exit, wait_until
from risen.interfaces.errors import Invalid, OutcomeUnknown

INIT_PLACES = ("payload/init.scope", "init.scope", "payload", ".")
WANTED_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted cgroup hierarchy; `version` is 1 or 2."""

    root: Path
    version: int


def hierarchies() -> tuple[Hierarchy, ...]:
    """All hierarchies mounted under /sys/fs/cgroup."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split(" ")
        if kind in ("cgroup", "cgroup2") and point.startswith("/sys/fs/cgroup"):
            found.append(Hierarchy(Path(point), 2 if kind == "cgroup2" else 1))
    if not found:
        raise Invalid("no cgroup hierarchy is mounted under /sys/fs/cgroup")
    return tuple(found)


def make(relative: str) -> tuple[Path, ...]:
    """Create the subtree in every hierarchy; returns the `cgroup.procs` files to write a pid to."""
    entries = []
    for hierarchy in hierarchies():
        folder = hierarchy.root
        for part in relative.split("/"):
            if hierarchy.version == 2:
                _delegate(folder)
            folder = folder / part
            folder.mkdir(exist_ok=True)
            if hierarchy.version == 1 and (folder / "cpuset.cpus").exists():
                _copy_cpuset(folder)
        entries.append(folder / "cgroup.procs")
    return tuple(entries)


def _copy_cpuset(folder: Path) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())


def _delegate(folder: Path) -> None:
    offered = (folder / "cgroup.controllers").read_text().split()
    given = (folder / "cgroup.subtree_control").read_text().split()
    missing = [name for name in WANTED_CONTROLLERS if name in offered and name not in given]
    if not missing:
        return
    try:
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))
    except OSError as error:
        raise Invalid(
            f"{folder}: cannot enable {', '.join(missing)} ({error.strerror}); processes that live in this "
            "cgroup itself must be moved into a child of it first"
        ) from error


def folders(relative: str) -> tuple[Path, ...]:
    """Where the subtree exists."""
    paths = (hierarchy.root / relative for hierarchy in hierarchies())
    return tuple(path for path in paths if path.is_dir())


def children(relative: str) -> frozenset[str]:
    """Names directly below, in any hierarchy."""
    return frozenset(
        entry.name for folder in folders(relative) for entry in os.scandir(folder) if entry.is_dir()
    )


def pids(relative: str) -> frozenset[int]:
    """Every process in the subtree, in any hierarchy, zombies left out."""
    found: set[int] = set()
    for top in folders(relative):
        for folder, _, _ in os.walk(top):
            found.update(_members(Path(folder)))
    return frozenset(pid for pid in found if pid and not _is_zombie(pid))


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rsplit(")", 1)[-1].split()[0] in ("Z", "X")


def inits(relative: str) -> tuple[int, ...]:
    """Processes of the subtree that are process 1 exactly one pid namespace below ours."""
    depth = len(_namespace_pids("self")) + 1
    return tuple(pid for pid in sorted(pids(relative)) if _is_init(pid, depth))


def find_init(relative: str) -> int | None:
    """The init, looked for first where systemd puts itself: that spares a walk over every pod's cgroup."""
    depth = len(_namespace_pids("self")) + 1
    tops = folders(relative)
    for place in INIT_PLACES:
        for top in tops:
            for pid in _members(top / place):
                if _is_init(pid, depth) and not _is_zombie(pid):
                    return pid
    return next(iter(inits(relative)), None)


def _is_init(pid: int, depth: int) -> bool:
    inside = _namespace_pids(str(pid))
    return len(inside) == depth and inside[-1] == 1


def _members(folder: Path) -> tuple[int, ...]:
    try:
        text = Path(folder, "cgroup.procs").read_text()
    except OSError:  # not there, removed while we looked (ENODEV), or a threaded group: its parent lists it
        return ()
    return tuple(int(word) for word in text.split())


def _namespace_pids(pid: str) -> tuple[int, ...]:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    line = next((line for line in text.splitlines() if line.startswith("NSpid:")), "NSpid:")
    return tuple(int(word) for word in line.split()[1:])


def kill(relative: str, timeout_seconds: float) -> None:
    """End every process of the subtree, inits first. Raises OutcomeUnknown if one outlives the time."""
    end = boot_seconds() + timeout_seconds
    while True:
        first = inits(relative)
        _signal(first)
        wait_for_exit(first, min(2.0, max(0.0, end - boot_seconds())))
        left = tuple(pids(relative))
        if not left:
            return
        if boot_seconds() >= end:
            raise OutcomeUnknown(f"{relative}: processes {sorted(left)} outlived SIGKILL")
        _signal(left)
        wait_for_exit(left, max(0.0, min(1.0, end - boot_seconds())))


def _signal(targets: tuple[int, ...]) -> None:
    for pid in targets:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def remove(relative: str, timeout_seconds: float = 3.0) -> None:
    """Remove the (empty) subtree everywhere. Raises OutcomeUnknown if it stays busy."""
    if not wait_until(lambda: _removed(relative), timeout_seconds, 0.02):
        raise OutcomeUnknown(
            f"cgroup {relative} is still in use: {[str(path) for path in folders(relative)]}"
        )


def _removed(relative: str) -> bool:
    for top in folders(relative):
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:  # busy for a moment after the last exit; the caller looks again
                continue
    return not folders(relative)
