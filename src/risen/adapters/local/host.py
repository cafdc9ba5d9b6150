"""What this host is asked through programs, /proc and system calls. Knows nothing of clusters."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from risen.interfaces.errors import Invalid, Later, NoCapacity, OutcomeUnknown

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
EXT4_IOC_SHUTDOWN = 0x8004587D
EXT4_GOING_FLAGS_NOLOGFLUSH = 2
PROGRAM_TIMEOUT_SECONDS = 20.0
PROGRAMS_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = MappingProxyType(
    {"PATH": PROGRAMS_PATH, "LC_ALL": "C.UTF-8", "LIBMOUNT_FORCE_MOUNT2": "always"}
)
"""Of every program. The last: by the newer system call, which `mount` takes from util-linux 2.39 on, an option may have
256 bytes, and three layers of an image have more."""

PACKAGES = MappingProxyType(
    {
        "systemd-nspawn": "systemd-container",
        "haproxy": "haproxy",
        "nft": "nftables",
        "ip": "iproute2",
        "mkfs.ext4": "e2fsprogs",
        "modprobe": "kmod",
        "mount": "mount",
        "umount": "mount",
        "setsid": "util-linux",
        "nsenter": "util-linux",
    }
)
"""Programs the local provider runs, with the Debian package that brings each."""
BAKE_PACKAGES = MappingProxyType(
    {
        "mmdebstrap": "mmdebstrap",
        "apt-get": "apt",
        "dpkg-deb": "dpkg",
        "setpriv": "util-linux",
        "unshare": "util-linux",
    }
)
"""The same of what baking runs."""
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""What Debian's packages are checked against; package debian-archive-keyring."""


def run(argv: Sequence[str], stdin: str = "", timeout_seconds: float = PROGRAM_TIMEOUT_SECONDS) -> str:
    """Standard output of a program. Raises Invalid (no such program), OutcomeUnknown (failed or too slow)."""
    try:
        with in_time():
            done = subprocess.run(
                argv, input=stdin, capture_output=True, text=True, timeout=timeout_seconds, check=False,
                env=ENVIRONMENT,
            )  # fmt: skip
    except FileNotFoundError as error:
        package = PACKAGES.get(argv[0], "?")
        raise Invalid(f"{argv[0]} is not installed: apt-get install {package}") from error
    if done.returncode != 0:
        raise OutcomeUnknown(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()[-800:]}")
    return done.stdout


@contextmanager
def in_time() -> Iterator[None]:
    """A program that is too slow, in the contract's word: OutcomeUnknown."""
    try:
        yield
    except subprocess.TimeoutExpired as error:
        words = error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd))
        raise OutcomeUnknown(f"{words}: no end within {error.timeout:g} s") from error


def ip_json(*argv: str) -> list[dict[str, Any]]:
    """`ip -j ARGV` as a list of objects."""
    out = run(["ip", "-j", "-d", *argv]).strip()
    return [item for item in json.loads(out or "[]") if item]


def boot_id() -> str:
    """Changes with every boot of this host."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def memory_mib() -> int:
    """All memory of this host (`MemTotal` of proc_meminfo(5))."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def boot_seconds() -> float:
    """CLOCK_BOOTTIME."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def is_systemd_host() -> bool:
    """Whether systemd is process 1 here (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def wait_until(true: Callable[[], bool], timeout_seconds: float, every_seconds: float = 0.01) -> bool:
    """Whether a condition that nothing announces came true in time. Blocks: only for threads."""
    pause = threading.Event()
    end = boot_seconds() + timeout_seconds
    while not true():
        if boot_seconds() >= end:
            return False
        pause.wait(every_seconds)
    return True


def wait_for_exit(pids: Sequence[int], timeout_seconds: float) -> bool:
    """Whether all these processes ended in time (pidfd_open(2)). Blocks: only for threads."""
    end = boot_seconds() + timeout_seconds
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([fd], [], [], max(0.0, end - boot_seconds()))
        finally:
            os.close(fd)
        if not ready:
            return False
    return True


def in_netns(path: Path, act: Callable[[], T]) -> T:
    """What `act` returns when run inside a network namespace, in a thread of its own that ends with it."""
    results: list[T] = []
    failures: list[BaseException] = []

    def enter() -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(fd, CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), str(path))
            finally:
                os.close(fd)
            results.append(act())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failures.append(error)

    thread = threading.Thread(target=enter, name="in-netns", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


@contextmanager
def file_lock(path: Path, timeout_seconds: float = 8.0) -> Iterator[None]:
    """An exclusive flock that dies with its holder. Raises Later when another holds it for too long.

    The file may be removed by its holder: whoever waited on the removed one takes the new one instead.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = -1

    def taken() -> bool:
        nonlocal fd
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(BlockingIOError, FileNotFoundError):  # held, or removed by its last holder: ask again
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_ino == os.stat(path).st_ino:
                return True
        os.close(fd)
        return False

    if not wait_until(taken, timeout_seconds, 0.02):
        raise Later(f"{path.name}: another Risen process is acting on it", after_seconds=1.0)
    try:
        yield
    finally:
        os.close(fd)


def is_locked(path: Path) -> bool:
    """Whether anybody holds the lock."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Whole or not at all, and durable: write, fsync, rename, fsync of the directory. Raises NoCapacity."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(fd, "wb", closefd=False) as file:
                file.write(data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(partial, path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoCapacity(f"{path}: {error.strerror}") from error
        raise


def mounts_under(folder: Path) -> tuple[str, ...]:
    """Mount points at or below a folder, the deepest and newest first (proc(5), mountinfo)."""
    prefix = str(folder)
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split(" ")[4].encode().decode("unicode_escape")
        if point == prefix or point.startswith(prefix + "/"):
            points.append(point)
    return tuple(reversed(points))


def is_shared_mount(folder: Path) -> bool:
    """Whether the mount that a folder lies on propagates to copies of this mount namespace."""
    best, shared = "", False
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        point = fields[4].encode().decode("unicode_escape")
        covers = str(folder) == point or str(folder).startswith(point.rstrip("/") + "/")
        if covers and len(point) >= len(best):
            best, shared = point, any(field.startswith("shared:") for field in fields[6 : fields.index("-")])
    return shared


def loops_of(disk: Path) -> tuple[str, ...]:
    """Loop devices (`/dev/loopN`) whose backing file this is, removed or not."""
    found = []
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing = file.read_text().strip()
        except OSError:  # detached between the listing and the read
            continue
        if backing.removesuffix(" (deleted)") == str(disk):
            found.append(f"/dev/{file.parent.parent.name}")
    return tuple(found)


def forget_writes(mount_point: Path) -> None:
    """Shut an ext4 file system down without writing back what is dirty: for a disk about to be deleted."""
    fd = os.open(mount_point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH.to_bytes(4, "little"))
    finally:
        os.close(fd)
