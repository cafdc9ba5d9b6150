"""What is written into an instance's root before its first boot: names, address, NoCloud seed. Nothing later.

Files are reached without following a link of the image, so that nothing outside the root is ever written.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from contextlib import suppress
from pathlib import Path

from risen.adapters.local.host import write_file
from risen.adapters.local.records import Record
from risen.adapters.local.settings import LocalSettings

SEED = "var/lib/cloud/seed/nocloud"
RESOLV_CONFS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
"""Where the host's real upstream name servers stand, the first that exists (systemd-resolved(8))."""


def seed_files(settings: LocalSettings, record: Record, resolv_conf: str) -> dict[str, bytes]:
    """Path inside the root to content."""
    network = settings.network
    nonce = record.provider_id.rsplit("/", 1)[-1]
    return {
        "etc/hostname": f"{record.instance}\n".encode(),
        "etc/machine-id": b"",
        "etc/resolv.conf": upstream_only(resolv_conf).encode(),
        "etc/systemd/network/10-host0.network": (
            "[Match]\nName=host0\n\n[Network]\n"
            f"Address={record.address}/{network.prefixlen}\nGateway={settings.gateway}\n"
            "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
        ).encode(),
        f"{SEED}/meta-data": (
            f"instance-id: {record.instance}-{nonce}\nlocal-hostname: {record.instance}\n"
        ).encode(),
        f"{SEED}/user-data": base64.b64decode(record.user_data),
    }


def upstream_only(resolv_conf: str) -> str:
    """A resolv.conf without name servers on the host's own loopback, which no instance could reach."""
    kept = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                if ipaddress.ip_address(words[1].split("%")[0]).is_loopback:
                    continue
            except ValueError:
                continue
        kept.append(line)
    return "\n".join(kept) + "\n"


def host_resolv_conf() -> str:
    """The host's, or empty."""
    for file in RESOLV_CONFS:
        try:
            return file.read_text()
        except OSError:
            continue
    return ""


def write_seed(settings: LocalSettings, record: Record, folder: Path) -> None:
    """Write the seed once per disk: it ends with a mark on the disk, and a repeated start leaves /etc alone."""
    mark = folder / "disk" / "seeded"
    if mark.exists():
        return
    for path, data in seed_files(settings, record, host_resolv_conf()).items():
        write_inside(folder / "root", path, data, 0o600 if path.startswith(SEED) else 0o644)
    write_file(mark, b"")


def write_inside(root: Path, path: str, data: bytes, mode: int) -> None:
    """Write a file below `root`, replacing what is there, following no link on the way (openat(2))."""
    *parents, name = path.split("/")
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parents:
            with suppress(FileExistsError):  # a link or a file here fails below
                os.mkdir(part, 0o755, dir_fd=folder)
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = below
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, mode, dir_fd=folder), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
    finally:
        os.close(folder)
