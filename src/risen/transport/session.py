"""One HTTP session for one TLS identity: requests with a bound in time, streams of lines, faults mapped.

Answers are bytes; what a status means is the adapter's to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from risen.interfaces.errors import Denied, OutcomeUnknown, Unreachable
from risen.transport.connection import Connection, Place, connect
from risen.transport.faults import TRANSPORT_FAULTS, fault
from risen.transport.http1 import Head, render_request
from risen.transport.tls import TlsIdentity, client_context

CONNECT_SECONDS = 2.0
REQUEST_SECONDS = 8.0
"""A step may take 10 s; the rest is for what lies around the request."""
WHY_SECONDS = 1.0
AT_ONCE = 32
IDLE_SECONDS = 30.0
"""A connection that was of no use for so long is not used again: servers and what lies between end them later."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `read` says that asking again changes nothing: it is tried twice, and no answer to it is
    Unreachable, never OutcomeUnknown."""

    method: str
    url: str
    body: bytes | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    read: bool = False
    seconds: float = REQUEST_SECONDS

    @property
    def what(self) -> str:
        """For error texts."""
        return f"{self.method} {self.url}"

    @property
    def place(self) -> Place:
        """Whom it is for."""
        url = urlsplit(self.url)
        secure = url.scheme == "https"
        return Place(url.hostname or "", url.port or (443 if secure else 80), secure)

    def rendered(self) -> bytes:
        """As it is sent."""
        return render_request(self.method, urlsplit(self.url), self.params, self.headers, self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `what` is its request, for error texts."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    what: str


class Lines:
    """An open stream. Iterating gives the whole lines of each piece that arrived; ends when the server ends it."""

    def __init__(self, head: Head, pieces: AsyncIterator[bytes], silence_seconds: float) -> None:
        self.status, self.headers = head.status, head.headers
        self._pieces, self._silence_seconds = pieces, silence_seconds

    async def rest(self) -> bytes:
        """The whole body, for an answer that is an error."""
        return b"".join([piece async for piece in self._heard()])

    async def __aiter__(self) -> AsyncIterator[list[bytes]]:
        rest = b""
        async for piece in self._heard():
            *lines, rest = (rest + piece).split(b"\n")
            whole = [line for line in lines if line]
            if whole:
                yield whole

    async def _heard(self) -> AsyncIterator[bytes]:
        while True:
            async with asyncio.timeout(self._silence_seconds):
                piece = await anext(self._pieces, None)
            if piece is None:
                return
            yield piece


class Session:
    """Connections under one identity. Built in any place, used in one event loop."""

    def __init__(self, identity: TlsIdentity) -> None:
        self._identity = identity
        self._context = client_context(identity)
        self._idle: dict[Place, list[tuple[Connection, float]]] = {}
        self._busy: dict[Connection, ssl.SSLContext] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)

    def renew(self, identity: TlsIdentity) -> None:
        """New connections are made under `identity`; running requests end under the old one."""
        self._context = client_context(identity)
        self._identity = identity
        self._drop_idle()

    async def close(self) -> None:
        """End every connection."""
        self._drop_idle()
        for connection in tuple(self._busy):
            connection.abort()
        await asyncio.sleep(0)  # the loop closes what was aborted in its next turn

    def _drop_idle(self) -> None:
        for connection, _ in (pair for pairs in self._idle.values() for pair in pairs):
            connection.abort()
        self._idle.clear()

    async def request(self, request: Request) -> Answer:
        """The answer, whatever its status. Raises Unreachable, OutcomeUnknown, Denied (certificates)."""
        loop = asyncio.get_running_loop()
        async with self._at_once:
            if not request.read:
                return await self._once(request)
            started = loop.time()
            try:
                return await self._once(request)
            except (Unreachable, OutcomeUnknown) as error:
                if loop.time() - started > request.seconds / 2:
                    raise Unreachable(str(error)) from error
            try:
                return await self._once(request)
            except OutcomeUnknown as error:
                raise Unreachable(str(error)) from error

    async def _once(self, request: Request) -> Answer:
        connection: Connection | None = None
        try:
            async with asyncio.timeout(request.seconds), self._connection(request.place) as connection:
                head = await connection.ask(request.rendered())
                body = b"".join([piece async for piece in connection.pieces(request.method, head)])
                return Answer(head.status, head.headers, body, request.what)
        except TRANSPORT_FAULTS as error:
            mapped = fault(error, request.what, sent=connection is not None and connection.sent)
            if isinstance(mapped, OutcomeUnknown) and not isinstance(error, TimeoutError):
                raise await self._why_cut(request, mapped) from error
            raise mapped from error

    async def _why_cut(self, request: Request, mapped: OutcomeUnknown) -> OutcomeUnknown | Denied:
        """Denied if the connection was cut because our certificate is refused, else the fault as it was.

        Under TLS 1.3 a server judges the client's certificate after the handshake, when the request is on
        its way already, and its alert is often lost to the reset that follows. Under 1.2 the same refusal
        ends the handshake, so one handshake more tells (RFC 8446 §4.4.2.4, RFC 5246 §7.4.6).
        """
        if not request.place.secure:
            return mapped
        context = client_context(self._identity)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            async with asyncio.timeout(WHY_SECONDS):
                connection = await connect(request.place, context)
        except TRANSPORT_FAULTS as error:
            found = fault(error, request.what, sent=True)
            return found if isinstance(found, Denied) else mapped
        connection.abort()
        return mapped

    @contextlib.asynccontextmanager
    async def stream(self, request: Request, silence_seconds: float) -> AsyncIterator[Lines]:
        """Open a stream that may stay silent for at most `silence_seconds`; Unreachable when it breaks."""
        try:
            async with self._connection(request.place) as connection:
                async with asyncio.timeout(silence_seconds):
                    head = await connection.ask(request.rendered())
                yield Lines(head, connection.pieces(request.method, head), silence_seconds)
        except TRANSPORT_FAULTS as error:
            mapped = fault(error, request.what, sent=False)
            raise mapped from error

    @contextlib.asynccontextmanager
    async def _connection(self, place: Place) -> AsyncIterator[Connection]:
        """One that is kept open or a new one; afterwards kept if it is fit for another request."""
        connection = self._kept(place)
        if connection is None:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await connect(place, self._context)
        self._busy[connection] = self._context
        try:
            yield connection
        finally:
            if self._busy.pop(connection) is self._context and connection.usable:
                self._idle.setdefault(place, []).append((connection, asyncio.get_running_loop().time()))
            else:
                connection.abort()

    def _kept(self, place: Place) -> Connection | None:
        """The one used last, as long as any is fit; all that are not are ended."""
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        fit = []
        for connection, since in self._idle.get(place, ()):
            if connection.usable and since >= oldest:
                fit.append((connection, since))
            else:
                connection.abort()
        self._idle[place] = fit
        return fit.pop()[0] if fit else None
