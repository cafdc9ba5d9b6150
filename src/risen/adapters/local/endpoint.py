"""The API endpoint by HAProxy's admin socket. Implements `interfaces.endpoint.Endpoint`.

What is wanted is written down first, then told to the running HAProxy; what `list` says is what HAProxy shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from risen.adapters.local.haproxy import (
    BACKEND,
    Shown,
    Slot,
    ask,
    change_slot,
    free_slot,
    leaving,
    read_slots,
    shown_slots,
    write_slots,
)
from risen.adapters.local.host import file_lock
from risen.adapters.local.settings import API_PORT, LocalSettings
from risen.core.names import InstanceName
from risen.core.picture import BackendSeen
from risen.interfaces.errors import NoCapacity, OutcomeUnknown, Unreachable


@dataclass(frozen=True, slots=True)
class LocalEndpoint:
    """The endpoint of one local cluster, on its bridge's address, port 6443."""

    settings: LocalSettings

    async def list(self) -> tuple[BackendSeen, ...]:
        """Backends that HAProxy has in rotation or drains; as draining also those whose adding or removal was cut
        short: either is to be done again."""
        return await asyncio.to_thread(self._list)

    async def add(self, instance: InstanceName, address: str) -> None:
        """Let it serve, as soon as its /readyz answers."""
        await asyncio.to_thread(self._locked, lambda: self._add(instance, address))

    async def drain(self, instance: InstanceName) -> None:
        """No new connections to it; those it has stay."""
        await asyncio.to_thread(self._locked, lambda: self._drain(instance))

    async def remove(self, instance: InstanceName) -> None:
        """Forget it and end its sessions."""
        await asyncio.to_thread(self._locked, lambda: self._remove(instance))

    def _locked(self, act: Callable[[], None]) -> None:
        with file_lock(self.settings.folder / "locks" / "endpoint.lock"):
            act()

    def _list(self) -> tuple[BackendSeen, ...]:
        try:
            by_server = shown_slots(self.settings)
        except OutcomeUnknown as error:  # asking changes nothing: there is no outcome to be unsure of
            raise Unreachable(str(error)) from error
        seen = []
        for slot in read_slots(self.settings):
            shown = by_server.get(slot.server)
            if shown is not None:
                seen.append(_backend(slot, shown))
        return tuple(sorted(seen, key=lambda backend: backend.name))

    def _slot_of(self, instance: InstanceName) -> Slot | None:
        return next((slot for slot in read_slots(self.settings) if slot.instance == instance), None)

    def _add(self, instance: InstanceName, address: str) -> None:
        slot = self._slot_of(instance)
        number = slot.number if slot else self._free()
        slot = Slot(number, instance, address)
        write_slots(self.settings, change_slot(read_slots(self.settings), slot))
        server = f"{BACKEND}/{slot.server}"
        shown = shown_slots(self.settings).get(slot.server)
        if shown is not None and not _serves(slot, shown):
            self._tell(
                f"set server {server} state maint",
                f"shutdown sessions server {server}",
                f"set server {server} addr {address} port {API_PORT}",
                f"set server {server} weight 1",
            )
            # Down until its own check says otherwise: HAProxy takes a server for healthy at first.
            ask(self.settings, f"set server {server} state ready", f"set server {server} health down")
        else:
            self._tell(f"set server {server} weight 1", f"set server {server} state ready")
        shown = shown_slots(self.settings).get(slot.server)
        if shown is None or not _serves(slot, shown):
            raise OutcomeUnknown(f"{instance}: HAProxy shows {shown} after adding it")

    def _free(self) -> int:
        number = free_slot(read_slots(self.settings))
        if number is None:
            raise NoCapacity("the API endpoint has no free slot for another apiserver")
        return number

    def _drain(self, instance: InstanceName) -> None:
        slot = self._slot_of(instance)
        if slot is None:
            return
        write_slots(self.settings, change_slot(read_slots(self.settings), replace(slot, draining=True)))
        self._tell(f"set server {BACKEND}/{slot.server} state drain")

    def _remove(self, instance: InstanceName) -> None:
        slot = self._slot_of(instance)
        if slot is None:
            return
        write_slots(self.settings, change_slot(read_slots(self.settings), leaving(slot)))
        self._tell(
            f"set server {BACKEND}/{slot.server} state maint",
            f"shutdown sessions server {BACKEND}/{slot.server}",
        )
        kept = tuple(other for other in read_slots(self.settings) if other.number != slot.number)
        write_slots(self.settings, kept)

    def _tell(self, *commands: str) -> None:
        for command in commands:
            answer = ask(self.settings, command).strip()
            if "No such server" in answer or "Unknown command" in answer or "Require" in answer:
                raise OutcomeUnknown(f"HAProxy refused `{command}`: {answer}")


def _backend(slot: Slot, shown: Shown) -> BackendSeen:
    name = InstanceName(slot.instance)
    if not _serves(slot, shown):  # nothing is sent to it, and nobody asks whether it is there
        return BackendSeen(name, slot.address, up=False, draining=True, silent=True)
    up = shown.up and shown.checked
    silent, down = shown.silent and not up, 0.0 if up else shown.changed_seconds
    return BackendSeen(name, slot.address, up, shown.draining or slot.leaving, silent, down)


def _serves(slot: Slot, shown: Shown) -> bool:
    return shown.address == slot.address and not shown.maintenance
