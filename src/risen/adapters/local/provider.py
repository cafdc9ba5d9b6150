"""Instances as systemd machines on this host. Implements `interfaces.provider.Provider`.

Every act holds the instance's file lock, in a thread that keeps it even when its caller gave up waiting, so
that two Risen processes, or a time-out and its repetition, never act on one instance at once.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from dataclasses import dataclass

from risen.adapters.local.host import boot_id, file_lock, memory_mib
from risen.adapters.local.launcher import Launcher, console_tail, launcher_for
from risen.adapters.local.machine import (
    BUTTON,
    Machine,
    bound_console,
    bridge_ports,
    end,
    note_running,
    observe,
    readable_record,
    start,
    sweep,
)
from risen.adapters.local.network import BRIDGE, LOOPBACK, names_inside
from risen.adapters.local.records import (
    NONCE_CHARACTERS,
    Record,
    read_record,
    request_digest,
    take_address,
    write_record,
)
from risen.adapters.local.settings import (
    UPLINK,
    LocalSettings,
    bridge_port,
    instance_of,
    memory_share,
    provider_id,
)
from risen.core.names import InstanceName, ProviderId
from risen.core.picture import InstanceSeen, InstanceState, ProviderSeen
from risen.interfaces.builder import Images
from risen.interfaces.errors import Invalid, Later, NoCapacity, NotFound
from risen.interfaces.provider import LaunchRequest

USER_DATA_LIMIT_BYTES = 16384


@dataclass(frozen=True, slots=True)
class LocalProvider:
    """The instances of one local cluster."""

    settings: LocalSettings
    images: Images

    def _machine(self, name: InstanceName) -> Machine:
        return Machine(self.settings, self._launcher, name)

    @property
    def _launcher(self) -> Launcher:
        return launcher_for(self.settings.name)

    async def launch(self, request: LaunchRequest) -> ProviderId:
        """Start an instance, or what is left to do of an earlier launch of it."""
        return await asyncio.to_thread(self._launch, request)

    def _launch(self, request: LaunchRequest) -> ProviderId:
        machine = self._machine(request.instance)
        if len(request.user_data) > USER_DATA_LIMIT_BYTES:
            raise Invalid(f"{request.instance}: user data has {len(request.user_data)} of 16384 bytes")
        with file_lock(machine.lock):
            if machine.dead_console.exists():
                raise Invalid(f"{request.instance} was destroyed; names are never used again")
            record = read_record(machine.folder) or self._new_record(machine, request)
            if record.request_digest != request_digest(request):
                raise Invalid(f"{request.instance} was launched before, by another request")
            start(machine, record)
            return ProviderId(record.provider_id)

    def _new_record(self, machine: Machine, request: LaunchRequest) -> Record:
        layers = tuple(str(layer) for layer in self.images.get(request.image).layers)
        digest = request_digest(request)
        address = take_address(self.settings, request.instance)
        others = sum(1 for _ in self.settings.instances.glob("*/instance.json"))
        memory = memory_share(self.settings, memory_mib(), others + 1)
        record = Record(
            request.instance, request.cluster, request.pool, request.role.value, request.image, layers,
            base64.b64encode(request.user_data).decode(), digest,
            provider_id(self.settings.name, request.instance, digest[:NONCE_CHARACTERS]), address, memory_mib=memory,
        )  # fmt: skip
        machine.folder.mkdir(parents=True, exist_ok=True)
        write_record(machine.folder, record)
        return record

    async def list(self) -> ProviderSeen:
        """Everything of this cluster on this host, and what else is plugged into its bridge."""
        return await asyncio.to_thread(self._list)

    def _list(self) -> ProviderSeen:
        seen = []
        for name in sorted(self._names()):
            machine = self._machine(name)
            bound_console(machine)
            instance = observe(machine)
            if instance.state is InstanceState.RUNNING:
                self._note_running(machine)
            if instance.state is not InstanceState.GONE:
                seen.append(instance)
        return ProviderSeen((*seen, *self._foreign()), boot_id())

    def _note_running(self, machine: Machine) -> None:
        """Keep that it has run. What goes wrong here is tried again at the next look, which it must not blind."""
        record = readable_record(machine)
        if record is None or record.starts > 0:
            return
        with suppress(Later, NoCapacity), file_lock(machine.lock, 0.0):
            note_running(machine)

    def _names(self) -> frozenset[InstanceName]:
        """Instances with a folder, and those that only their processes' label still names."""
        folders = self.settings.instances.glob("*") if self.settings.instances.is_dir() else ()
        names = {folder.name for folder in folders if not folder.name.startswith(".")}
        names |= {unit for unit in self._launcher.units() if not unit.startswith("_")}
        return frozenset(InstanceName(name) for name in names)

    def _foreign(self) -> tuple[InstanceSeen, ...]:
        ours = {bridge_port(self.settings.name, name) for name in self._names()} | {UPLINK}
        if names_inside(self.settings) <= ours | {LOOPBACK, BRIDGE}:
            return ()
        return tuple(
            InstanceSeen(InstanceName(port), ProviderId(f"link://{port}"), None, InstanceState.RUNNING)
            for port in bridge_ports(self.settings)
            if port not in ours
        )

    async def get(self, instance: InstanceName) -> InstanceSeen:
        """One instance; GONE is proof: no process with its label and no disk."""
        return await asyncio.to_thread(observe, self._machine(instance))

    async def destroy(self, provider_id: ProviderId) -> None:
        """The fence. Idempotent; an id that another launch has replaced is gone already."""
        await asyncio.to_thread(self._destroy, provider_id)

    def _destroy(self, wanted: ProviderId) -> None:
        machine = self._machine(instance_of(self.settings.name, wanted))
        with file_lock(machine.lock):
            record = read_record(machine.folder)
            if record is not None and record.provider_id != wanted:
                return
            end(machine)
            machine.lock.unlink(missing_ok=True)

    async def press_power_button(self, provider_id: ProviderId) -> None:
        """Ask the machine's logind to power off, by the file that its baked path unit watches."""
        await asyncio.to_thread(self._press, provider_id)

    def _press(self, wanted: ProviderId) -> None:
        machine = self._machine(instance_of(self.settings.name, wanted))
        self._record_of(machine, wanted)
        button = machine.folder / BUTTON
        if not button.parent.is_dir():
            raise Later(f"{machine.name} has not been started yet", after_seconds=1.0)
        with suppress(FileExistsError):
            button.touch(exist_ok=False)

    async def power_on(self, provider_id: ProviderId) -> None:
        """Start a stopped instance from its own disk, also after a reboot of the host."""
        await asyncio.to_thread(self._power_on, provider_id)

    def _power_on(self, wanted: ProviderId) -> None:
        machine = self._machine(instance_of(self.settings.name, wanted))
        with file_lock(machine.lock):
            start(machine, self._record_of(machine, wanted))

    def _record_of(self, machine: Machine, wanted: ProviderId) -> Record:
        record = read_record(machine.folder)
        if record is None or record.provider_id != wanted:
            raise NotFound(f"{wanted}: no such instance on this host")
        return record

    async def console(self, instance: InstanceName, limit: int = 65536) -> bytes:
        """The last bytes that an instance, living or dead, printed."""
        return await asyncio.to_thread(self._console, instance, limit)

    def _console(self, instance: InstanceName, limit: int) -> bytes:
        machine = self._machine(instance)
        for file in (machine.console, machine.dead_console):
            if file.exists():
                return console_tail(file, limit)
        raise NotFound(f"{instance} has printed nothing on this host")

    async def sweep(self) -> None:
        """Delete what a destroy that was killed had renamed for deletion."""
        await asyncio.to_thread(self._sweep)

    def _sweep(self) -> None:
        for folder in self.settings.instances.glob(".gone-*"):
            sweep(self.settings, folder.name.removeprefix(".gone-"))
