"""The bucket: everything Risen knows. Conditional puts, no conditional deletes, append-only streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Object:
    """Bytes and the version that a conditional put names."""

    data: bytes
    version: str


@dataclass(frozen=True, slots=True)
class IfAbsent:
    """The put succeeds only where nothing is."""


@dataclass(frozen=True, slots=True)
class IfVersion:
    """The put succeeds only over this version."""

    version: str


class Store(Protocol):
    """Keys are `/`-separated, each part of `[a-z0-9._-]`.

    `get` returns None for what is absent, raises Corrupt when bytes are not what was written, TooNew when a newer
    program wrote them in another form. `put` returns the new version; raises Conflict when its condition fails,
    Denied on a read-only store, NoCapacity when full. `list` returns all keys under a prefix, sorted. `append`
    adds to a stream and returns its sequence number (from 1, without gaps); `read` returns the records after a
    sequence number, in order, at most `most` of them; reading on from the last one seen costs no more than what
    was added since.
    """

    async def get(self, key: str) -> Object | None: ...
    async def put(self, key: str, data: bytes, condition: IfAbsent | IfVersion | None = None) -> str: ...
    async def delete(self, key: str) -> None: ...
    async def list(self, prefix: str) -> tuple[str, ...]: ...
    async def append(self, stream: str, data: bytes) -> int: ...
    async def read(
        self, stream: str, after: int = 0, most: int | None = None
    ) -> tuple[tuple[int, bytes], ...]: ...


class Lead(Protocol):
    """Held leadership. `valid_until` is on CLOCK_BOOTTIME; infinity for a lock that dies with its holder."""

    @property
    def valid_until(self) -> float: ...
    async def release(self) -> None: ...


class Leadership(Protocol):
    """`try_lead` returns None when somebody else leads; `leader` names who leads (host, pid) or None."""

    async def try_lead(self, holder: str) -> Lead | None: ...
    async def leader(self) -> str | None: ...
