"""The join service: HTTP over TLS in front of `JoinDesk`.

`GET /v1/authority`: the join authority's PEM. `POST /v1/join` (multipart form: `instance`, `ticket`, one
`csr.PURPOSE` a certificate): 200 a tar archive, 503 later, 403 refused for good, 429 too often, 400, 411, 413
not a request. Requests are bounded in size, number and time. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from risen.authority.certificates import MAX_CSR_BYTES
from risen.authority.grant import JoinRequest, Later, Refusal
from risen.core.names import InstanceName
from risen.interfaces.errors import InterfaceError
from risen.services.join_desk import Answered, JoinDesk
from risen.services.join_rate import RateLimit, SaidBefore

PORT = 9443
MAX_REQUEST_BYTES = 128 * 1024
MAX_FIELDS = 24
READ_SECONDS = 10.0
_CSR = "csr."


class NotARequest(Exception):
    """The body is not a request to join; the text says why."""


@dataclass(slots=True)
class JoinService:
    """One service per cluster. `app` is the whole of it; `serve` puts it on a socket that is listening."""

    desk: JoinDesk
    rate: RateLimit = field(default_factory=lambda: RateLimit(per_second=10.0, burst=60.0))
    said: SaidBefore = field(default_factory=SaidBefore)

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.on_response_prepare.append(_say_no_version)
        app.router.add_get("/v1/authority", self._authority)
        app.router.add_post("/v1/join", self._join)
        return app

    async def serve(self, listening: socket.socket, tls: ssl.SSLContext) -> web.AppRunner:
        """Serve until the runner's `cleanup()` is called."""
        runner = web.AppRunner(self.app(), access_log=None, handle_signals=False, keepalive_timeout=15.0)
        await runner.setup()
        await web.SockSite(runner, listening, ssl_context=tls).start()
        return runner

    def _too_often(self, request: web.Request) -> web.Response | None:
        if self.rate.allows(request.remote or "", self.desk.clock.boot()):
            return None
        return _text(429, "too many requests from this address", retry_after="1")

    async def _authority(self, request: web.Request) -> web.Response:
        if (busy := self._too_often(request)) is not None:
            return busy
        pem = self.desk.cluster.authorities.join.certificate.encode()
        return web.Response(body=pem, content_type="application/x-pem-file")

    async def _join(self, request: web.Request) -> web.Response:
        if (busy := self._too_often(request)) is not None:
            return busy
        if request.content_length is None:
            return _text(411, "the length of the request must be given")
        if request.content_length > MAX_REQUEST_BYTES:
            return _text(413, f"a request has at most {MAX_REQUEST_BYTES} bytes")
        try:
            asked = await self._read(request)
        except NotARequest as error:
            return _text(400, str(error))
        try:
            answer = await self.desk.answer(asked)
        except InterfaceError as error:
            self.desk.note(f"join {asked.instance}: {type(error).__name__}: {error}")
            return _text(503, "the controller cannot read or write what it needs", retry_after="1")
        return self._response(asked, answer)

    def _response(self, asked: JoinRequest, answer: Answered | Later | Refusal) -> web.Response:
        match answer:
            case Answered(archive=archive):
                self.desk.note(f"join {asked.instance}: answered {asked.source}")
                return web.Response(body=archive, content_type="application/x-tar")
            case Later(reason=reason):
                return _text(503, reason)
            case Refusal(reason=reason):
                if (asked.instance, asked.source, reason) not in self.said:
                    self.said.add(asked.instance, asked.source, reason)
                    self.desk.note(f"join {asked.instance}: refused {asked.source}: {reason}")
                return _text(403, reason)

    async def _read(self, request: web.Request) -> JoinRequest:
        """The form of a request, within a time. Raises NotARequest."""
        reading = asyncio.ensure_future(read_form(request))
        bound = asyncio.ensure_future(self.desk.clock.sleep(READ_SECONDS))
        try:
            await asyncio.wait({reading, bound}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                raise NotARequest(f"the request did not arrive within {READ_SECONDS:g} s")
            return reading.result()
        finally:
            reading.cancel()
            bound.cancel()


async def read_form(request: web.Request) -> JoinRequest:
    """The fields of a multipart form. Raises NotARequest, also where its sender hung up."""
    fields: dict[str, bytes] = {}
    try:
        form = await request.multipart()
        while (part := await form.next()) is not None:
            if not isinstance(part, BodyPartReader) or part.name is None or part.name in fields:
                raise NotARequest("each field of the form is named, and there once")
            if len(fields) >= MAX_FIELDS:
                raise NotARequest(f"more than {MAX_FIELDS} fields")
            fields[part.name] = await _read_part(part)
    except (ValueError, AssertionError, OSError, HttpProcessingError, web.HTTPException) as error:
        raise NotARequest(f"not a multipart form: {error}") from error
    instance, ticket = (_one_line(fields.pop(name, b""), name) for name in ("instance", "ticket"))
    strangers = sorted(name for name in fields if not name.startswith(_CSR))
    if strangers:
        raise NotARequest(f"unknown fields: {', '.join(strangers)}")
    csrs = {name.removeprefix(_CSR): data for name, data in fields.items()}
    return JoinRequest(InstanceName(instance), ticket, csrs, request.remote or "")


async def _read_part(part: BodyPartReader) -> bytes:
    data = b""
    while chunk := await part.read_chunk(MAX_CSR_BYTES):
        data += chunk
        if len(data) > MAX_CSR_BYTES:
            raise NotARequest(f"field {part.name} has more than {MAX_CSR_BYTES} bytes")
    return data


def _one_line(data: bytes, name: str) -> str:
    text = data.decode("ascii", "replace").strip()
    if not text or len(text) > 256 or not text.isprintable():
        raise NotARequest(f"field {name} is missing or not a short line")
    return text


async def _say_no_version(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "risen"


def _text(status: int, text: str, *, retry_after: str | None = None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return web.Response(status=status, text=text + "\n", headers=headers)
