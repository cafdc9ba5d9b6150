"""The store as a folder on a local disk. Implements `interfaces.store.Store`.

`objects/KEY.OBJECT` holds a header line (counter, length, checksum) and the bytes; a deleted object leaves
`KEY.GONE` with its counter, so that a version is never used twice. `streams/NAME.STREAM` as in `streams`. One
lock file serialises writers of all programs; readers need none. It never waits longer than ten seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from risen.adapters.store.files import (
    faults,
    kind_of_file_system,
    make_folders,
    open_lock,
    read_whole,
    refuse_remote,
    remove,
    try_lock,
    write_whole,
)
from risen.adapters.store.streams import End, append_record, nearest, read_stream, remembered
from risen.interfaces.errors import Conflict, Corrupt, Invalid, Later, TooNew
from risen.interfaces.store import IfAbsent, IfVersion, Object

LOCK = "store.lock"
LOCK_SECONDS = 10.0
_POLL_SECONDS = 0.002
_KEY = re.compile(r"[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*")
_PREFIX = re.compile(r"([a-z0-9_-][a-z0-9._-]*/?)*")
_OBJECT, _GONE, _STREAM = ".OBJECT", ".GONE", ".STREAM"
_FORMAT = re.compile(rb"risen-object (\d{1,9}) ")
_NEWEST_FORMAT = 1
_HEADER = re.compile(rb"risen-object 1 (\d+) (\d+) ([0-9a-f]{64})\n")


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
        found = await asyncio.to_thread(_read_object, path)
        return None if found is None else Object(found[1], _version(*found))

    async def put(self, key: str, data: bytes, condition: IfAbsent | IfVersion | None = None) -> str:
        """See `interfaces.store.Store`. Durable when it returns."""
        path = self._object(key)
        async with self._locked():
            return await asyncio.to_thread(self._put, path, key, data, condition)

    async def delete(self, key: str) -> None:
        """See `interfaces.store.Store`. What is absent is deleted already."""
        path = self._object(key)
        async with self._locked():
            await asyncio.to_thread(self._delete, path)

    async def list(self, prefix: str) -> tuple[str, ...]:
        """See `interfaces.store.Store`."""
        if not _PREFIX.fullmatch(prefix):
            raise Invalid(f"{prefix!r} is not a prefix of a store key")
        return await asyncio.to_thread(self._list, prefix)

    async def append(self, stream: str, data: bytes) -> int:
        """See `interfaces.store.Store`. Durable when it returns."""
        path = self._stream(stream)
        async with self._locked():
            known = nearest(self._ends.get(stream, ()), sys.maxsize)
            end = await asyncio.to_thread(append_record, path, data, known)
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

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        descriptor = await asyncio.to_thread(open_lock, self._root / LOCK)
        try:
            waited = 0.0
            while not try_lock(descriptor):
                if waited >= LOCK_SECONDS:
                    raise Later(f"{self._root}: another program has held the store's lock for {waited:.0f} s")
                await asyncio.sleep(_POLL_SECONDS)
                waited += _POLL_SECONDS
            yield
        finally:
            os.close(descriptor)

    def _put(self, path: Path, key: str, data: bytes, condition: IfAbsent | IfVersion | None) -> str:
        there = _read_object(path)
        match condition:
            case IfAbsent() if there is not None:
                raise Conflict(f"{key}: exists already")
            case IfVersion(version=version) if there is None or _version(*there) != version:
                raise Conflict(f"{key}: is not at version {version} any more")
        counter = there[0] if there is not None else _gone_counter(path)
        write_whole(path, _render(counter + 1, data), self._root / "writing")
        return _version(counter + 1, data)

    def _delete(self, path: Path) -> None:
        there = _read_object(path)
        if there is not None:
            gone = path.with_name(path.name.removesuffix(_OBJECT) + _GONE)
            write_whole(gone, b"%d\n" % there[0], self._root / "writing")
            remove(path)

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


def _render(counter: int, data: bytes) -> bytes:
    return b"risen-object 1 %d %d %s\n" % (counter, len(data), _checksum(counter, data).encode()) + data


def _checksum(counter: int, data: bytes) -> str:
    return hashlib.sha256(b"%d\n" % counter + data).hexdigest()


def _version(counter: int, data: bytes) -> str:
    return f"{counter}-{_checksum(counter, data)[:32]}"


def _read_object(path: Path) -> tuple[int, bytes] | None:
    """Counter and bytes. Raises Corrupt or TooNew, both naming the file."""
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
    counter, data = int(header[1]), content[header.end() :]
    if len(data) != int(header[2]) or _checksum(counter, data).encode() != header[3]:
        raise Corrupt(f"{path}: its bytes are not what was written (checksum); restore it from a backup")
    return counter, data


def _gone_counter(path: Path) -> int:
    content = read_whole(path.with_name(path.name.removesuffix(_OBJECT) + _GONE))
    return int(content) if content is not None and content.strip().isdigit() else 0
