"""One connection to one server: a request out, its answer in. Whether it may be used again is all that it keeps.

It has no time-outs, tries nothing twice and names no faults: what the system, ssl or HTTP raise comes out as it is.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

from risen.transport.http1 import Body, Head, Malformed, take_head

PAUSE_BYTES = 1 << 20
"""The server is held back while so much lies here unread."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens, and whether it is spoken to under TLS."""

    host: str
    port: int
    secure: bool


class Connection(asyncio.Protocol):
    """Made by `connect`. One request at a time; what is not read to its end leaves it of no use."""

    def __init__(self) -> None:
        self._arrived = bytearray()
        self._news = asyncio.Event()
        self._ended = False
        self._fault: BaseException | None = None
        self._transport: asyncio.Transport | None = None
        self._between = True
        self.sent = False
        """Whether anything of the request was given to the system. Raised again by each request."""

    # --- asyncio.Protocol ---------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, and under TLS agreed."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """More has arrived."""
        self._arrived += data
        if len(self._arrived) > PAUSE_BYTES and self._transport is not None:
            self._transport.pause_reading()
        self._news.set()

    def eof_received(self) -> None:
        """The server has said all that it will."""
        self._ended = True
        self._news.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nothing more arrives; `exc` says why, where it was not the server's own end."""
        self._ended, self._fault = True, exc
        self._news.set()

    # --- for the session ----------------------------------------------------------------------------------
    @property
    def usable(self) -> bool:
        """Whether another request may be sent on it."""
        return self._between and not self._ended and not self._arrived and self._open

    @property
    def _open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Head:
        """Send a whole request and read the head of its answer."""
        assert self._transport is not None
        self._between, self.sent = False, False
        self._transport.write(request)
        self.sent = True
        while (head := take_head(self._arrived)) is None:
            await self._more()
        return head

    async def pieces(self, method: str, head: Head) -> AsyncIterator[bytes]:
        """The body as it arrives; behind its end the connection may be used again."""
        body = Body.of(method, head)
        while not body.done:
            piece = body.take(self._arrived)
            if piece:
                yield piece
            elif self._ended and self._fault is None:
                body.end()
            elif not body.done:
                await self._more()
        self._between = head.kept_open

    async def _more(self) -> None:
        """Until something arrives, or the end. Raises what ended the connection."""
        if self._fault is not None:
            raise self._fault
        if self._ended:
            raise Malformed("the server ended the connection before its answer was whole")
        self._news.clear()
        if self._transport is not None and len(self._arrived) <= PAUSE_BYTES:
            self._transport.resume_reading()
        await self._news.wait()
        if self._fault is not None:
            raise self._fault

    def abort(self) -> None:
        """End it at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()


async def connect(place: Place, context: ssl.SSLContext) -> Connection:
    """Raises what the system and ssl raise: nothing was sent then."""
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, place.host, place.port, ssl=context if place.secure else None
    )
    return connection
