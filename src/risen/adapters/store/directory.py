"""The store as a folder on a local disk. Implements `interfaces.store.Store`.

`objects/KEY.OBJECT` holds a header line (format, counter, length, checksum) and the bytes; a deleted object leaves
`KEY.GONE` with its counter, so that a version is never used twice. In format 2 the checksum covers the key, too; format
1 is read. `streams/NAME.STREAM` as in `streams`. One lock file serialises writers of all programs; readers need none.
It never waits longer than ten seconds for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from risen.adapters.store.files import (
    faults,
    kind_of_file_system,
    make_folders,
    read_whole,
    refuse_remote,
    remove,
    under_lock,
    write_whole,
)
from risen.adapters.store.streams import End, append_record, nearest, read_stream, remembered
from risen.interfaces.errors import Conflict, Corrupt, Invalid, TooNew
from risen.interfaces.store import IfAbsent, IfVersion, Object

LOCK = "store.lock"
_KEY = re.compile(r"[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*")
_PREFIX = re.compile(r"([a-z0-9_-][a-z0-9._-]*/?)*")
_OBJECT, _GONE, _STREAM = ".OBJECT", ".GONE", ".STREAM"
_FORMAT = re.compile(rb"risen-object (\d{1,9}) ")
_NEWEST_FORMAT = 2
_HEADER = re.compile(rb"risen-object ([12]) (\d+) (\d+) ([0-9a-f]{64})\n")
_WRITING = "writing"
T = TypeVar("T")


class DirectoryStore:
    """A store in `root`, which must exist (see `create`) and lie on a disk of this host."""

    def __init__(self, root: Path, kind_of: Callable[[Path], int] = kind_of_file_system) -> None:
        refuse_remote(root, kind_of)
        self._root = root
        self._ends: dict[str, tuple[End, ...]] = {}
        """Of each stream, ends of whole records seen: reading and appending begin there, not at the first."""

    @classmethod
    def create(cls, root: Path) -> DirectoryStore:
        """A store in `root`, which is made where it is missing. Raises Denied, NoCapacity, Invalid."""
        with faults(root):
            make_folders(root)
        return cls(root)

    async def get(self, key: str) -> Object | None:
        """See `interfaces.store.Store`."""
        path = self._object(key)
        found = await asyncio.to_thread(_read_object, path, key)
        return None if found is None else Object(found.data, found.version)

    async def put(self, key: str, data: bytes, condition: IfAbsent | IfVersion | None = None) -> str:
        """See `interfaces.store.Store`. Durable when it returns."""
        path = self._object(key)
        return await self._locked(lambda: self._put(path, key, data, condition))

    async def delete(self, key: str) -> None:
        """See `interfaces.store.Store`. What is absent is deleted already."""
        path = self._object(key)
        await self._locked(lambda: self._delete(path, key))

    async def list(self, prefix: str) -> tuple[str, ...]:
        """See `interfaces.store.Store`."""
        if not _PREFIX.fullmatch(prefix):
            raise Invalid(f"{prefix!r} is not a prefix of a store key")
        return await asyncio.to_thread(self._list, prefix)

    async def append(self, stream: str, data: bytes) -> int:
        """See `interfaces.store.Store`. Durable when it returns."""
        path = self._stream(stream)
        known = nearest(self._ends.get(stream, ()), sys.maxsize)
        end = await self._locked(lambda: append_record(path, data, known))
        self._remember(stream, end)
        return end.seq

    async def read(
        self, stream: str, after: int = 0, most: int | None = None
    ) -> tuple[tuple[int, bytes], ...]:
        """See `interfaces.store.Store`."""
        path, known = self._stream(stream), nearest(self._ends.get(stream, ()), after)
        found, end = await asyncio.to_thread(read_stream, path, after, known, most)
        self._remember(stream, end)
        return tuple(found)

    def _remember(self, stream: str, end: End) -> None:
        self._ends[stream] = remembered(self._ends.get(stream, ()), end)

    def _object(self, key: str) -> Path:
        return self._root / "objects" / f"{_checked(key)}{_OBJECT}"

    def _stream(self, name: str) -> Path:
        return self._root / "streams" / f"{_checked(name)}{_STREAM}"

    async def _locked(self, act: Callable[[], T]) -> T:
        """What `act` returns, done under the lock, in one thread that lets go of it only after that. Whoever awaits
        it and is cancelled waits for the end of what was begun; what waits for the lock still is not done."""
        let_go = threading.Event()
        doing = asyncio.ensure_future(asyncio.to_thread(under_lock, self._root / LOCK, act, let_go))
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            let_go.set()
            await asyncio.gather(doing, return_exceptions=True)
            raise

    def _put(self, path: Path, key: str, data: bytes, condition: IfAbsent | IfVersion | None) -> str:
        there = _read_object(path, key)
        match condition:
            case IfAbsent() if there is not None:
                raise Conflict(f"{key}: exists already")
            case IfVersion(version=version) if there is None or there.version != version:
                raise Conflict(f"{key}: is not at version {version} any more")
        counter = 1 + (there.counter if there is not None else _gone_counter(path))
        written = _Kept(counter, data, _checksum(counter, key, data))
        write_whole(path, _render(written), self._temporary())
        return written.version

    def _delete(self, path: Path, key: str) -> None:
        there = _read_object(path, key)
        if there is not None:
            gone = path.with_name(path.name.removesuffix(_OBJECT) + _GONE)
            write_whole(gone, b"%d\n" % there.counter, self._temporary())
            remove(path)

    def _temporary(self) -> Path:
        """Where to write until it is whole: under a name of its own, so that a writer who lost the lock (its file was
        removed) spoils no other's bytes. What killed writers left is removed by whoever holds the lock."""
        with faults(self._root):
            for left in self._root.glob(f"{_WRITING}*"):
                left.unlink(missing_ok=True)
        return self._root / f"{_WRITING}-{secrets.token_hex(8)}"

    def _list(self, prefix: str) -> tuple[str, ...]:
        top = self._root / "objects"
        folder = top / prefix.rpartition("/")[0]
        found = []
        with faults(top):
            for place, _, names in os.walk(folder, onerror=_raise_unless_missing):
                inside = Path(place).relative_to(top).as_posix()
                base = "" if inside == "." else f"{inside}/"
                found += [base + name.removesuffix(_OBJECT) for name in names if name.endswith(_OBJECT)]
        return tuple(sorted(key for key in found if key.startswith(prefix)))


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise Invalid(f"{key!r} is not a store key: parts of [a-z0-9._-], not starting with a dot")
    return key


