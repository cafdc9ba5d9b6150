"""One systemd machine: started from its disk, looked at, ended. Callers hold the instance's lock where it acts.

The truth is what the host shows: the cgroup subtree's processes and the disk, never the record's claim.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from risen.adapters.local import cgroups
from risen.adapters.local.disk import BOUND, disk_file, make_disk, mount_root, share_mounts, unmount
from risen.adapters.local.host import (
    boot_id,
    boot_seconds,
    file_lock,
    ip_json,
    is_locked,
    mounts_under,
    run,
    wait_until,
    write_file,
)
from risen.adapters.local.launcher import Launcher, Program, console_tail, stop_script
from risen.adapters.local.records import Record, read_record, write_record
from risen.adapters.local.seed import write_seed
from risen.adapters.local.settings import LocalSettings, bridge_port, machine_name, provider_id
from risen.core.names import InstanceName, ProviderId
from risen.core.picture import InstanceSeen, InstanceState
from risen.interfaces.errors import Corrupt, Later, OutcomeUnknown

INIT_TIMEOUT_SECONDS = 6.0
END_TIMEOUT_SECONDS = 8.0
CONSOLE_LIMIT_BYTES = 1 << 20
CONSOLE_KEPT_BYTES = 1 << 18
DEAD_CONSOLES_KEPT = 200
ID_VARIABLE = "RISEN_PROVIDER_ID"
NOT_YET_INIT = ("systemd-nspawn", "(sd-")
"""Names (comm, at most 15 bytes) of process 1 of a machine before it executes its init."""
INSIDE = "/run/risen-host"
"""Where the button's folder is seen inside the machine; a baked path unit watches `power` in it."""
BUTTON = Path("button", "power")
"""In an instance's folder: there while its power button is pressed."""
SHARE = Path("button", "memory")
"""In an instance's folder: what it counts as its memory, in MiB; not there for all that it sees."""
SYSTEM_CALLS = "@mount @keyring bpf perf_event_open @module @raw-io"


@dataclass(frozen=True, slots=True)
class Machine:
    """One instance's folder, with what starts and finds it."""

    settings: LocalSettings
    launcher: Launcher
    name: InstanceName

    @property
    def folder(self) -> Path:
        """`instances/NAME`."""
        return self.settings.instances / self.name

    @property
    def lock(self) -> Path:
        """Held while anybody starts or ends the instance."""
        return self.settings.folder / "locks" / f"{self.name}.lock"

    @property
    def console(self) -> Path:
        """What the machine printed."""
        return self.folder / "console.log"

    @property
    def dead_console(self) -> Path:
        """Kept once the instance is gone; also the mark that its name was used up."""
        return self.settings.dead / f"{self.name}.console"

    @property
    def group(self) -> str:
        """The cgroup path that labels everything of the instance."""
        return self.launcher.group(self.name)


def nspawn_argv(machine: Machine, record: Record) -> tuple[str, ...]:
    """The machine's command line. `--bind-ro` of /usr over itself makes it read-only inside."""
    folder = machine.folder
    binds = [f"--bind={folder / 'disk' / name}:/var/lib/{name}" for name in BOUND]
    binds += [f"--bind={device}" for device in ("/dev/kmsg", "/dev/fuse") if Path(device).exists()]
    device_rules = [] if os.path.isdir("/run/systemd/system") else ["--property=DeviceAllow=x"]
    return (
        "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=read-only",
        "-D", str(folder / "root"), "-M", machine_name(machine.settings.name, machine.name),
        f"--hostname={machine.name}", "--network-bridge=br0", "--capability=all",
        f"--system-call-filter={SYSTEM_CALLS}", "--resolv-conf=off", "--link-journal=no", *device_rules,
        f"--bind-ro={folder / 'root' / 'usr'}:/usr", *binds, f"--bind-ro={folder / 'button'}:{INSIDE}",
        f"--setenv={ID_VARIABLE}={record.provider_id}", "-b",
    )  # fmt: skip


