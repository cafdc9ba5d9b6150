"""How long nobody could write: an open loop of writes through the API endpoint, and one at the etcd voters in turn.

Objects are written again and again, not made anew: hours of load leave the cluster as large as it was.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import sys
import time
from collections import deque
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType

import aiohttp

from shared.record import ROOT

sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from background import Background, api_session, stopped_within
from load import NAMESPACE, Gap, longest_gap
from pieces import Credentials

from risen.bootstrap import Host, identity_of, open_authorities, open_cluster
from risen.transport.tls import TlsIdentity, client_context

WRITES_PER_SECOND = 10
OBJECTS = 50
MOST_UNANSWERED = 100
"""Ten seconds of writes; what is due beyond that is not sent."""
TICK_SECONDS = 0.005
ANSWER_SECONDS = 10.0
ETCD_WRITES_PER_SECOND = 25
"""Of all voters together. As few as show the gaps that are aimed at: 50 and 50 a second filled two slow CPUs before
anything was replaced, and the gaps that were found were those of a full machine."""
MEMBERS_SECONDS = 0.5
"""How often etcd is asked who its voters are."""
WARM_SECONDS = 1.0
"""Until connections stand; gaps count from then on."""
PREFIX = "bench-gap"
KEY = "/bench-gap/"
"""Beside what Kubernetes keeps, which lies below /registry/."""


@dataclass(kw_only=True)
class Written:
    """Monotonic seconds of each acknowledged write, and why the others were none."""

    times: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    async def note(self, request: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> None:
        """Send a write, and note what became of it."""
        try:
            async with request as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failed.append(f"{type(error).__name__}: {error}")
            return
        if answer.status == 200:
            self.times.append(time.monotonic())
        else:
            self.failed.append(str(answer.status))


@dataclass
class ApiWriter(Written):
    """Merge patches of ConfigMaps; one is due every 100 ms, however long the earlier ones take."""

    endpoint: str
    credentials: Credentials

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop."""
        async with api_session(self.credentials, connections=64, bound_seconds=ANSWER_SECONDS) as session:
            await asyncio.gather(*(self._make(session, number) for number in range(OBJECTS)))
            began, due, going = time.monotonic(), 0, set[asyncio.Task[None]]()
            while not await stopped_within(stop, TICK_SECONDS):
                while due < (time.monotonic() - began) * WRITES_PER_SECOND:
                    due += 1
                    if len(going) < MOST_UNANSWERED:
                        task = asyncio.create_task(self._patch(session, due))
                        going.add(task)
                        task.add_done_callback(going.discard)
            await asyncio.gather(*going)

    def _url(self, name: str) -> str:
        return f"https://{self.endpoint}:6443/api/v1/namespaces/{NAMESPACE}/configmaps{name}"

    async def _make(self, session: aiohttp.ClientSession, number: int) -> None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{PREFIX}-{number}"}}
        async with session.post(self._url(""), json=body) as answer:
            assert answer.status in (201, 409), await answer.text()

    async def _patch(self, session: aiohttp.ClientSession, number: int) -> None:
        kind = {"Content-Type": "application/merge-patch+json"}
        url = self._url(f"/{PREFIX}-{number % OBJECTS}")
        await self.note(session.patch(url, json={"data": {"number": str(number)}}, headers=kind))


@dataclass
class EtcdWriters(Written):
    """One writer at each voter that etcd lists, one put after the other: a moment without any acknowledged is a gap."""

    identity: TlsIdentity
    seed: str
    """An address of a member, to begin with."""

    def __post_init__(self) -> None:
        self._voters = deque([f"https://{self.seed}:2379"])

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop, at each voter in turn that has answered the last write."""
        bound = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        connector = aiohttp.TCPConnector(ssl=client_context(self.identity))
        going: dict[str, asyncio.Task[None]] = {}
        async with aiohttp.ClientSession(connector=connector, timeout=bound, trust_env=False) as session:
            following = asyncio.create_task(self._follow(session, stop))
            while not await stopped_within(stop, 1 / ETCD_WRITES_PER_SECOND):
                self._voters.rotate()
                free = [url for url in self._voters if url not in going or going[url].done()]
                if free:
                    going[free[0]] = asyncio.create_task(self._write(session, free[0]))
            await asyncio.gather(following, *going.values())

    async def _follow(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        """Beside the writing: one that is asked who votes may be dead, and that takes a second to see."""
        while not await stopped_within(stop, MEMBERS_SECONDS):
            self._voters = deque(await self._asked(session, tuple(self._voters)))

    async def _asked(self, session: aiohttp.ClientSession, known: tuple[str, ...]) -> tuple[str, ...]:
        """Client URLs of the voters, asked of the first that answers; the known ones while none does."""
        for url in known:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, KeyError):
                asked = {"linearizable": False}
                short = aiohttp.ClientTimeout(total=1.0)
                async with session.post(f"{url}/v3/cluster/member/list", json=asked, timeout=short) as answer:
                    members = (await answer.json())["members"]
                voters = [one for one in members if not one.get("isLearner") and one.get("clientURLs")]
                return tuple(one["clientURLs"][0] for one in voters)
        return known

    async def _write(self, session: aiohttp.ClientSession, url: str) -> None:
        key = base64.b64encode(f"{KEY}{url}".encode()).decode()
        value = base64.b64encode(str(time.monotonic()).encode()).decode()
        await self.note(session.post(f"{url}/v3/kv/put", json={"key": key, "value": value}))


class Punctual:
    """Puts the writers' thread before all else: one that waits for a CPU would take its own wait for a gap."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop; the thread ends with it."""
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        await stop.wait()


@dataclass(frozen=True)
class Gaps:
    """The longest of each layer."""

    etcd: Gap
    api: Gap


class Writers:
    """Both kinds of writers, while a `with` block lasts."""

    def __init__(self, name: str, host: Host, endpoint: str, credentials: Credentials, seed: str) -> None:
        self.api = ApiWriter(endpoint, credentials)
        self.etcd = EtcdWriters(asyncio.run(_etcd_identity(name, host)), seed)
        self._background = Background([Punctual(), self.api, self.etcd])

    def __enter__(self) -> Writers:
        self._background.__enter__()
        time.sleep(WARM_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._background.__exit__(kind, error, trace)

    def gaps(self, since: float, until: float) -> Gaps:
        """Of a window of monotonic time. Fails if one of the two wrote nothing: that would measure nothing."""
        for who in (self.api, self.etcd):
            assert any(since <= one <= until for one in who.times), f"{type(who).__name__}: {who.failed[:10]}"
        return Gaps(*(longest_gap(who.times, since, until) for who in (self.etcd, self.api)))


async def _etcd_identity(name: str, host: Host) -> TlsIdentity:
    from risen.authority.identities import IdentityKind

    authorities = await open_authorities(await open_cluster(host, name))
    own = identity_of(authorities, IdentityKind.ETCD, hours=IdentityKind.ETCD.value.max_hours)
    return TlsIdentity(own.certificate.encode(), own.key.encode(), own.authority.encode())
