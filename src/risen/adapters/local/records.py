"""What is remembered of an instance and of a cluster's site on this host. Never says whether anything runs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from risen.adapters.local.host import file_lock, write_file
from risen.adapters.local.settings import DEFAULTS, NETWORKS, LocalSettings
from risen.core.names import ClusterUid, InstanceName
from risen.interfaces.errors import Corrupt, NoCapacity, NotFound
from risen.interfaces.provider import LaunchRequest

NONCE_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Record:
    """`instances/NAME/instance.json`, written before every start and after it. `layers` are overlay layers,
    lowest first; `user_data` is base64. `starts` counts the starts whose init was seen: with none of them it
    never ran, so that what is left of it is a launch that was cut short. `memory_mib` is what it counts as its memory,
    0 for all that it sees."""

    instance: str
    cluster: str
    pool: str
    role: str
    image: str
    layers: tuple[str, ...]
    user_data: str
    request_digest: str
    provider_id: str
    address: str
    host_boot: str = ""
    starts: int = 0
    memory_mib: int = 0


def request_digest(request: LaunchRequest) -> str:
    """SHA-256 over everything a launch request says, so that another request under one name is noticed."""
    fields = (request.instance, request.cluster, request.pool, request.role, request.image)
    return hashlib.sha256(b"\0".join([field.encode() for field in fields] + [request.user_data])).hexdigest()


def write_record(folder: Path, record: Record) -> None:
    """Durable before it returns."""
    write_file(folder / "instance.json", json.dumps(asdict(record), indent=1, sort_keys=True).encode())


def read_record(folder: Path) -> Record | None:
    """None where there is none. Raises Corrupt."""
    value = _read_json(folder / "instance.json")
    if value is None:
        return None
    try:
        return Record(**{**value, "layers": tuple(value["layers"])})
    except (TypeError, KeyError) as error:
        raise Corrupt(f"{folder / 'instance.json'}: {error}") from error


def write_site(settings: LocalSettings) -> None:
    """Keep what a start without the store needs: `site.json`, written before anything is added to the host."""
    value = {
        "uid": settings.uid,
        "subnet": settings.subnet,
        "disk_gib": settings.disk_gib,
        "boot_command": list(settings.boot_command),
        "endpoint_check_seconds": settings.endpoint_check_seconds,
        "pod_subnet": settings.pod_subnet,
        "service_subnet": settings.service_subnet,
    }
    write_file(settings.folder / "site.json", json.dumps(value, sort_keys=True).encode())


def read_site(home: Path, cluster: str) -> LocalSettings:
    """Settings as an earlier `prepare` kept them. Raises NotFound, Corrupt."""
    file = home / "clusters" / cluster / "site.json"
    value = _read_json(file)
    if value is None:
        raise NotFound(f"no cluster {cluster} on this host ({file} does not exist)")
    try:
        return LocalSettings(
            cluster,
            ClusterUid(value["uid"]),
            home,
            str(value["subnet"]),
            int(value["disk_gib"]),
            boot_command=tuple(value["boot_command"]),
            endpoint_check_seconds=float(
                value.get("endpoint_check_seconds", DEFAULTS.endpoint_check_seconds)
            ),
            pod_subnet=str(value.get("pod_subnet", NETWORKS.pod_subnet)),
            service_subnet=str(value.get("service_subnet", NETWORKS.service_subnet)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Corrupt(f"{file}: {error}") from error


def _read_json(file: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Corrupt(f"{file}: {error}") from error
    if not isinstance(value, dict):
        raise Corrupt(f"{file}: not a JSON object")
    return value


def choose_address(offered: tuple[str, ...], taken: frozenset[str], last_used: dict[str, int]) -> str | None:
    """The first address never used, else the one that has rested longest; None when all are taken."""
    free = [address for address in offered if address not in taken]
    return min(free, key=lambda address: last_used.get(address, 0), default=None)


def take_address(settings: LocalSettings, instance: InstanceName) -> str:
    """An address for a new instance; the same one again for an instance that has one. Raises NoCapacity.

    Instances' own records say what is taken; `addresses.json` only remembers in which order they were given,
    and an address taken by a record that was never written counts as used.
    """
    file = settings.folder / "addresses.json"
    with file_lock(settings.folder / "locks" / "addresses.lock"):
        value = _read_json(file) or {}
        last_used: dict[str, int] = {str(k): int(v) for k, v in value.get("last_used", {}).items()}
        taken: dict[str, str] = {}
        for folder in settings.instances.glob("*/instance.json"):
            record = read_record(folder.parent)
            if record is not None:
                taken[record.instance] = record.address
        if instance in taken:
            return taken[instance]
        address = choose_address(settings.addresses, frozenset(taken.values()), last_used)
        if address is None:
            raise NoCapacity(f"{settings.subnet}: all {len(settings.addresses)} addresses are taken")
        last_used[address] = max(last_used.values(), default=0) + 1
        write_file(file, json.dumps({"last_used": last_used}, sort_keys=True).encode())
        return address
