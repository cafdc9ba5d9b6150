"""Which managed objects the API holds, and their digests: a poll every 30 s, and the answer of each apply.

Whoever watches what somebody else applies asks for a quicker poll (`poll_seconds`).

Kinds polled are those of `resources` and those applied since the start; an object of another kind counts as
absent until it is applied again, which changes nothing. No watch: one per kind would cost more than it tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from risen.adapters.kubernetes.api import METADATA_ONLY, Api, Listing
from risen.adapters.kubernetes.cache import Addon, Changes, Event, Listed
from risen.adapters.kubernetes.resources import Resource, Resources
from risen.adapters.kubernetes.wire import Metadata, Partial
from risen.interfaces.errors import InterfaceError, NotFound, Unreachable

MANAGED_BY = "app.kubernetes.io/managed-by"
DIGEST = "risen.dev/digest"
POLL_SECONDS = 30.0
RETRY_SECONDS = 0.5
STALE_SECONDS = 3 * POLL_SECONDS
AT_ONCE = 4
"""Lists of one poll side by side: as many connections as the watches have opened by then."""


class Addons:
    """Keeps the tables `addons:…` of the cache."""

    def __init__(self, api: Api, resources: Resources, tell: Callable[[Event], None]) -> None:
        self._api = api
        self._resources = resources
        self._tell = tell
        self._applied: dict[Resource, int] = {}
        self.poll_seconds = POLL_SECONDS
        self._polled = float("-inf")
        self.fault: InterfaceError = Unreachable("add-ons: not listed yet")

    def in_sync(self) -> bool:
        """Polled whole within three polls' time."""
        return asyncio.get_running_loop().time() - self._polled <= STALE_SECONDS

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            try:
                await self.list_once()
            except InterfaceError as error:
                self.fault = error
                await asyncio.sleep(RETRY_SECONDS)
                continue
            await asyncio.sleep(self.poll_seconds)

    async def list_once(self) -> None:
        """Tell of every kind."""
        kinds = self._resources.all()
        for first in range(0, len(kinds), AT_ONCE):
            await asyncio.gather(*(self._poll(kind) for kind in kinds[first : first + AT_ONCE]))
        self._polled = asyncio.get_running_loop().time()

    def applied(self, resource: Resource, metadata: Metadata) -> None:
        """An apply was answered with this object."""
        self._applied[resource] = self._applied.get(resource, 0) + 1
        entry = _addon(resource, metadata)
        self._tell(Changes(_table(resource), ((entry.key, entry),)))

    async def _poll(self, resource: Resource) -> None:
        """List one kind; again if something of it was applied meanwhile, for the list may be older than that."""
        listing = Listing(
            path=resource.path(),
            type=Partial,
            keep=lambda item: _addon(resource, item.metadata),
            params={"labelSelector": f"{MANAGED_BY}=risen"},
            accept=METADATA_ONLY,
        )
        while True:
            before = self._applied.get(resource)
            try:
                found, _ = await self._api.list_all(listing)
            except NotFound:
                found = []
            if self._applied.get(resource) == before:
                self._tell(Listed(_table(resource), tuple((entry.key, entry) for entry in found)))
                return


def _table(resource: Resource) -> str:
    return f"addons:{resource.api_version}/{resource.kind}"


def _addon(resource: Resource, metadata: Metadata) -> Addon:
    key = f"{resource.api_version}/{resource.kind}/{metadata.namespace}/{metadata.name}"
    return Addon(key, metadata.annotations.get(DIGEST, ""))
