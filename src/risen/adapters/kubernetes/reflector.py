"""Follows one kind of object: list once, then watch from there for ever. Turns objects into cache events.

Each watch is asked to end after some seconds and begun again where it stopped. So silence is noticed without a
heartbeat of our own, and the bookmark that the server sends before the end keeps the version young.
Source: KEP-956 (bookmarks), API concepts, "efficient detection of changes".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import msgspec

from risen.adapters.kubernetes.api import PAGE, Api, Listing
from risen.adapters.kubernetes.cache import Changes, Entry, Event, Listed
from risen.adapters.kubernetes.wire import Expired, Metadata, Partial, Status, WatchLine
from risen.interfaces.errors import Corrupt, InterfaceError, Later, Unreachable

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


class Object(Protocol):
    """Anything with metadata."""

    @property
    def metadata(self) -> Metadata: ...


Item = TypeVar("Item", bound=Object)


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon silence is noticed: a watch is asked to end after `watch_seconds` (a whole number), given up
    after `silence_seconds` without a byte, and the cache is out of sync `stale_seconds` after the last one."""

    watch_seconds: int = 10
    silence_seconds: float = 13.0
    stale_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class Kind(Generic[Item]):
    """What to follow: `boil_down` gives None for what is of no interest."""

    table: str
    path: str
    type: type[Item]
    boil_down: Callable[[Item], Entry | None]
    params: Mapping[str, str] = field(default_factory=dict)
    page: int = PAGE


class Reflector(Generic[Item]):
    """The loop for one kind. `tell` gets every event, in order."""

    def __init__(
        self, api: Api, kind: Kind[Item], tell: Callable[[Event], None], pace: Pace | None = None
    ) -> None:
        self._api = api
        self._pace = pace or Pace()
        self._kind = kind
        self._tell = tell
        self.version = ""
        self._contact = float("-inf")
        self.fault: InterfaceError = Unreachable(f"{kind.table}: not listed yet")
        self.listings = 0
        self._decoder = msgspec.json.Decoder(kind.type)
        self._lines = msgspec.json.Decoder(WatchLine)

    def in_sync(self) -> bool:
        """Listed, and heard of within the pace's `stale_seconds`."""
        return self.listings > 0 and self._now() - self._contact <= self._pace.stale_seconds

    async def run(self) -> None:
        """Follow until cancelled. No operating error ends it; the last one is in `fault`."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                if not self.version:
                    await self.list_once()
                await self._watch()
                pause = FIRST_PAUSE_SECONDS
            except InterfaceError as error:
                self.fault = error
                if isinstance(error, Expired):
                    self.version = ""
                wish = error.after_seconds if isinstance(error, Later) else None
                await asyncio.sleep(wish if wish is not None else pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def list_once(self) -> None:
        """Tell of everything there is; a watch may go on from here."""
        kind = self._kind
        listing = Listing(kind.path, kind.type, self._keep, kind.params, kind.page)
        kept, version = await self._api.list_all(listing)
        self._tell(Listed(kind.table, tuple((key, entry) for key, entry in kept if entry is not None)))
        self.version = version
        self.listings += 1
        self._contact = self._now()

    def _keep(self, item: Item) -> tuple[str, Entry | None]:
        return _key(item), self._kind.boil_down(item)

    async def _watch(self) -> None:
        params = {
            **self._kind.params,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self.version,
            "timeoutSeconds": str(self._pace.watch_seconds),
        }
        async with self._api.watch(self._kind.path, params, self._pace.silence_seconds) as lines:
            self._contact = self._now()
            told = False
            async for piece in lines:
                self._contact = self._now()
                self._take(piece)
                told = True
        self._contact = self._now()
        if not told:
            await self._check_not_ahead()

    def _take(self, piece: list[bytes]) -> None:
        """One piece of the stream becomes one event, so that a busy stream copies a table once, not per line."""
        changes: list[tuple[str, Entry | None]] = []
        version = self.version
        trouble: InterfaceError | None = None
        for raw in piece:
            try:
                line = self._lines.decode(raw)
                if line.type == "ERROR":
                    trouble = _watch_error(self._kind.table, msgspec.json.decode(line.object, type=Status))
                    break
                if line.type == "BOOKMARK":
                    version = msgspec.json.decode(line.object, type=Partial).metadata.resource_version
                    continue
                item = self._decoder.decode(line.object)
            except msgspec.DecodeError as error:
                self.version = ""
                raise Corrupt(f"watch {self._kind.table}: a line that cannot be read: {error}") from error
            version = item.metadata.resource_version
            gone = line.type == "DELETED"
            changes.append((_key(item), None if gone else self._kind.boil_down(item)))
        if changes:
            self._tell(Changes(self._kind.table, tuple(changes)))
        self.version = version
        if trouble is not None:
            raise trouble

    async def _check_not_ahead(self) -> None:
        """A whole watch without even a bookmark: is our version ahead of the server's?

        So it is after a restore of etcd to an older revision. The server (1.36) then says nothing, no error
        and no event, until its versions have caught up with ours.
        """
        version = await self._api.version_of(self._kind.path, self._kind.params)
        if int(version) < int(self.version):
            raise Expired(
                f"watch {self._kind.table}: version {self.version} is ahead of the server's {version}"
            )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _key(item: Object) -> str:
    return f"{item.metadata.namespace}/{item.metadata.name}"


def _watch_error(table: str, status: Status) -> InterfaceError:
    """Whatever a server says against a watch, but that it is busy, is mended by a new list."""
    text = f"watch {table}: {status.message or status.reason} (code {status.code})"
    return Unreachable(text) if status.code in (429, 503) else Expired(text)
