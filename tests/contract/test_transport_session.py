"""The session against a scripted server on loopback: whole lines, second tries, bounds, TLS identities renewed."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from servers import Authority, write_identity

from risen.interfaces.errors import Denied, OutcomeUnknown, Unreachable
from risen.transport.session import Request, Session

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

authority = pytest.fixture(scope="module")(lambda: Authority("session"))


@contextlib.asynccontextmanager
async def scripted(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Its URL. `script` gets each connection with its number, from 1, once the request's head was read."""
    count = 0
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            count += 1
            await script(reader, writer, count)
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/"
    finally:
        server.close()
        for task in serving:
            task.cancel()


@pytest.fixture
async def session(authority: Authority) -> AsyncIterator[Session]:
    opened = Session(authority.identity("client"))
    yield opened
    await opened.close()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    writer.write(OK)
    await writer.drain()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    await asyncio.sleep(60)


async def test_lines_come_whole_however_they_are_cut(session: Session) -> None:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(CHUNKED)
        for piece in (b"on", b"e\ntwo\nth", b"ree\n\n", b"unfinished"):
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with scripted(stream) as url, session.stream(Request("GET", url), 2.0) as lines:
        found = [line async for piece in lines for line in piece]
    assert found == [b"one", b"two", b"three"]


async def test_a_stream_that_falls_silent_is_given_up(session: Session) -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(CHUNKED + b"4\r\none\n\r\n")
        await asyncio.sleep(60)

    async with scripted(stall) as url:
        with pytest.raises(Unreachable):
            async with session.stream(Request("GET", url), 0.2) as lines:
                async for piece in lines:
                    assert piece == [b"one"]


async def test_a_read_is_asked_twice_and_a_write_once(session: Session) -> None:
    asked: list[int] = []

    async def cut_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        asked.append(number)
        if number > 1:
            await answer(reader, writer, number)

    async with scripted(cut_first) as url:
        assert (await session.request(Request("POST", url, b"", read=True))).body == b"ok"
    assert asked == [1, 2]
    asked.clear()
    async with scripted(cut_first) as url:
        with pytest.raises(OutcomeUnknown):
            await session.request(Request("POST", url, b""))
    assert asked == [1]


async def test_a_read_that_took_its_time_is_not_asked_again(session: Session) -> None:
    async with scripted(silence) as url:
        started = asyncio.get_running_loop().time()
        with pytest.raises(Unreachable, match="timed out"):
            await session.request(Request("GET", url, read=True, seconds=0.4))
        assert asyncio.get_running_loop().time() - started < 0.75


async def test_a_renewed_identity_is_shown_by_new_requests(authority: Authority, tmp_path: Path) -> None:
    certificate, key, authorities = write_identity(tmp_path, "server", authority.identity("server"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authorities)
    tls.load_cert_chain(certificate, key)
    tls.verify_mode = ssl.CERT_REQUIRED
    shown: list[str] = []

    async def look(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        subject = dict(pair[0] for pair in writer.get_extra_info("peercert")["subject"])
        shown.append(subject["commonName"])
        await answer(reader, writer, number)

    session = Session(authority.identity("before"))
    async with scripted(look, tls) as url:
        await session.request(Request("GET", url, read=True))
        session.renew(authority.identity("after"))
        await session.request(Request("GET", url, read=True))
        session.renew(Authority("stranger").identity("stranger"))
        with pytest.raises(Denied):
            await session.request(Request("POST", url, b""))
    await session.close()
    assert shown == ["before", "after"]
