"""Clients in the network of pods: one probe pod a worker, in whose network namespace the test opens its connections.

Such a client sees Services exactly as a program of the pod does. It lives while the pod's program does: what is
asked after that was told to end is not counted.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
from background import api_session, stopped_within
from pieces import Credentials

CLONE_NEWNET = 0x40000000
LOOK_SECONDS = 0.5
MARK = "risen-e2e-probe"
PROBES = f"""
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: probe}}
spec:
  selector: {{matchLabels: {{app: probe}}}}
  template:
    metadata: {{labels: {{app: probe}}}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: probe
        image: risen.local/busybox:1
        imagePullPolicy: Never
        command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done", {MARK}]
"""


class NetworkNamespace:
    """The network of a process, kept while this is open, from which sockets can be made."""

    def __init__(self, process: int) -> None:
        self._theirs = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
        self._ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def __enter__(self) -> NetworkNamespace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._theirs)
        os.close(self._ours)

    def socket(self, address: tuple[Any, ...]) -> socket.socket:
        """A socket of that network: of aiohttp's kind of address (family, type, protocol, …)."""
        family, kind, protocol = address[:3]
        _enter(self._theirs)
        try:
            made = socket.socket(family, kind, protocol)
        finally:
            _enter(self._ours)
        made.setblocking(False)
        return made


def _enter(namespace: int) -> None:
    """This thread alone; nothing else runs in it meanwhile."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(frozen=True)
class ProbePod:
    """A probe pod whose program runs."""

    name: str
    node: str
    process: int
    """Of its program, as the host numbers it."""
    network: NetworkNamespace
    ended: asyncio.Event
    """Set once its program has ended."""


@dataclass
class InsidePods:
    """Runs a client in every probe pod from when it is there until its program ends."""

    endpoint: str
    credentials: Credentials
    client: Callable[[ProbePod, asyncio.Event], Awaitable[None]]
    seen: list[str] = field(default_factory=list)
    """Nodes on which a client ran, in order."""

    async def run(self, stop: asyncio.Event) -> None:
        """Look for probe pods until told to stop; the clients are ended then too."""
        known: set[str] = set()
        clients: list[asyncio.Task[None]] = []
        async with api_session(self.credentials, connections=1, bound_seconds=5) as session:
            while not await stopped_within(stop, LOOK_SECONDS):
                for pod in await _running(session, self.endpoint):
                    uid = pod["metadata"]["uid"]
                    process = None if uid in known else _program_of(uid)
                    if process is not None:
                        known.add(uid)
                        self.seen.append(pod["spec"]["nodeName"])
                        clients.append(asyncio.create_task(self._in_pod(pod, process, stop)))
        await asyncio.gather(*clients)

    async def _in_pod(self, pod: dict[str, Any], process: int, stop: asyncio.Event) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        watched = os.pidfd_open(process)
        loop.add_reader(watched, ended.set)
        try:
            with NetworkNamespace(process) as network:
                name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
                await self.client(ProbePod(name, node, process, network, ended), stop)
        finally:
            loop.remove_reader(watched)
            os.close(watched)


async def _running(session: aiohttp.ClientSession, endpoint: str) -> list[dict[str, Any]]:
    """Probe pods as the API lists them; none while it cannot be asked."""
    url = f"https://{endpoint}:6443/api/v1/namespaces/default/pods?labelSelector=app%3Dprobe"
    try:
        async with session.get(url) as answer:
            pods: list[dict[str, Any]] = (await answer.json())["items"] if answer.status == 200 else []
    except (aiohttp.ClientError, TimeoutError):
        return []
    return [pod for pod in pods if pod["status"].get("phase") == "Running" and "nodeName" in pod["spec"]]


def _program_of(uid: str) -> int | None:
    """The first process of a pod's program, found on this host by the cgroup that names the pod."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            groups = (entry / "cgroup").read_text()
        except OSError:
            continue
        if MARK in words and f"pod{uid}" in groups:
            return int(entry.name)
    return None