def start(machine: Machine, record: Record) -> None:
    """Start the instance from its disk (made here if it is the first time) unless it runs already.

    Raises NoCapacity, NotFound (a layer), Later (nspawn ended at once: the console's end says why).
    """
    if is_running(machine):
        note_running(machine)
        return
    cgroups.kill(machine.group, END_TIMEOUT_SECONDS)
    folder = machine.folder
    record = replace(record, host_boot=boot_id())
    write_record(folder, record)
    make_disk(folder, machine.settings.disk_gib)
    share(machine.settings)
    mount_root(folder, record.layers)
    write_seed(machine.settings, record, folder)
    button = folder / "button"
    button.mkdir(exist_ok=True)
    (folder / BUTTON).unlink(missing_ok=True)
    tell_share(folder, record)
    write_file(folder / "stop", stop_script(button).encode())
    _clear_remains(machine)
    netns = machine.settings.netns_path
    machine.launcher.start(
        Program(machine.name, nspawn_argv(machine, record), machine.console, netns, True, folder / "stop")
    )
    _wait_for_init(machine)
    write_record(folder, replace(record, starts=record.starts + 1))


def tell_share(folder: Path, record: Record) -> None:
    """Write what of the host's memory is the instance's where it reads that; nothing where it is all of it."""
    if record.memory_mib:
        write_file(folder / SHARE, f"{record.memory_mib}\n".encode())
    else:
        (folder / SHARE).unlink(missing_ok=True)


def note_running(machine: Machine) -> None:
    """Its init is seen, so it is one that has run, though whoever started it was killed before saying so."""
    record = readable_record(machine)
    if record is not None and record.starts == 0:
        write_record(machine.folder, replace(record, starts=1))


def readable_record(machine: Machine) -> Record | None:
    """None where there is none, and for one that is damaged: what runs is seen without it."""
    try:
        return read_record(machine.folder)
    except Corrupt:
        return None


def share(settings: LocalSettings) -> None:
    """Make the folder of all instances a shared mount, once."""
    with file_lock(settings.folder / "locks" / "mounts.lock"):
        share_mounts(settings.instances)


def _wait_for_init(machine: Machine) -> None:
    seen = wait_until(lambda: is_running(machine) or not cgroups.pids(machine.group), INIT_TIMEOUT_SECONDS)
    if is_running(machine):
        return
    tail = console_tail(machine.console, 500).decode(errors="replace").strip()
    if seen:
        raise Later(f"{machine.name}: systemd-nspawn ended at once: {tail}", after_seconds=1.0)
    raise OutcomeUnknown(f"{machine.name}: no init within {INIT_TIMEOUT_SECONDS:g} s: {tail}")


def _clear_remains(machine: Machine) -> None:
    """Remove what a machine of this name that was killed leaves and nspawn then trips over."""
    port = bridge_port(machine.settings.name, machine.name)
    if port in bridge_ports(machine.settings):
        try:
            run(["ip", "-n", machine.settings.netns, "link", "del", port])
        except OutcomeUnknown:  # it goes by itself, once the kernel has ended the machine's namespace
            if port in bridge_ports(machine.settings):
                raise
    name = machine_name(machine.settings.name, machine.name)
    for point in mounts_under(Path("/run/systemd/nspawn/unix-export") / name):
        run(["umount", point])


def bridge_ports(settings: LocalSettings) -> tuple[str, ...]:
    """Names of the links on the cluster's bridge; empty where the bridge does not exist."""
    if not settings.netns_path.exists():
        return ()
    try:
        links = ip_json("-n", settings.netns, "link", "show", "master", "br0")
    except OutcomeUnknown:
        if any(link["ifname"] == "br0" for link in ip_json("-n", settings.netns, "link", "show")):
            raise
        return ()
    return tuple(str(link["ifname"]) for link in links)


def is_running(machine: Machine) -> bool:
    """Whether its init runs; nspawn's own child, before it becomes the init, is none."""
    pid = cgroups.find_init(machine.group)
    return pid is not None and not _name_of(pid).startswith(NOT_YET_INIT)


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return NOT_YET_INIT[0]  # ended meanwhile


