"""The sealing key's file: 32 random bytes in base64, mode 0600, never inside the store."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from risen.adapters.store.files import faults, make_folders, read_whole, sync_folder
from risen.authority.sealing import KEY_BYTES, SealingKey
from risen.interfaces.errors import Corrupt, Denied, NotFound

_HEAD = "risen-sealing-key 1 "


def read_sealing_key(path: Path) -> SealingKey:
    """The key in a file. Raises NotFound, Denied (others may read it), Corrupt."""
    content = read_whole(path)
    if content is None:
        raise NotFound(
            f"{path}: the sealing key of this cluster is missing; put it back from where it is kept "
            "(without it the authorities in the store cannot be opened)"
        )
    with faults(path):
        mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise Denied(f"{path}: others may read it (mode {mode:04o}); mend with: chmod 600 {path}")
    text = content.decode("ascii", "replace").strip()
    try:
        secret = base64.b64decode(text.removeprefix(_HEAD), validate=True)
    except binascii.Error as error:
        raise Corrupt(f"{path}: not a sealing key") from error
    if not text.startswith(_HEAD) or len(secret) != KEY_BYTES:
        raise Corrupt(f"{path}: not a sealing key")
    return SealingKey(secret)


def create_sealing_key(path: Path, secret: bytes) -> SealingKey:
    """Write a new key, or read the one that is there. `secret`: 32 random bytes. Raises Denied, NoCapacity."""
    with faults(path):
        make_folders(path.parent)
        staged = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{_HEAD}{base64.b64encode(secret).decode()}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(staged, path)
        except FileExistsError:
            return read_sealing_key(path)
        finally:
            staged.unlink(missing_ok=True)
    sync_folder(path.parent)
    return SealingKey(secret)
