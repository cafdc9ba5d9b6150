"""All instances of a cluster started, stopped or destroyed at once, by the provider alone: no store is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from risen.adapters.local.disk import unmount
from risen.adapters.local.host import boot_id, boot_seconds, file_lock
from risen.adapters.local.launcher import launcher_for
from risen.adapters.local.machine import Machine
from risen.adapters.local.provider import LocalProvider
from risen.adapters.local.records import read_record, read_site
from risen.adapters.local.settings import LocalSettings
from risen.adapters.local.site import LocalSite
from risen.core.names import ImageDigest, InstanceName, Role
from risen.core.picture import InstanceSeen, InstanceState
from risen.interfaces.builder import BakedImage
from risen.interfaces.errors import InterfaceError, NotFound
from risen.interfaces.provider import PowerResult

LOOK_EVERY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class NoImages:
    """Images for a provider that launches nothing new: instances start from the layers in their records."""

    def get(self, digest: ImageDigest) -> BakedImage:
        """Raises NotFound."""
        raise NotFound(f"{digest}: nothing new is launched here")

    def list(self) -> tuple[BakedImage, ...]:
        """None."""
        return ()


async def start_all(home: Path, cluster: str, after_boot: bool = False) -> tuple[PowerResult, ...]:
    """Site and every instance that has a disk, up again: after a reboot of the host, or after `stop_all`.

    With `after_boot` only instances that were last started in an earlier boot of this host. Raises NotFound (no such cluster here) and what `prepare` raises; an instance's own trouble is in its result.
    """
    settings = read_site(home, cluster)
    await LocalSite(settings).prepare()
    provider = LocalProvider(settings, NoImages())
    await provider.sweep()
    seen = await _ours(provider)
    wanted = [one for one in seen if not after_boot or one.host_boot != boot_id()]
    return tuple(await asyncio.gather(*(_start(provider, instance) for instance in wanted)))


async def _start(provider: LocalProvider, instance: InstanceSeen) -> PowerResult:
    trouble = ""
    if instance.state is not InstanceState.RUNNING:
        try:
            await provider.power_on(instance.provider_id)
        except InterfaceError as error:
            trouble = str(error)
    now = await provider.get(instance.name)
    return PowerResult(instance.name, now.state, trouble)


async def stop_all(home: Path, cluster: str, timeout_seconds: float = 90.0) -> tuple[PowerResult, ...]:
    """Power button on workers, then on the control plane; each group has `timeout_seconds`. Kills nothing."""
    settings = read_site(home, cluster)
    provider = LocalProvider(settings, NoImages())
    seen = await _ours(provider)
    workers = [instance for instance in seen if _role(settings, instance.name) == Role.WORKER]
    others = [instance for instance in seen if instance not in workers]
    results: list[PowerResult] = []
    for group in (workers, others):
        results += await _stop(provider, group, timeout_seconds)
    return tuple(results)


async def _stop(
    provider: LocalProvider, group: Iterable[InstanceSeen], timeout_seconds: float
) -> tuple[PowerResult, ...]:
    end = boot_seconds() + timeout_seconds
    return tuple(await asyncio.gather(*(_stop_one(provider, instance, end) for instance in group)))


async def _stop_one(provider: LocalProvider, instance: InstanceSeen, end: float) -> PowerResult:
    pressed = False
    while True:
        now = await provider.get(instance.name)
        if now.state in (InstanceState.STOPPED, InstanceState.UNFINISHED, InstanceState.GONE):
            await asyncio.to_thread(_put_to_rest, provider.settings, instance.name)
            return PowerResult(instance.name, now.state)
        if boot_seconds() >= end:
            return PowerResult(instance.name, now.state, "still running: it does not answer its power button")
        if not pressed and now.state is InstanceState.RUNNING:
            await provider.press_power_button(instance.provider_id)
            pressed = True
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def _put_to_rest(settings: LocalSettings, name: InstanceName) -> None:
    """Unmount a stopped instance's disk, so that nothing of it is unwritten."""
    machine = Machine(settings, launcher_for(settings.name), name)
    with file_lock(machine.lock):
        if machine.folder.exists():
            unmount(machine.folder)


async def destroy_all(home: Path, cluster: str) -> tuple[InstanceName, ...]:
    """Destroy every instance of a cluster, its data included. Foreign ones are left alone."""
    provider = LocalProvider(read_site(home, cluster), NoImages())
    seen = await _ours(provider)
    await asyncio.gather(*(provider.destroy(instance.provider_id) for instance in seen))
    await provider.sweep()
    return tuple(instance.name for instance in seen)


async def _ours(provider: LocalProvider) -> tuple[InstanceSeen, ...]:
    listed = (await provider.list()).instances
    return tuple(instance for instance in listed if instance.cluster == provider.settings.uid)


def _role(settings: LocalSettings, name: InstanceName) -> str:
    record = read_record(settings.instances / name)
    return record.role if record is not None else Role.CONTROL_PLANE
