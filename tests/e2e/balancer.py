"""A load balancer of the test's own in front of a NodePort, as a cloud's is: it asks each Node's kube-proxy for its
health and sends connections to those that are well. It tries nothing twice and looks into nothing.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from background import api_session, stopped_within
from pieces import Credentials

HEALTH_PORT = 10256
CHECK_SECONDS = 0.5
LIST_SECONDS = 1.0
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"


@dataclass
class Balancer:
    """Listens on loopback; `port` is there once it runs. A Node is well while its last check was answered by 200."""

    endpoint: str
    credentials: Credentials
    node_port: int
    port: int
    well: dict[str, str] = field(default_factory=dict)
    """Address by Node, of those that are well."""
    used: dict[str, int] = field(default_factory=dict)
    """Connections by Node."""
    last: str = ""
    """The Node that the last connection went to."""
    turns: list[str] = field(default_factory=list)
    """When a Node came in and went out."""
    _checks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _streams: set[asyncio.Task[None]] = field(default_factory=set)
    _next: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the Nodes and pass connections on until told to stop."""
        listening = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        async with listening, api_session(self.credentials, connections=1, bound_seconds=5) as session:
            while True:
                await self._follow(session)
                if await stopped_within(stop, LIST_SECONDS):
                    break
        for task in (*self._checks.values(), *self._streams):
            task.cancel()
        await asyncio.gather(*self._checks.values(), *self._streams, return_exceptions=True)

    async def _follow(self, session: aiohttp.ClientSession) -> None:
        """Check every Node that is listed, and no other; the list stays while the API cannot be asked."""
        try:
            async with session.get(f"https://{self.endpoint}:6443/api/v1/nodes") as answer:
                if answer.status != 200:
                    return
                nodes = {
                    node["metadata"]["name"]: address
                    for node in (await answer.json())["items"]
                    if EXCLUDED not in node["metadata"]["labels"] and (address := _address(node))
                }
        except (aiohttp.ClientError, TimeoutError):
            return
        for name in self._checks.keys() - nodes.keys():
            self._checks.pop(name).cancel()
            self._turn(name, None)
        for name in nodes.keys() - self._checks.keys():
            self._checks[name] = asyncio.create_task(self._check(name, nodes[name]))

    async def _check(self, name: str, address: str) -> None:
        url, bound = f"http://{address}:{HEALTH_PORT}/healthz", aiohttp.ClientTimeout(total=1.0)
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=bound, trust_env=False) as session:
            while True:
                try:
                    async with session.get(url) as answer:
                        well = answer.status == 200
                except (aiohttp.ClientError, TimeoutError):
                    well = False
                self._turn(name, address if well else None)
                await asyncio.sleep(CHECK_SECONDS)

    def _turn(self, name: str, address: str | None) -> None:
        if (name in self.well) is not (address is not None):
            self.turns.append(f"{time.strftime('%X')} {name} {'in' if address else 'out'}")
        if address is None:
            self.well.pop(name, None)
        else:
            self.well[name] = address

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            await self._pass_on(reader, writer)
        finally:
            self._streams.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """To the next Node in turn; a connection that it does not take is lost, as the client then sees."""
        if not self.well:
            return
        names = sorted(self.well)
        self._next += 1
        name = names[self._next % len(names)]
        self.used[name] = self.used.get(name, 0) + 1
        self.last = name
        with suppress(OSError):
            there, back = await asyncio.open_connection(self.well[name], self.node_port)
            try:
                await asyncio.gather(_copy(reader, back), _copy(there, writer))
            finally:
                back.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _address(node: dict[str, Any]) -> str | None:
    found = [a["address"] for a in node["status"].get("addresses", ()) if a["type"] == "InternalIP"]
    return found[0] if found else None
