"""The truth of the store: objects with versions, streams, and who holds the lock of the one leader."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from risen.interfaces.errors import (
    Conflict,
    Corrupt,
    Denied,
    Invalid,
    Later,
    NoCapacity,
    TooNew,
    Unreachable,
)
from risen.interfaces.store import IfAbsent, IfVersion, Object

_KEY = re.compile(r"[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*")


@dataclass(slots=True)
class Bucket:
    """What a directory store would hold. `leader` is the number of the incarnation that holds the lock."""

    objects: dict[str, Object] = field(default_factory=dict)
    streams: dict[str, list[bytes]] = field(default_factory=dict)
    versions: int = 0
    leader: int | None = None
    holder: str = ""
    read_only: bool = False
    full: bool = False
    locked: bool = False
    """Another program writes and does not end."""
    away: bool = False
    """Whoever asks from outside gets no answer."""
    corrupted: set[str] = field(default_factory=set)
    newer: set[str] = field(default_factory=set)
    """Keys and streams that a newer Risen wrote in a form not known here."""

    def get(self, key: str) -> Object | None:
        """None for what is absent. Raises Corrupt, TooNew, Invalid."""
        self._may_read(key)
        return self.objects.get(key)

    def put(self, key: str, data: bytes, condition: IfAbsent | IfVersion | None) -> str:
        """Returns the new version. Raises Conflict, and as the interface says."""
        self._may_write(key)
        there = self.objects.get(key)
        match condition:
            case IfAbsent() if there is not None:
                raise Conflict(f"{key} exists")
            case IfVersion(version=version) if there is None or there.version != version:
                raise Conflict(f"{key} is not at version {version}")
            case _:
                self.versions += 1
                self.objects[key] = Object(data, str(self.versions))
                return str(self.versions)

    def delete(self, key: str) -> None:
        """Absent is done. What is there leaves a tombstone, so a full store cannot be emptied either."""
        self._may_change(key)
        if self.full and key in self.objects:
            raise NoCapacity(f"{key}: no space left")
        self.objects.pop(key, None)

    def list(self, prefix: str) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted(key for key in self.objects if key.startswith(prefix)))

    def append(self, stream: str, data: bytes) -> int:
        """Sequence number from 1."""
        self._may_write(stream)
        records = self.streams.setdefault(stream, [])
        records.append(data)
        return len(records)

    def read(self, stream: str, after: int, most: int | None = None) -> tuple[tuple[int, bytes], ...]:
        """Records after a sequence number, in order, at most so many."""
        self._may_read(stream)
        records = self.streams.get(stream, [])
        last = len(records) if most is None else min(len(records), after + most)
        return tuple((number + 1, records[number]) for number in range(after, last))

    def _may_read(self, key: str) -> None:
        if not _KEY.fullmatch(key):
            raise Invalid(f"{key!r} is not a store key")
        if key in self.newer:
            raise TooNew(f"{key}: written by a newer Risen")
        if key in self.corrupted:
            raise Corrupt(f"{key}: its bytes are not what was written")

    @property
    def takes_writes(self) -> bool:
        """Whether anything can be written to it."""
        return not (self.read_only or self.full or self.away or self.locked)

    def need(self) -> None:
        """Raises Unreachable."""
        if self.away:
            raise Unreachable("the store does not answer")

    def _may_change(self, key: str) -> None:
        self.may_lead()
        if self.locked:
            raise Later("another program holds the store's lock")
        self._may_read(key)

    def _may_write(self, key: str) -> None:
        self._may_change(key)
        if self.full:
            raise NoCapacity(f"{key}: no space left")

    def may_lead(self) -> None:
        """Raises Denied where nothing can be written."""
        if self.read_only:
            raise Denied("the store is read-only")
