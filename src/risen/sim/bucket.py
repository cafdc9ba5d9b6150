"""The truth of the store: objects with versions, streams, and who holds the lock of the one leader."""

from __future__ import annotations

from dataclasses import dataclass, field

from risen.interfaces.errors import Conflict, Corrupt, Denied
from risen.interfaces.store import IfAbsent, IfVersion, Object


@dataclass(slots=True)
class Bucket:
    """What a directory store would hold. `leader` is the number of the incarnation that holds the lock."""

    objects: dict[str, Object] = field(default_factory=dict)
    streams: dict[str, list[bytes]] = field(default_factory=dict)
    versions: int = 0
    leader: int | None = None
    holder: str = ""
    read_only: bool = False
    corrupted: set[str] = field(default_factory=set)

    def get(self, key: str) -> Object | None:
        """None for what is absent. Raises Corrupt."""
        if key in self.corrupted:
            raise Corrupt(f"{key}: its bytes are not what was written")
        return self.objects.get(key)

    def put(self, key: str, data: bytes, condition: IfAbsent | IfVersion | None) -> str:
        """Returns the new version. Raises Conflict, Denied."""
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
        """Absent is done."""
        self._may_write(key)
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
        records = self.streams.get(stream, [])
        last = len(records) if most is None else min(len(records), after + most)
        return tuple((number + 1, records[number]) for number in range(after, last))

    def _may_write(self, key: str) -> None:
        if self.read_only:
            raise Denied(f"{key}: the store is read-only")
