"""Clients and observers of a rollout run side by side in one loop of a thread of its own, until told to stop."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Sequence
from typing import Protocol

import aiohttp
from pieces import Credentials


class Part(Protocol):
    """Something that runs until `stop` is set; what it raises fails the test."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop, then end what was begun."""


class Background:
    """Runs parts while a `with` block lasts; what one of them raised is raised at its end."""

    def __init__(self, parts: Sequence[Part], *, end_bound_seconds: float = 60.0) -> None:
        self.parts, self.end_bound_seconds = parts, end_bound_seconds
        self._ready = threading.Event()
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._main)

    def __enter__(self) -> Background:
        self._thread.start()
        assert self._ready.wait(30), "the loop of the clients did not start"
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(self.end_bound_seconds)
        assert not self._thread.is_alive(), "a client did not end"
        if self._failures and kind is None:
            raise self._failures[0]

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks = [asyncio.create_task(part.run(self._stop)) for part in self.parts]
        self._ready.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        self._failures += [one for one in ended if isinstance(one, BaseException)]


async def stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    """Whether it is time to stop, after at most so long."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await stop.wait()
    except TimeoutError:
        return False
    return True


def tls(credentials: Credentials) -> ssl.SSLContext:
    """A client's TLS, towards the API servers of the cluster alone."""
    context = ssl.create_default_context(cafile=str(credentials.authority))
    context.load_cert_chain(str(credentials.certificate), str(credentials.key))
    return context


def api_session(credentials: Credentials, *, connections: int, bound_seconds: float) -> aiohttp.ClientSession:
    """Keeps up to so many connections to the API; no proxy of the environment is asked."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls(credentials), limit=connections),
        timeout=aiohttp.ClientTimeout(total=bound_seconds),
        trust_env=False,
    )
