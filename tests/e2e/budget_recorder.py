"""Watches an app's pods from event to event: how few were ever ready at once, and who was evicted.

Counts as the disruption controller does: a pod that is being deleted is not healthy, whatever its condition says.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from background import api_session, stopped_within
from pieces import Credentials

EVICTED = "EvictionByEvictionAPI"
"""Reason of the condition DisruptionTarget that the Eviction API sets before it deletes."""


class HoleError(Exception):
    """Pods changed while nobody watched, and the API has dropped those events: what is recorded has a hole."""


@dataclass
class BudgetRecorder:
    """Follows the pods of a label through every event since the first list, over as many connections as it takes.

    An API server that has just started has no events of before its start: it is listed then, and nothing may differ.
    """

    endpoint: str
    credentials: Credentials
    selector: str
    fewest_ready: int = 1_000_000
    story: list[str] = field(default_factory=list)
    evicted: dict[str, str] = field(default_factory=dict)
    """Node by pod's name, of each pod that was evicted."""
    ended: list[str] = field(default_factory=list)
    """Names of the pods that were deleted, by eviction or else."""
    _ready: dict[str, bool] = field(default_factory=dict)
    _versions: dict[str, str] = field(default_factory=dict)
    """Version by pod's name, as last seen."""
    _version: str = ""

    async def run(self, stop: asyncio.Event) -> None:
        """List once, then watch from there on until told to stop."""
        base = f"https://{self.endpoint}:6443/api/v1/namespaces/default/pods"
        async with api_session(self.credentials, connections=1, bound_seconds=600) as session:
            watching = asyncio.create_task(self._watch_on(session, base))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([watching, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if watching.done():
                watching.result()
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch_on(self, session: aiohttp.ClientSession, base: str) -> None:
        never = asyncio.Event()
        while True:
            try:
                if not self._version:
                    await self._list(session, base)
                await self._watch(session, base)
            except (aiohttp.ClientError, TimeoutError):
                await stopped_within(never, 0.2)

    async def _list(self, session: aiohttp.ClientSession, base: str) -> None:
        async with session.get(base, params={"labelSelector": self.selector}) as answer:
            answer.raise_for_status()
            found = await answer.json()
        there = {pod["metadata"]["name"]: pod["metadata"]["resourceVersion"] for pod in found["items"]}
        if self._versions and there != self._versions:
            raise HoleError(f"{self._versions} became {there} unseen")
        for pod in found["items"]:
            self._see("ADDED", pod)
        self._version = found["metadata"]["resourceVersion"]
        self._note("listed")

    async def _watch(self, session: aiohttp.ClientSession, base: str) -> None:
        asked = {"labelSelector": self.selector, "watch": "1", "resourceVersion": self._version}
        asked["allowWatchBookmarks"] = "true"
        async with session.get(base, params=asked) as answer:
            if answer.status == 410:
                self._version = ""
                return
            answer.raise_for_status()
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    if event["object"].get("code") == 410:
                        self._version = ""
                    return
                self._version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._see(event["type"], event["object"])

    def _see(self, kind: str, pod: dict[str, Any]) -> None:
        name, node = pod["metadata"]["name"], pod["spec"].get("nodeName", "")
        conditions = {one["type"]: one for one in pod["status"].get("conditions", ())}
        if conditions.get("DisruptionTarget", {}).get("reason") == EVICTED:
            self.evicted.setdefault(name, node)
        if kind == "DELETED":
            self._ready.pop(name, None)
            self._versions.pop(name, None)
            self.ended.append(name)
        else:
            well = conditions.get("Ready", {}).get("status") == "True"
            self._versions[name] = pod["metadata"]["resourceVersion"]
            self._ready[name] = well and "deletionTimestamp" not in pod["metadata"]
        if self._version:
            self._note(f"{kind.lower()} {name} on {node or 'no node'}")

    def _note(self, what: str) -> None:
        ready = sum(self._ready.values())
        self.fewest_ready = min(self.fewest_ready, ready)
        self.story.append(f"{time.strftime('%X')} {ready} ready: {what}")
