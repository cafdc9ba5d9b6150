"""What surrounds the instances of a local cluster, and all of them at once, without the store."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from risen.bootstrap.place import Host, local_settings, open_cluster
from risen.core.names import InstanceName
from risen.interfaces.errors import Corrupt, InterfaceError, NotFound
from risen.interfaces.provider import PowerResult

if TYPE_CHECKING:
    from risen.adapters.local.settings import LocalSettings
    from risen.adapters.local.site import LocalSite


def local_site(settings: LocalSettings) -> LocalSite:
    """What surrounds the instances of a local cluster."""
    from risen.adapters.local.site import LocalSite

    return LocalSite(settings)


def bound_controller_log(settings: LocalSettings) -> None:
    """Keep the end of a controller's log that has grown too long. One that cannot be cut is left for the next time."""
    from risen.adapters.local.controller import bound_log

    with contextlib.suppress(OSError):
        bound_log(settings.folder / "controller.log")


def site_on_host(host: Host, name: str) -> LocalSite:
    """The surroundings of a cluster as an earlier start kept them. Raises NotFound, Corrupt."""
    from risen.adapters.local.records import read_site

    return local_site(read_site(host.home, name))


async def mend_site(host: Host, name: str) -> None:
    """Write a site.json that cannot be read, or is away though instances are there, anew from the store, where that
    can tell what was in it."""
    from risen.adapters.local.records import read_site, write_site

    with contextlib.suppress(InterfaceError):
        try:
            read_site(host.home, name)
        except (Corrupt, NotFound) as error:
            if isinstance(error, Corrupt) or _holds_instances(host, name):
                write_site(local_settings(await open_cluster(host, name)))


def lost_site(host: Host, name: str) -> str:
    """Why what instances there are cannot be ended; empty where they can, or there are none."""
    site = host.folder(name) / "site.json"
    if site.exists() or not _holds_instances(host, name):
        return ""
    return (
        f"{site} is away, so nothing tells which instances are this cluster's, and some may live: put {site} or "
        f"{host.folder(name) / 'store'} back; or end those that `machinectl list` shows and delete "
        f"{host.folder(name) / 'instances'}, then say this again"
    )


def _holds_instances(host: Host, name: str) -> bool:
    return any((host.folder(name) / "instances").glob("*/instance.json"))


def rose_on_host(host: Host, name: str) -> bool:
    """Whether a cluster of that name began to rise here and was not taken down since, whatever its store says:
    site.json is written before anything is added to this host, and removed once all of that is gone. A sealing key
    without a folder opens a store that is elsewhere."""
    folder = host.folder(name)
    if not folder.exists():
        return host.key_file(name).exists()
    return (folder / "site.json").exists() or any((folder / "instances").glob("*"))


async def start_all(host: Host, name: str, after_boot: bool = False) -> tuple[PowerResult, ...]:
    """Power every instance of a cluster on, without its store. Raises NotFound, Corrupt."""
    from risen.adapters.local import power

    return await power.start_all(host.home, name, after_boot)


async def stop_all(host: Host, name: str) -> tuple[PowerResult, ...]:
    """Press every power button, workers first. Raises NotFound, Corrupt."""
    from risen.adapters.local import power

    return await power.stop_all(host.home, name)


async def destroy_all(host: Host, name: str) -> tuple[InstanceName, ...]:
    """Destroy every instance of a cluster, its data included. Raises NotFound, Corrupt."""
    from risen.adapters.local import power

    return await power.destroy_all(host.home, name)
