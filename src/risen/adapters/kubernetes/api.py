"""One API server address: paths, JSON bodies, pages. Raises `interfaces.errors`; keeps no state of the cluster."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from risen.adapters.kubernetes.wire import Expired, ObjectList, Partial, refusal
from risen.interfaces.errors import Corrupt, Unreachable
from risen.transport.session import Answer, Lines, Request, Session
from risen.transport.tls import TlsIdentity

PAGE = 500
LIST_ATTEMPTS = 3
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

T = TypeVar("T")
Item = TypeVar("Item")
Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the API is (`https://ADDRESS:PORT`) and who we are there."""

    server: str
    identity: TlsIdentity


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item, Kept]):
    """What to list; `keep` boils an object down at once, so that a large list is never held whole."""

    path: str
    type: type[Item]
    keep: Callable[[Item], Kept]
    params: Mapping[str, str] = field(default_factory=dict)
    page: int = PAGE
    accept: str = JSON


class Api:
    """Requests to the API under credentials that can be renewed."""

    def __init__(self, credentials: Credentials) -> None:
        self._server = credentials.server
        self.authorities = credentials.identity.authorities
        self._session = Session(credentials.identity)

    def renew(self, credentials: Credentials) -> None:
        """Use other credentials from the next request on."""
        self._session.renew(credentials.identity)
        self._server = credentials.server

    async def close(self) -> None:
        """End all connections."""
        await self._session.close()

    async def get(self, path: str, kind: type[T]) -> T:
        """Read one object. Raises NotFound, Unreachable, Denied, Later."""
        return _decode(
            await self._send(Request("GET", self._server + path, read=True)), msgspec.json.Decoder(kind)
        )

    async def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        content: str = JSON,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one change. Raises every error that a write can."""
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": content}
        return await self._send(Request(method, self._server + path, data, params or {}, headers))

    async def list_all(self, listing: Listing[Item, Kept]) -> tuple[list[Kept], str]:
        """What is kept of all objects of a list, read page by page, and the list's resource version.

        A continue token that has expired (410) begins the list again: pages of two versions are never mixed.
        """
        for _ in range(LIST_ATTEMPTS):
            with contextlib.suppress(Expired):
                return await self._pages(listing)
        raise Unreachable(f"list {listing.path}: its version was compacted away {LIST_ATTEMPTS} times")

    async def _pages(self, listing: Listing[Item, Kept]) -> tuple[list[Kept], str]:
        found: list[Kept] = []
        params = {**listing.params, "limit": str(listing.page)}
        headers = {"Accept": listing.accept}
        decoder = msgspec.json.Decoder(ObjectList[listing.type])  # type: ignore[name-defined]
        while True:
            request = Request("GET", self._server + listing.path, params=params, headers=headers, read=True)
            listed = _decode(await self._send(request), decoder)
            found.extend(listing.keep(item) for item in listed.items or ())
            if not listed.metadata.continue_:
                return found, listed.metadata.resource_version
            params["continue"] = listed.metadata.continue_

    async def version_of(self, path: str, params: Mapping[str, str]) -> str:
        """The resource version that a list would have now."""
        asked = {**params, "limit": "1"}
        answer = await self._send(Request("GET", self._server + path, params=asked, read=True))
        return _decode(answer, msgspec.json.Decoder(ObjectList[Partial])).metadata.resource_version

    @contextlib.asynccontextmanager
    async def watch(
        self, path: str, params: Mapping[str, str], silence_seconds: float
    ) -> AsyncIterator[Lines]:
        """Open a watch. Raises Expired when the version asked for is gone."""
        request = Request("GET", self._server + path, params=params, read=True)
        async with self._session.stream(request, silence_seconds) as lines:
            if lines.status != 200:
                answer = Answer(lines.status, lines.headers, await lines.rest(), request.what)
                error = refusal(answer, read=True)
                raise error
            yield lines

    async def _send(self, request: Request) -> Answer:
        answer = await self._session.request(request)
        if not 200 <= answer.status < 300:
            error = refusal(answer, read=request.read)
            raise error
        return answer


def _decode(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(answer.body)
    except msgspec.DecodeError as error:
        raise Corrupt(f"{answer.what}: an answer that cannot be read: {error}") from error
