"""A stock Debian with systemd and cgroup version 2, as a QEMU guest: its disks, its start, what it said.

Nothing of the guest reaches a network (user networking, `restrict=on`). KVM is used where it runs guests,
which a tiny guest proves; elsewhere the processor is emulated.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from children import ENDS_WITH_US

PACKAGES = (
    "linux-image-cloud-amd64,initramfs-tools,systemd-sysv,udev,dbus,libpam-systemd,python3,iptables,procps,"
    # what tools/setup.sh installs on a host
    "systemd-container,haproxy,nftables,mmdebstrap,iproute2,e2fsprogs,kmod,conntrack,curl,openssl,ca-certificates,"
    "debian-archive-keyring,tar,zstd,mount,util-linux"
)
KVM_SECONDS = 3.0
ALIVE = "the guest is alive"
FILES = {
    "etc/hostname": "stock\n",
    "etc/machine-id": "5f0e4b0c6a1d4f0f9c55a9e2b8a7c301\n",  # not empty: else the first boot enables every service
    "etc/hosts": "127.0.0.1 localhost stock\n",
    "etc/fstab": (
        "/dev/vdb /srv/payload ext4 defaults 0 0\n"
        "/srv/payload/home /var/lib/risen none bind 0 0\n"
        "/srv/payload/cache /var/cache/risen none bind 0 0\n"
    ),
    "etc/systemd/network/20-wired.network": "[Match]\nName=en* eth*\n\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
    "etc/systemd/system/docker-like.service": (
        "[Unit]\nDescription=The FORWARD drop that Docker sets\nBefore=network-pre.target\n\n"
        "[Service]\nType=oneshot\nExecStart=/usr/sbin/iptables -P FORWARD DROP\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
    "etc/systemd/system/risen-story.service": (
        "[Unit]\nDescription=The story\nAfter=network-online.target docker-like.service\nWants=network-online.target\n\n"
        "[Service]\nExecStart=/usr/bin/python3 -u /srv/payload/story/story.py\nWorkingDirectory=/\n"
        "StandardOutput=tty\nStandardError=tty\nTTYPath=/dev/ttyS1\nEnvironment=HOME=/root\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
    "usr/lib/python3/dist-packages/risen.pth": "/srv/payload/site\n",
}
"""Files of the guest's root beyond its packages."""


@dataclass(frozen=True)
class Root:
    """A guest's root disk with its kernel."""

    disk: Path
    kernel: Path
    initrd: Path


def make_root(suite: str, cache: Path) -> Root:
    """The root of a Debian suite: from the cache, or made by mmdebstrap from this host's Debian mirror."""
    key = hashlib.sha256(f"{suite} {PACKAGES} {sorted(FILES.items())}".encode()).hexdigest()[:12]
    folder = cache / "tests" / "qemu" / f"{suite}-{key}"
    if not folder.is_dir():
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        tree = partial / "tree"
        _run(
            "mmdebstrap", "--quiet", "--variant=apt", "--mode=root", "--format=directory",
            f"--include={PACKAGES}", suite, str(tree), debian_mirror(),
        )  # fmt: skip
        finish_root(tree, partial)
        shutil.rmtree(tree)
        partial.rename(folder)
    return Root(folder / "root.ext4", folder / "vmlinuz", folder / "initrd")


def debian_mirror() -> str:
    """Where this host's apt gets Debian itself from."""
    said = _run("apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)")
    mirrors = {line.split()[0] for line in said.splitlines() if line.split()[1:] == ["Debian"]}
    return min(mirrors)


