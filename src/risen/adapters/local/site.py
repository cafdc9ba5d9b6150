"""What surrounds a local cluster's instances: network, endpoint program, way out. Implements `provider.Site`.

`prepare` may be repeated at any time and mends what is missing; `clear` removes exactly what was added, also
after a crash of either. What is ours is recognised by labels on the host: link aliases, cgroup paths, the nft
table's name; only host sysctls, which carry no label, are recorded.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from risen.adapters.local import cgroups
from risen.adapters.local.boot_unit import keep_boot_unit, remove_boot_unit
from risen.adapters.local.controller import start_controller
from risen.adapters.local.disk import disk_file
from risen.adapters.local.haproxy import ask, endpoint_folder, read_slots, render, write_slots
from risen.adapters.local.host import (
    file_lock,
    in_netns,
    is_systemd_host,
    mounts_under,
    run,
    wait_until,
    write_file,
)
from risen.adapters.local.launcher import Launcher, Program, console_tail, launcher_for
from risen.adapters.local.machine import bridge_ports, share
from risen.adapters.local.network import clear_network, make_network, set_routes
from risen.adapters.local.outside import SHARED, close_outside, has_outside, open_outside, raise_limits
from risen.adapters.local.records import write_site
from risen.adapters.local.settings import UPLINK, LocalSettings, bridge_port
from risen.interfaces.errors import Conflict, Invalid, OutcomeUnknown, Unreachable
from risen.interfaces.provider import StartedController

ENDPOINT_UNIT = "_endpoint"
NICENESS = "-12"
"""HAProxy's, between etcd's and the API servers': one that waits for a CPU behind those it checks calls them down and
ends their sessions. Where priorities may not be raised `nice` starts it all the same."""
ENDPOINT_END_SECONDS = 5.0
ENDPOINT_START_SECONDS = 60.0
"""Of a program that lives: an emulated or overloaded host takes ten seconds to read a configuration."""
MODULES = ("br_netfilter", "overlay", "vxlan", "nf_tables", "loop")


@dataclass(frozen=True, slots=True)
class LocalSite:
    """The surroundings of one local cluster on this host."""

    settings: LocalSettings

    async def prepare(self) -> None:
        """Make or mend everything. Raises Conflict (the host uses a name or the subnet), Invalid."""
        await asyncio.to_thread(self._prepare)

    async def mend_outside(self) -> tuple[str, ...]:
        """See `provider.Site`."""
        return await asyncio.to_thread(self._mend_outside)

    async def clear(self) -> None:
        """Remove everything. Raises Conflict while instances or foreign machines are still there."""
        await asyncio.to_thread(self._clear)

    async def refuse_while_foreign(self) -> None:
        """Raises Conflict, naming them, while links that Risen did not make are plugged into the bridge."""
        await asyncio.to_thread(self._refuse_while_foreign)

    def listen(self, address: str, port: int) -> socket.socket:
        """A TCP socket that listens inside the cluster's namespace, for a server that lives outside of it."""
        return in_netns(self.settings.netns_path, lambda: _listening(address, port))

    def start_controller(self, log: Path) -> StartedController:
        """Start the controller so that it outlives its caller. Raises what `controller.start_controller` raises."""
        return start_controller(self.settings, log)

    @property
    def restarts_controller(self) -> bool:
        """Whether something of this host starts a controller that failed again."""
        return is_systemd_host()

    @property
    def _launcher(self) -> Launcher:
        return launcher_for(self.settings.name)

    def _prepare(self) -> None:
        settings = self.settings
        with file_lock(settings.folder / "locks" / "site.lock"):
            self._keep_authority()
            write_site(settings)
            settings.instances.mkdir(parents=True, exist_ok=True)
            share(settings)
            _load_modules()
            raise_limits()
            make_network(settings)
            outside = has_outside()
            if outside:
                open_outside(settings)
            set_routes(settings, outside)
            self._run_endpoint()
            keep_boot_unit(settings)

    def _mend_outside(self) -> tuple[str, ...]:
        settings = self.settings
        if not has_outside():
            return ()
        with file_lock(settings.folder / "locks" / "site.lock"):
            if not settings.netns_path.exists():  # taken down meanwhile: what is laid now would stay
                return ()
            laid = open_outside(settings)
            set_routes(settings, True)
        return laid

    def _keep_authority(self) -> None:
        file = endpoint_folder(self.settings) / "cluster-ca.crt"
        wanted = self.settings.cluster_ca
        if wanted is None:
            if not file.exists():
                raise Invalid(f"{file} does not exist: the endpoint cannot check apiservers without the CA")
        elif not file.exists() or file.read_bytes() != wanted:
            write_file(file, wanted, 0o644)

    def _run_endpoint(self) -> None:
        """Start HAProxy unless it runs with this configuration (backends aside, which its socket changes)."""
        settings, launcher = self.settings, self._launcher
        folder = endpoint_folder(settings)
        authority = (folder / "cluster-ca.crt").read_bytes()
        digest = hashlib.sha256(render(settings, ()).encode() + authority).hexdigest()
        running = folder / "running"
        if self._endpoint_answers() and running.exists() and running.read_text() == digest:
            return
        launcher.halt(ENDPOINT_UNIT)
        cgroups.kill(launcher.group(ENDPOINT_UNIT), ENDPOINT_END_SECONDS)
        launcher.clear(ENDPOINT_UNIT)
        settings.runtime.mkdir(parents=True, exist_ok=True)
        write_slots(settings, tuple(slot for slot in read_slots(settings) if not slot.leaving))
        config, log = folder / "haproxy.cfg", folder / "haproxy.log"
        log.unlink(missing_ok=True)
        argv = ("nice", "-n", NICENESS, "haproxy", "-db", "-f", str(config))
        launcher.start(Program(ENDPOINT_UNIT, argv, log, settings.netns_path))
        wait_until(self._endpoint_started, ENDPOINT_START_SECONDS, 0.02)
        if not self._endpoint_answers():
            raise OutcomeUnknown(
                f"HAProxy does not answer: {console_tail(log, 800).decode(errors='replace')}"
            )
        write_file(running, digest.encode())

    def _endpoint_started(self) -> bool:
        """It answers, or it is known that it will not: its program ended."""
        return self._endpoint_answers() or not cgroups.pids(self._launcher.group(ENDPOINT_UNIT))

    def _endpoint_answers(self) -> bool:
        try:
            return "Uptime" in ask(self.settings, "show info")
        except (Unreachable, OutcomeUnknown):
            return False

    def _clear(self) -> None:
        settings, launcher = self.settings, self._launcher
        with file_lock(settings.folder / "locks" / "site.lock"):
            self._refuse_while_used()
            for unit in sorted(launcher.units()):
                if unit.startswith("_"):
                    launcher.halt(unit)
                cgroups.kill(launcher.group(unit), ENDPOINT_END_SECONDS)
                launcher.clear(unit)
            launcher.clear_all()
            for point in mounts_under(settings.instances):
                run(["umount", point])
            remove_boot_unit(settings)
            close_outside(settings)
            clear_network(settings)
            shutil.rmtree(settings.runtime, ignore_errors=True)
            for name in ("endpoint", "instances", "dead"):
                shutil.rmtree(settings.folder / name, ignore_errors=True)
            for name in ("site.json", "addresses.json"):
                (settings.folder / name).unlink(missing_ok=True)
        shutil.rmtree(settings.folder / "locks", ignore_errors=True)
        _remove_if_empty(settings.folder)
        (SHARED / "host.lock").unlink(missing_ok=True)
        _remove_if_empty(SHARED)

    def _refuse_while_used(self) -> None:
        settings = self.settings
        folders = [folder for folder in settings.instances.glob("[!.]*") if disk_file(folder).exists()]
        if folders:
            names = ", ".join(sorted(folder.name for folder in folders))
            raise Conflict(f"cluster {settings.name} still has instances: {names}; destroy them first")
        self._refuse_while_foreign()

    def _refuse_while_foreign(self) -> None:
        settings = self.settings
        folders = settings.instances.glob("[!.]*") if settings.instances.is_dir() else ()
        names = {*self._launcher.units(), *(folder.name for folder in folders)}
        ours = {UPLINK, *(bridge_port(settings.name, name) for name in names)}
        foreign = [port for port in bridge_ports(settings) if port not in ours]
        if foreign:
            raise Conflict(
                f"on the bridge of {settings.name} are links not made by Risen: {', '.join(foreign)}; "
                f"unplug them first: ip -n {settings.netns} link set {foreign[0]} nomaster"
            )


def _listening(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"port {port} on {address} is taken inside the cluster's network namespace: something that "
                "Risen did not start listens there; find it with `ss -lntp` in that namespace, and end it"
            ) from error
        raise
    return listener


def _load_modules() -> None:
    """Load what is not there yet. Built-in features answer "not found": `doctor` looks at what they do."""
    bridge_rules = Path("/proc/sys/net/bridge")
    had = bridge_rules.exists()
    for name in MODULES:
        if Path("/sys/module", name).exists():
            continue
        try:
            run(["modprobe", name])
        except (OutcomeUnknown, Invalid):  # built in, or missing: doctor tells which
            continue
    if not had and bridge_rules.exists():
        for file in bridge_rules.glob("bridge-nf-call-*"):
            file.write_text("0")


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
