"""What asks while a cluster is rolled: a writer that does not wait for answers, readers by HTTP/1.1 and HTTP/2,
and web clients that try nothing twice. Each notes what it was answered; the tests judge.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from background import api_session, stopped_within, tls
from inside_pods import ProbePod
from load import NAMESPACE, Noted
from pieces import Credentials

WRITES_PER_SECOND = 200
READS_PER_SECOND = 20
WEB_PER_SECOND = 10
TICK_SECONDS = 0.01
MOST_UNANSWERED = 400
"""Two seconds of writes; what is due beyond that is not sent, and is counted."""
ANSWER_SECONDS = 10.0
SETTLED_SECONDS = 1.0
"""A pod whose program ends so soon after a failed request was being ended when it asked."""
READ = f"/api/v1/namespaces/{NAMESPACE}/configmaps/kube-root-ca.crt"


@dataclass
class Writer:
    """Open loop: a write (a ConfigMap of its own) is due every so often, however long the earlier ones take."""

    endpoint: str
    credentials: Credentials
    prefix: str
    noted: Noted = field(default_factory=Noted)
    acknowledged: list[str] = field(default_factory=list)
    due: int = 0
    unsent: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop; then wait for what is on its way."""
        async with api_session(self.credentials, connections=64, bound_seconds=ANSWER_SECONDS) as session:
            began, going = time.monotonic(), set[asyncio.Task[None]]()
            while not await stopped_within(stop, TICK_SECONDS):
                while self.due < (time.monotonic() - began) * WRITES_PER_SECOND:
                    self.due += 1
                    if len(going) >= MOST_UNANSWERED:
                        self.unsent += 1
                        continue
                    task = asyncio.create_task(self._write(session, self.due))
                    going.add(task)
                    task.add_done_callback(going.discard)
            await asyncio.gather(*going)

    async def _write(self, session: aiohttp.ClientSession, number: int) -> None:
        name = f"{self.prefix}-{number:06d}"
        metadata = {"name": name, "labels": {"load": self.prefix}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        url = f"https://{self.endpoint}:6443/api/v1/namespaces/{NAMESPACE}/configmaps"
        try:
            async with session.post(url, json=body) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.noted.errors.append(f"{type(error).__name__}: {error}")
            return
        if answer.status == 201:
            self.noted.times.append(time.monotonic())
            self.acknowledged.append(name)
        else:
            self.noted.errors.append(str(answer.status))


async def written(endpoint: str, credentials: Credentials, prefix: str) -> set[str]:
    """Names of the ConfigMaps of a writer that the API has, a page at a time."""
    found: set[str] = set()
    url = f"https://{endpoint}:6443/api/v1/namespaces/{NAMESPACE}/configmaps"
    asked = {"labelSelector": f"load={prefix}", "limit": "2000"}
    accept = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
    async with api_session(credentials, connections=1, bound_seconds=60) as session:
        while True:
            async with session.get(url, params=asked, headers=accept) as answer:
                page = await answer.json()
                assert answer.status == 200, page
            found |= {one["metadata"]["name"] for one in page["items"]}
            token = page["metadata"].get("continue")
            if not token:
                return found
            asked["continue"] = token


@dataclass
class Reader:
    """One HTTP/1.1 client on a connection that it keeps, at the endpoint or in a pod at the Service address."""

    address: str
    credentials: Credentials
    port: int = 6443
    noted: Noted = field(default_factory=Noted)

    async def run(self, stop: asyncio.Event, pod: ProbePod | None = None) -> None:
        """Read until told to stop, or until the pod it runs in ends."""
        connector = aiohttp.TCPConnector(
            ssl=tls(self.credentials), limit=1, socket_factory=pod.network.socket if pod else None
        )
        url, bound = f"https://{self.address}:{self.port}{READ}", aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=bound, trust_env=False) as session:
            while not await stopped_within(stop, 1 / READS_PER_SECOND):
                if pod is not None and pod.ended.is_set():
                    return
                await self._read(session, url)

    async def _read(self, session: aiohttp.ClientSession, url: str) -> None:
        try:
            async with session.get(url) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.noted.errors.append(f"{type(error).__name__}: {error}")
            return
        if answer.status == 200:
            self.noted.times.append(time.monotonic())
        else:
            self.noted.errors.append(str(answer.status))


@dataclass
class Http2Reader:
    """One HTTP/2 client on a connection that it keeps: curl, at the endpoint or in a pod at the Service address."""

    address: str
    credentials: Credentials
    port: int = 6443
    noted: Noted = field(default_factory=Noted)
    versions: set[str] = field(default_factory=set)
    """HTTP versions of the answers."""

    async def run(self, stop: asyncio.Event, pod: ProbePod | None = None) -> None:
        """Read until told to stop, or until the pod it runs in ends."""
        inside = ("nsenter", f"--net=/proc/{pod.process}/ns/net") if pod else ()
        curl = await asyncio.create_subprocess_exec(
            *inside, "stdbuf", "-oL", "curl", "-q", "-s", "--http2", "--noproxy", "*",
            "--rate", f"{READS_PER_SECOND}/s", "--max-time", str(ANSWER_SECONDS), "-o", "/dev/null",
            "--cacert", self.credentials.authority, "--cert", self.credentials.certificate,
            "--key", self.credentials.key, "-w", "%{http_code} %{http_version} %{errormsg}\\n",
            f"https://{self.address}:{self.port}{READ}?number=[1-1000000]",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        ends = [asyncio.create_task(stop.wait())] + ([asyncio.create_task(pod.ended.wait())] if pod else [])
        reading = asyncio.create_task(self._read(curl))
        await asyncio.wait([*ends, reading], return_when=asyncio.FIRST_COMPLETED)
        for one in ends:
            one.cancel()
        assert curl.returncode is None, f"curl ended by itself: {curl.returncode}"
        curl.kill()
        await reading
        await curl.wait()

    async def _read(self, curl: asyncio.subprocess.Process) -> None:
        assert curl.stdout is not None
        async for line in curl.stdout:
            status, version, *error = line.decode().split(" ", 2)
            if status == "200":
                self.noted.times.append(time.monotonic())
                self.versions.add(version)
            else:
                self.noted.errors.append(f"{status} {' '.join(error).strip()}")


@dataclass
class WebClient:
    """A connection a request, and nothing is tried twice: what is not answered well is lost."""

    url: str
    way: Callable[[], str] = lambda: ""
    """By which Node the last request went, where somebody knows."""
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0

    async def run(self, stop: asyncio.Event, pod: ProbePod | None = None) -> None:
        """Ask until told to stop, or until the pod it runs in ends."""
        connector = aiohttp.TCPConnector(force_close=True, socket_factory=pod.network.socket if pod else None)
        bound = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=bound, trust_env=False) as session:
            while not await stopped_within(stop, 1 / WEB_PER_SECOND):
                if pod is not None and pod.ended.is_set():
                    return
                began = time.monotonic()
                failed = await self._ask(session)
                if failed is None:
                    self.answered += 1
                    self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
                elif pod is None or not await stopped_within(pod.ended, SETTLED_SECONDS):
                    where = f" on {pod.node}" if pod else f" by {self.way()}"
                    self.lost.append(
                        f"{time.strftime('%X')} {failed} after {time.monotonic() - began:.1f} s{where}"
                    )

    async def _ask(self, session: aiohttp.ClientSession) -> str | None:
        """Why the answer was no good; None for a good one."""
        try:
            async with session.get(self.url) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"
        return None if answer.status == 200 and text.startswith("shop-") else f"{answer.status}: {text[:60]}"