def finish_root(tree: Path, folder: Path) -> None:
    """Lay the guest's own files into a Debian tree and make the disk of it."""
    for name, text in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    for name in ("srv/payload", "var/lib/risen", "var/cache/risen"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    units = ("systemd-networkd", "systemd-networkd-wait-online", "docker-like", "risen-story")
    _run("systemctl", f"--root={tree}", "--quiet", "enable", *units)
    _run("systemctl", f"--root={tree}", "--quiet", "disable", "haproxy")
    for pattern, name in (("vmlinuz-*", "vmlinuz"), ("initrd.img-*", "initrd")):
        (found,) = (tree / "boot").glob(pattern)
        shutil.copyfile(found, folder / name)
    make_disk(tree, folder / "root.ext4", 4)


def make_disk(tree: Path, disk: Path, gib: int) -> None:
    """An ext4 file system with the content of a folder; sparse."""
    with disk.open("wb") as file:
        file.truncate(gib << 30)
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d", str(tree), str(disk))


def kvm_runs(root: Root, busybox: bytes, folder: Path) -> bool:
    """Whether /dev/kvm runs a guest: it may exist and every guest still hang."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    init = f"#!/bin/busybox sh\n/bin/busybox echo {ALIVE}\n/bin/busybox poweroff -f\n".encode()
    image, said = folder / "alive.cpio", folder / "alive.log"
    image.write_bytes(
        cpio((("bin", 0o040755, b""), ("bin/busybox", 0o100755, busybox), ("init", 0o100755, init)))
    )
    argv = (
        "qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-machine", "q35", "-m", "512M", *BARE,
        "-kernel", str(root.kernel), "-initrd", str(image), "-append", "console=ttyS0 quiet panic=-1",
        "-serial", f"file:{said}", "-no-reboot",
    )  # fmt: skip
    try:
        subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=KVM_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return said.exists() and ALIVE in said.read_text(errors="replace")


BARE = ("-nographic", "-nodefaults", "-no-user-config")


def run_guest(root: Root, payload: Path, folder: Path, accelerated: bool, bound_seconds: float) -> str:
    """Boot the guest, print what its story says, let it end by itself, and return the story.

    The guest may boot again meanwhile. Its disks stay unchanged.
    """
    accelerator = (
        ("-accel", "kvm", "-cpu", "host")
        if accelerated
        else ("-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "max")
    )
    argv = (
        *ENDS_WITH_US, "qemu-system-x86_64", *accelerator, "-machine", "q35", "-smp", "2", "-m", "6G", *BARE,
        "-kernel", str(root.kernel), "-initrd", str(root.initrd),
        "-append", "root=/dev/vda rw console=ttyS0 mitigations=off quiet systemd.show_status=0 nokaslr",
        "-drive", f"file={root.disk},if=virtio,format=raw,cache=unsafe,snapshot=on",
        "-drive", f"file={payload},if=virtio,format=raw,cache=unsafe,snapshot=on",
        "-serial", f"file:{folder / 'console.log'}", "-serial", f"file:{folder / 'story.log'}",
        "-device", "virtio-rng-pci",
        "-netdev", "user,id=n,restrict=on,ipv6=off", "-device", "virtio-net-pci,netdev=n",
    )  # fmt: skip
    log = folder / "story.log"
    log.touch()
    with (
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(folder)}) as guest,
        log.open(errors="replace") as lines,
    ):
        began = time.monotonic()
        while guest.poll() is None:
            _print_new(lines, began)
            if time.monotonic() > began + bound_seconds:
                print(f"{bound_seconds:.0f} s are over: the guest is ended", flush=True)
                guest.kill()
            time.sleep(0.5)
        _print_new(lines, began)
    return log.read_text(errors="replace")


def _print_new(lines: TextIO, began: float) -> None:
    """What was said since the last call, with the seconds since the guest was powered on."""
    for line in lines.read().splitlines():
        print(f"{time.monotonic() - began:5.0f}  {line}", flush=True)


def cpio(entries: tuple[tuple[str, int, bytes], ...]) -> bytes:
    """A newc archive, as the kernel unpacks it (initramfs buffer format)."""
    out = io.BytesIO()
    for number, (name, mode, data) in enumerate((*entries, ("TRAILER!!!", 0, b"")), start=1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + path)
        out.write(b"\0" * (-out.tell() % 4))
        out.write(data)
        out.write(b"\0" * (-out.tell() % 4))
    return out.getvalue()


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: exit {done.returncode}\n{done.stderr}"
    return done.stdout