@dataclass(frozen=True, slots=True)
class _Kept:
    """An object as it lies on the disk."""

    counter: int
    data: bytes
    checksum: str

    @property
    def version(self) -> str:
        return f"{self.counter}-{self.checksum[:32]}"


def _render(kept: _Kept) -> bytes:
    words = (_NEWEST_FORMAT, kept.counter, len(kept.data), kept.checksum.encode())
    return b"risen-object %d %d %d %s\n" % words + kept.data


def _checksum(counter: int, key: str, data: bytes) -> str:
    """With an empty key that of format 1."""
    return hashlib.sha256(b"%d\n" % counter + (f"{key}\n".encode() if key else b"") + data).hexdigest()


def _read_object(path: Path, key: str) -> _Kept | None:
    """Raises Corrupt or TooNew, both naming the file."""
    content = read_whole(path)
    if content is None:
        return None
    written = _FORMAT.match(content)
    if written is not None and int(written[1]) > _NEWEST_FORMAT:
        raise TooNew(
            f"{path}: written by a newer Risen (format {int(written[1])}, this one knows {_NEWEST_FORMAT}); "
            "use that version or a newer one"
        )
    header = _HEADER.match(content)
    if header is None:
        raise Corrupt(f"{path}: its header is not what was written")
    counter, data, checksum = int(header[2]), content[header.end() :], header[4].decode()
    if len(data) != int(header[3]) or _checksum(counter, key if header[1] == b"2" else "", data) != checksum:
        raise Corrupt(f"{path}: its bytes are not what was written (checksum); restore it from a backup")
    return _Kept(counter, data, checksum)


def _gone_counter(path: Path) -> int:
    content = read_whole(path.with_name(path.name.removesuffix(_OBJECT) + _GONE))
    return int(content) if content is not None and content.strip().isdigit() else 0
