"""Trees on disk: what lies in one, files laid into one, and one made lasting.

Knows nothing of steps or images.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from risen.adapters.builder.programs import run
from risen.bakery.digest import Entry
from risen.interfaces.errors import Invalid

_IGNORED_XATTRS = frozenset({"security.selinux"})
"""A label that the host's own policy puts on every file."""


def scan(tree: Path) -> Iterator[Entry]:
    """Every path of a tree, its root included as `.`, without following links. Raises Invalid for what is
    neither file, directory nor link."""
    yield _entry(tree, ".")
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(tree / folder) as entries:
            for one in entries:
                path = f"{folder}/{one.name}" if folder else one.name
                entry = _entry(Path(one.path), path)
                if entry.kind == "dir":
                    waiting.append(path)
                yield entry


def _entry(path: Path, name: str) -> Entry:
    status = path.lstat()
    mode, uid, gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    xattrs = tuple(
        sorted(
            (key, os.getxattr(path, key, follow_symlinks=False).hex())
            for key in os.listxattr(path, follow_symlinks=False)
            if key not in _IGNORED_XATTRS
        )
    )
    if stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Entry(name, "file", mode, uid, gid, status.st_size, sha256, xattrs=xattrs)
    if stat.S_ISDIR(status.st_mode):
        return Entry(name, "dir", mode, uid, gid, xattrs=xattrs)
    if stat.S_ISLNK(status.st_mode):
        return Entry(name, "link", 0o777, uid, gid, target=os.readlink(path), xattrs=xattrs)
    raise Invalid(f"{path} is neither file, directory nor link: an image cannot carry it")


def lay_folder(tree: Path, like: Path, folder: str) -> None:
    """Make a folder and those above it, each with the mode of the same folder in `like`, where it has one.
    Raises Invalid where `like` has a link or file of that name: the layer would hide it."""
    made = tree
    for part in Path(folder).parts:
        made = made / part
        model = like / made.relative_to(tree)
        if model.is_symlink() or (model.exists() and not model.is_dir()):
            raise Invalid(
                f"/{made.relative_to(tree)} is not a folder in the base: write the path it leads to"
            )
        if made.is_symlink() or (made.exists() and not made.is_dir()):
            raise Invalid(f"/{made.relative_to(tree)} is given both as a file and as a folder")
        if not made.exists():
            mode = stat.S_IMODE(model.lstat().st_mode) if model.is_dir() else 0o755
            made.mkdir()
            made.chmod(mode)


def lay_file(tree: Path, like: Path, name: str, source: bytes | Path, mode: int) -> None:
    """Put bytes, or a copy of a file, at a relative path; owned by root."""
    path = _place(tree, like, name)
    if isinstance(source, bytes):
        path.write_bytes(source)
    else:
        shutil.copyfile(source, path)
    path.chmod(mode)


def lay_link(tree: Path, like: Path, name: str, target: str) -> None:
    """Put a symbolic link at a relative path."""
    _place(tree, like, name).symlink_to(target)


def _place(tree: Path, like: Path, name: str) -> Path:
    parts = Path(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise Invalid(f"{name!r} is not a path inside an image")
    lay_folder(tree, like, str(Path(*parts[:-1])) if len(parts) > 1 else ".")
    return tree / name


def remove(path: Path) -> None:
    """Take away a file or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def settle(tree: Path) -> None:
    """Wait until all that was written to the tree's file system is on disk."""
    run(["sync", "-f", tree])


def size_of(tree: Path) -> int:
    """Bytes of all files of a tree."""
    return sum(path.lstat().st_size for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
