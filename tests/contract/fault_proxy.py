"""A TCP proxy on loopback that goes wrong when told. It sees bytes, not requests: TLS passes through it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import Enum


class Fault(Enum):
    """What happens to the next bytes. All but PASS and REFUSE act on connections that stand already too."""

    PASS = "pass"
    REFUSE = "nobody listens"
    CUT_NEW = "a new connection is accepted and closed at once"
    CUT_REQUEST = "what the client sends is thrown away and the connection closed"
    CUT_ANSWER = "the request goes through, the answer is thrown away and the connection closed"
    SILENT = "the request goes through, the answer never comes and the connection stays"


class FaultProxy:
    """Forwards a loopback port of its own to `target_port`."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._fault = Fault.PASS
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def set(self, fault: Fault) -> None:
        """Go wrong like this from now on."""
        self._fault = fault
        if fault is Fault.REFUSE:
            await self.stop()
        elif self._server is None:
            await self.start()

    async def cut_all(self) -> None:
        """End every connection that stands."""
        pumps = tuple(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        serving = asyncio.current_task()
        assert serving is not None
        self._pumps.add(serving)
        try:
            if self._fault is Fault.CUT_NEW:
                return
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                await self._both_ways(reader, writer, to_reader, to_writer)
            finally:
                to_writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._pumps.discard(serving)
            writer.close()

    async def _both_ways(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        ways = (
            asyncio.create_task(self._pump(client, to_server, Fault.CUT_REQUEST)),
            asyncio.create_task(self._pump(server, to_client, Fault.CUT_ANSWER)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, cut: Fault) -> None:
        while data := await source.read(65536):
            if self._fault is cut:
                return
            if self._fault is Fault.SILENT and cut is Fault.CUT_ANSWER:
                continue
            sink.write(data)
            await sink.drain()


@contextlib.asynccontextmanager
async def fault_proxy(target_port: int) -> AsyncIterator[FaultProxy]:
    """A proxy that passes everything, ended afterwards."""
    proxy = FaultProxy(target_port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
