"""One HTTP session for one TLS identity: requests with a bound in time, streams of lines, faults mapped.

Answers are bytes; what a status means is the adapter's to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp

from risen.interfaces.errors import Denied, OutcomeUnknown, Unreachable
from risen.transport.faults import TRANSPORT_FAULTS, fault
from risen.transport.tls import TlsIdentity, client_context

CONNECT_SECONDS = 2.0
REQUEST_SECONDS = 8.0
"""A step may take 10 s; the rest is for what lies around the request."""
WHY_SECONDS = 1.0
AT_ONCE = 32


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


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `what` is its request, for error texts."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    what: str


class Lines:
    """An open stream. Iterating gives the whole lines of each piece that arrived; ends when the server ends it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def rest(self) -> bytes:
        """The whole body, for an answer that is an error."""
        return await self._response.read()

    async def __aiter__(self) -> AsyncIterator[list[bytes]]:
        rest = b""
        async for piece in self._response.content.iter_any():
            *lines, rest = (rest + piece).split(b"\n")
            whole = [line for line in lines if line]
            if whole:
                yield whole


class Session:
    """Connections under one identity. Built in any place, used in one event loop."""

    def __init__(self, identity: TlsIdentity) -> None:
        self._identity = identity
        self._context = client_context(identity)
        self._session: aiohttp.ClientSession | None = None
        self._retired: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)

    def renew(self, identity: TlsIdentity) -> None:
        """New connections are made under `identity`; running requests end under the old one (≤ 30 s)."""
        self._context = client_context(identity)
        self._identity = identity
        old, self._session = self._session, None
        if old is not None:
            retired = asyncio.get_running_loop().create_task(_close_later(old))
            self._retired.add(retired)
            retired.add_done_callback(self._retired.discard)

    async def close(self) -> None:
        """End every connection."""
        for retired in tuple(self._retired):
            retired.cancel()
        await asyncio.gather(*self._retired, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

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
        sent = SimpleNamespace(any=False)
        timeout = aiohttp.ClientTimeout(total=request.seconds, sock_connect=CONNECT_SECONDS)
        try:
            async with self._opened().request(
                request.method,
                request.url,
                data=request.body,
                params=request.params,
                headers=request.headers,
                timeout=timeout,
                allow_redirects=False,
                trace_request_ctx=sent,
            ) as response:
                body = await response.read()
                return Answer(response.status, response.headers, body, request.what)
        except TRANSPORT_FAULTS as error:
            mapped = fault(error, request.what, sent=sent.any)
            if isinstance(mapped, OutcomeUnknown) and not isinstance(error, TimeoutError):
                raise await self._why_cut(request, mapped) from error
            raise mapped from error

    async def _why_cut(self, request: Request, mapped: OutcomeUnknown) -> OutcomeUnknown | Denied:
        """Denied if the connection was cut because our certificate is refused, else the fault as it was.

        Under TLS 1.3 a server judges the client's certificate after the handshake, when the request is on
        its way already, and its alert is often lost to the reset that follows. Under 1.2 the same refusal
        ends the handshake, so one handshake more tells (RFC 8446 §4.4.2.4, RFC 5246 §7.4.6).
        """
        url = urlsplit(request.url)
        if url.scheme != "https":
            return mapped
        context = client_context(self._identity)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            async with asyncio.timeout(WHY_SECONDS):
                _, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
        except TRANSPORT_FAULTS as error:
            found = fault(error, request.what, sent=True)
            return found if isinstance(found, Denied) else mapped
        writer.transport.abort()
        return mapped

    @contextlib.asynccontextmanager
    async def stream(self, request: Request, silence_seconds: float) -> AsyncIterator[Lines]:
        """Open a stream that may stay silent for at most `silence_seconds`; Unreachable when it breaks."""
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, connect=REQUEST_SECONDS, sock_read=silence_seconds
        )
        try:
            async with self._opened().request(
                request.method,
                request.url,
                data=request.body,
                params=request.params,
                headers=request.headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                yield Lines(response)
        except TRANSPORT_FAULTS as error:
            mapped = fault(error, request.what, sent=False)
            raise mapped from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_mark_sent)
            connector = aiohttp.TCPConnector(ssl=self._context, limit=0, keepalive_timeout=30.0)
            self._session = aiohttp.ClientSession(
                connector=connector, trace_configs=[trace], auto_decompress=True, read_bufsize=2**20
            )
        return self._session


async def _mark_sent(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.any = True


async def _close_later(session: aiohttp.ClientSession) -> None:
    try:
        await asyncio.sleep(30.0)
    finally:
        await session.close()
