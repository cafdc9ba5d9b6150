"""What the directory store does to a file system: whole-file writes that survive a crash, faults by name.

Write: temporary file, fsync, rename, fsync of the directory. So a reader sees the old bytes or the new ones.
This file knows nothing of keys, versions or streams.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from risen.interfaces.errors import (
    Denied,
    InterfaceError,
    Invalid,
    Later,
    NoCapacity,
    OutcomeUnknown,
    Unreachable,
)

T = TypeVar("T")
LOCK_SECONDS = 10.0
_POLL_SECONDS = 0.002

REMOTE_FILE_SYSTEMS = MappingProxyType({
    0x6969: "NFS", 0x517B: "SMB", 0xFE534D42: "SMB 2", 0xFF534D42: "CIFS", 0x01021997: "9P", 0x00C36400: "Ceph",
    0x65735546: "FUSE", 0x5346414F: "AFS", 0x73757245: "Coda", 0x0BD00BD0: "Lustre", 0x7461636F: "OCFS2",
    0x01161970: "GFS2", 0x47504653: "GPFS", 0x564C: "NCP", 0xAAD7AAEA: "PanFS",
})  # fmt: skip
"""`f_type` of statfs(2): file systems whose locks or renames are not to be trusted between hosts."""


def kind_of_file_system(path: Path) -> int:
    """`f_type` of the file system under an existing path; 0 where statfs(2) cannot be asked."""
    if not sys.platform.startswith("linux"):
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    answer = (ctypes.c_long * 64)()
    if libc.statfs(os.fsencode(path), ctypes.byref(answer)) != 0:
        number = ctypes.get_errno()
        raise fault(OSError(number, os.strerror(number)), path)
    return int(answer[0]) & 0xFFFFFFFF


def refuse_remote(path: Path, kind_of: Callable[[Path], int] = kind_of_file_system) -> None:
    """Raises Invalid when `path` lies on a file system of another host."""
    name = REMOTE_FILE_SYSTEMS.get(kind_of(path))
    if name is not None:
        raise Invalid(
            f"{path} lies on {name}: locks there do not hold between hosts; use a local disk, or a bucket"
        )


def fault(error: OSError, path: Path, *, after: bool = False) -> InterfaceError:
    """The operating error that an OSError means. `after`: the change may have reached the disk."""
    said = f"{path}: {error.strerror or error}"
    if after:
        return OutcomeUnknown(said)
    match error.errno:
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return Denied(f"{said} (the store cannot be written here)")
        case errno.ENOSPC | errno.EDQUOT:
            return NoCapacity(f"{said} (make room; nothing was changed)")
        case errno.ENAMETOOLONG | errno.ENOTDIR | errno.EISDIR:
            return Invalid(said)
        case _:
            return Unreachable(said)


@contextmanager
def faults(path: Path, *, after: bool = False) -> Iterator[None]:
    """OSErrors inside become operating errors."""
    try:
        yield
    except OSError as error:
        raise fault(error, path, after=after) from error


def read_whole(path: Path) -> bytes | None:
    """All bytes of a file; None where none is."""
    with faults(path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def write_whole(path: Path, data: bytes, temporary: Path) -> None:
    """Put `data` at `path`, over what is there, by way of `temporary` on the same file system.

    Raises Denied, NoCapacity, Unreachable (nothing changed), OutcomeUnknown (it may have).
    """
    with faults(path):
        make_folders(path.parent)
    try:
        with faults(path):
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, path)
    except InterfaceError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file that may be gone already. Raises Denied, Unreachable, OutcomeUnknown."""
    with faults(path):
        path.unlink(missing_ok=True)
    if path.parent.exists():
        sync_folder(path.parent)


def make_folders(path: Path) -> None:
    """Make a folder and those above it, each one durable. Raises OSError."""
    if path.is_dir():
        return
    make_folders(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make renames in a folder durable. Raises OutcomeUnknown: what was renamed is seen, but may not last."""
    with faults(path, after=True):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def trouble_of(lock: Path) -> str:
    """Why nothing can be written beside this lock file now; empty where something can. Changes nothing: the file is
    opened as a writer does, and the room counted."""
    try:
        if lock.exists():
            os.close(os.open(lock, os.O_RDWR | os.O_CLOEXEC))
        elif not os.access(lock.parent, os.W_OK):
            return os.strerror(errno.EACCES)
        room = os.statvfs(lock.parent)
    except OSError as error:
        return error.strerror or str(error)
    return os.strerror(errno.ENOSPC) if room.f_blocks and not room.f_bfree else ""


def open_lock(path: Path) -> int:
    """Open a lock file, making it where it is missing. Raises Denied, NoCapacity, Unreachable."""
    with faults(path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """flock(2) without waiting: whether it is ours now. It ends when the descriptor is closed."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def under_lock(path: Path, act: Callable[[], T], let_go: threading.Event) -> T:
    """What `act` returns, done while this thread holds the lock file. Blocks: only for threads.

    Raises Later when another holds it for 10 s, or `let_go` is set before it is free; else what `act` raises.
    """
    descriptor = open_lock(path)
    try:
        began = time.monotonic()
        while not try_lock(descriptor):
            if let_go.wait(_POLL_SECONDS):
                break
            if time.monotonic() - began >= LOCK_SECONDS:
                raise Later(
                    f"{path.parent}: another program has held the store's lock for {LOCK_SECONDS:.0f} s"
                )
        if let_go.is_set():
            raise Later(f"{path.parent}: nobody waits for this write any more")
        return act()
    finally:
        os.close(descriptor)