def end(machine: Machine) -> None:
    """The fence: every process ended, veth, mounts, loop device, cgroups, folder and disk gone. Idempotent."""
    cgroups.kill(machine.group, END_TIMEOUT_SECONDS)
    _clear_remains(machine)
    machine.launcher.clear(machine.name)
    if machine.folder.exists():
        unmount(machine.folder, keep_writes=False)
        _bury(machine)
    sweep(machine.settings, machine.name)


def _bury(machine: Machine) -> None:
    """Keep the console, then delete the folder: renamed first, so that half of it is never seen as whole."""
    if read_record(machine.folder) is not None:
        write_file(machine.dead_console, console_tail(machine.console, CONSOLE_KEPT_BYTES))
    kept = sorted(machine.settings.dead.glob("*.console"), key=lambda file: file.stat().st_mtime)
    for file in kept[:-DEAD_CONSOLES_KEPT]:
        file.unlink(missing_ok=True)
    os.replace(machine.folder, machine.settings.instances / f".gone-{machine.name}")


def sweep(settings: LocalSettings, name: str) -> None:
    """Delete a folder that was renamed for deletion."""
    gone = settings.instances / f".gone-{name}"
    if gone.exists():
        shutil.rmtree(gone)


def observe(machine: Machine) -> InstanceSeen:
    """What the host shows of one instance: GONE only with no process and no disk.

    UNFINISHED when its folder holds what a launch leaves that was cut short. A disk without a readable record
    counts as one that has run.
    """
    settings = machine.settings
    running = is_running(machine)
    living = running or bool(cgroups.pids(machine.group))
    record = readable_record(machine)
    wanted = (
        record.provider_id
        if record
        else _id_from_init(machine) or f"{provider_id(settings.name, machine.name, 'unknown')}"
    )
    if running:
        state = InstanceState.RUNNING
    elif living or (record is not None and is_locked(machine.lock)):
        state = InstanceState.STARTING
    else:
        state = _state_at_rest(machine, record)
    address = record.address if record else None
    host_boot = record.host_boot if record else ""
    stopped_at = _changed_at(machine.console) if state is InstanceState.STOPPED else None
    pressed_at = _changed_at(machine.folder / BUTTON) if living else None
    return InstanceSeen(
        machine.name, ProviderId(wanted), settings.uid, state, address, host_boot, stopped_at, pressed_at
    )


def _state_at_rest(machine: Machine, record: Record | None) -> InstanceState:
    """Of one without a process."""
    never_ran = record is not None and record.starts == 0
    if disk_file(machine.folder).exists():
        return InstanceState.UNFINISHED if never_ran else InstanceState.STOPPED
    if never_ran or (record is None and machine.folder.exists()):
        return InstanceState.UNFINISHED
    return InstanceState.GONE


def _id_from_init(machine: Machine) -> str | None:
    pid = cgroups.find_init(machine.group)
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if pid else []
    except OSError:  # ended meanwhile
        return None
    prefix = f"{ID_VARIABLE}=".encode()
    return next((item.removeprefix(prefix).decode() for item in variables if item.startswith(prefix)), None)


def _changed_at(file: Path) -> float | None:
    """When a file last changed, on this boot's clock; None where there is none, and across a reboot of the host.

    A stopping machine prints to its end, so its console tells when it stopped; the button's file when it was pressed.
    """
    try:
        age = max(0.0, time.time() - file.stat().st_mtime)
    except FileNotFoundError:
        return None
    at = boot_seconds() - age
    return at if at >= 0 else None


def bound_console(machine: Machine) -> None:
    """Keep the console's end when it has grown beyond its bound. Its writer appends, so it may be cut under it."""
    try:
        if machine.console.stat().st_size <= CONSOLE_LIMIT_BYTES:
            return
        tail = console_tail(machine.console, CONSOLE_KEPT_BYTES)
        with machine.console.open("r+b") as file:
            file.truncate(0)
            file.write(tail)
    except FileNotFoundError:
        return  # the instance went meanwhile
