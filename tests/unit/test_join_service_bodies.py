"""Bodies that are no request to join: answered 400, or nobody, and never with a trace of where in the program."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from join_world import AUTHORITIES, HERE, World, served

HEAD = "POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: {}\r\n\r\n"
FIELD = '--B\r\nContent-Disposition: form-data; name="instance"\r\n\r\nab'


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with served(tmp_path) as made:
        yield made


async def connected(world: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    trust = ssl.create_default_context(cadata=AUTHORITIES.join.certificate)
    return await asyncio.open_connection(HERE, world.port, ssl=trust)


@pytest.mark.parametrize(
    "body",
    [
        "--B\r\nno header at all\r\n\r\n",
        "--B\r\n" + "x" * 20_000 + ": y\r\n\r\n",
        "--B\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n--C\r\n\r\nx\r\n--C--\r\n--B--",
        "neither",
    ],
)
async def test_a_malformed_form_is_answered_400_without_a_traceback(
    world: World, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    reader, writer = await connected(world)
    writer.write((HEAD.format(len(body)) + body).encode())
    assert b" 400 " in await reader.readline()
    writer.close()
    assert caplog.records == []


async def test_who_hangs_up_in_mid_body_leaves_no_traceback(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(5):
        _, writer = await connected(world)
        writer.write((HEAD.format(5000) + FIELD).encode())
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.transport.abort()
    await asyncio.sleep(0.3)
    assert caplog.records == []
