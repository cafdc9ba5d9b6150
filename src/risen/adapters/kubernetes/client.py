"""Implements `interfaces.kubernetes.Kubernetes`: a cache kept by watches, and one request for each change."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from risen.adapters.kubernetes import bodies
from risen.adapters.kubernetes.addons import AT_ONCE, MANAGED_BY, Addons
from risen.adapters.kubernetes.api import APPLY_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Api, Credentials
from risen.adapters.kubernetes.cache import Cache, Event, apply, holders, kubernetes_seen
from risen.adapters.kubernetes.gates import GateClient
from risen.adapters.kubernetes.kinds import HOLDERS, NODE_LEASES, NODES, kinds
from risen.adapters.kubernetes.reflector import Pace, Reflector
from risen.adapters.kubernetes.resources import Resources
from risen.adapters.kubernetes.signing import SigningClient
from risen.adapters.kubernetes.wire import Lease, Node, Partial, Pod
from risen.core.picture import KubernetesSeen
from risen.core.spec import Taint
from risen.interfaces.errors import (
    Conflict,
    Denied,
    InterfaceError,
    Invalid,
    Later,
    NotFound,
    Unreachable,
)

CONFLICT_ATTEMPTS = 4
LOOK_SECONDS = 0.02


class KubernetesClient:
    """The API at one address, usually the endpoint's. Built anywhere, used in one event loop.

    `on_change` is called whenever something was heard that `observe` would now tell otherwise, except for
    renewals of leases. It may be set later.
    """

    def __init__(
        self,
        credentials: Credentials,
        on_change: Callable[[], None] = lambda: None,
        pace: Pace | None = None,
    ) -> None:
        self._api = Api(credentials)
        self.on_change = on_change
        self._cache = Cache()
        self._resources = Resources(self._api)
        self._addons = Addons(self._api, self._resources, self._hear)
        self._reflectors = tuple(Reflector(self._api, kind, self._hear, pace) for kind in kinds())
        self._followers: tuple[Reflector[Any] | Addons, ...] = (*self._reflectors, self._addons)
        self._running: list[asyncio.Task[None]] = []
        self._listed_once = False

    @property
    def signing(self) -> SigningClient:
        """Signing requests, over the same connections and credentials."""
        return SigningClient(self._api)

    @property
    def gates(self) -> GateClient:
        """Gates of releases, over the same connections and credentials."""
        return GateClient(self._api, self._api.authorities)

    def poll_addons_every(self, seconds: float) -> None:
        """See add-ons that another program applies within so long, instead of 30 s; from the next poll on."""
        self._addons.poll_seconds = seconds

    def start(self) -> None:
        """Begin to list and watch, or to watch from what was listed once; `observe` does it too where nothing was."""
        if not self._running:
            self._running = [asyncio.create_task(follower.run()) for follower in self._followers]

    async def close(self) -> None:
        """Stop watching and end all connections."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running = []
        await self._api.close()

    def renew(self, credentials: Credentials) -> None:
        """Use other credentials; running watches go on under the old ones for at most 10 s."""
        self._api.renew(credentials)

    async def list_once(self, seconds: float) -> None:
        """Fill the cache by a list of each kind and watch nothing, for callers that look once and leave: half the
        connections. What cannot be listed, or not within `seconds`, is told by `observe`."""
        self._listed_once = True
        few = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(self._list_one(one, few) for one in self._reflectors))
                await self._list_one(self._addons, few)
        except TimeoutError:
            return

    async def _list_one(self, follower: Reflector[Any] | Addons, few: asyncio.Semaphore) -> None:
        """A few at a time: a connection costs more than what most lists say."""
        try:
            async with few:
                await follower.list_once()
        except InterfaceError as error:
            follower.fault = error

    async def synced(self, seconds: float) -> bool:
        """Wait until the cache is in sync, at most `seconds`."""
        self.start()
        now = asyncio.get_running_loop().time
        deadline = now() + seconds
        while not all(follower.in_sync() for follower in self._followers):
            if now() >= deadline:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    async def observe(self) -> KubernetesSeen:
        """See `Kubernetes.observe`. Raises Denied where that is why the cache is not in sync."""
        if not self._listed_once:
            self.start()
        for task in self._running:
            if task.done():
                task.result()
        for follower in self._followers:
            if not follower.in_sync():
                text = f"not in sync with the API: {follower.fault}"
                raise Denied(text) if isinstance(follower.fault, Denied) else Unreachable(text)
        return kubernetes_seen(self._cache)

    def _hear(self, event: Event) -> None:
        before, self._cache = self._cache, apply(self._cache, event)
        if self._cache is before or event.table == NODE_LEASES:
            return
        if event.table != HOLDERS.table or holders(before) != holders(self._cache):
            self.on_change()

    # --- changes ------------------------------------------------------------------------------------------
    async def apply(self, manifest: Mapping[str, object]) -> None:
        """See `Kubernetes.apply`. The label that says that Risen manages it is added. Later for a kind that
        the API does not serve yet, or a namespace that does not exist yet."""
        resource = await self._resources.of(manifest)
        metadata = manifest.get("metadata")
        if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
            raise Invalid(f"a manifest of kind {resource.kind} without metadata.name")
        labels = {**metadata.get("labels", {}), MANAGED_BY: "risen"}
        body = {**manifest, "metadata": {**metadata, "labels": labels}}
        path = resource.path(metadata.get("namespace", ""), metadata["name"])
        params = {"fieldManager": "risen", "force": "true"}
        try:
            answer = await self._api.write("PATCH", path, body, content=APPLY_PATCH, params=params)
        except NotFound as error:
            raise Later(f"its namespace or kind is not there yet: {error}") from error
        self._addons.applied(resource, msgspec.json.decode(answer.body, type=Partial).metadata)

    async def patch_node(
        self, node: str, uid: str, labels: Mapping[str, str], taints: tuple[Taint, ...]
    ) -> None:
        """See `Kubernetes.patch_node`. What was set this way before and is not named now is taken away."""
        await self._change_node(node, uid, lambda seen: bodies.mark_node(seen, labels, taints))

    async def cordon(self, node: str, uid: str, on: bool = True) -> None:
        """See `Kubernetes.cordon`."""
        await self._change_node(node, uid, lambda seen: bodies.cordon_node(on))

    async def taint_out_of_service(self, node: str, uid: str) -> None:
        """See `Kubernetes.taint_out_of_service`. Says Ready=Unknown first: the taint acts only then."""
        path = f"{NODES.path}/{node}/status"
        body = bodies.ready_unknown(uid, _now())
        await self._api.write("PATCH", path, body, content=STRATEGIC_PATCH)
        await self._change_node(node, uid, bodies.out_of_service)

    async def evict(self, namespace: str, pod: str, uid: str, past_budgets: bool = False) -> None:
        """See `Kubernetes.evict`. The uid is read first: the API server takes a failed precondition for a
        conflict that passes and tries for 10 s before it says so."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
        await self._pod(path, uid)
        if past_budgets:
            await self._api.write("DELETE", path, bodies.deletion(uid))
            return
        await self._api.write("POST", f"{path}/eviction", bodies.eviction(namespace, pod, uid))

    async def free_pod(self, namespace: str, pod: str, uid: str) -> None:
        """See `Kubernetes.free_pod`. A pod that is gone is done; Conflict when another bears its name."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
        try:
            seen = await self._pod(path, uid)
            if seen.status.phase not in ("Succeeded", "Failed"):
                body = bodies.pod_failed(uid, _now())
                await self._api.write("PATCH", f"{path}/status", body, content=STRATEGIC_PATCH)
            await self._api.write("DELETE", path, bodies.deletion(uid, grace_seconds=0))
        except NotFound:
            return

    async def delete_node(self, node: str, uid: str) -> None:
        """See `Kubernetes.delete_node`."""
        try:
            await self._api.write("DELETE", f"{NODES.path}/{node}", bodies.deletion(uid))
        except NotFound:
            return

    async def release_lease(self, lease: str, holder: str) -> None:
        """See `Kubernetes.release_lease`. Nothing to do when somebody else holds it."""
        path = f"{HOLDERS.path}/{lease}"
        for _ in range(CONFLICT_ATTEMPTS):
            seen = await self._api.get(path, Lease)
            if seen.spec.holder_identity != holder:
                return
            body = {
                "metadata": {"resourceVersion": seen.metadata.resource_version},
                "spec": {"holderIdentity": ""},
            }
            try:
                await self._api.write("PATCH", path, body, content=MERGE_PATCH)
            except Conflict:
                continue
            return
        raise Later(f"lease {lease} is being renewed by {holder}: it is alive")

    async def _pod(self, path: str, uid: str) -> Pod:
        seen = await self._api.get(path, Pod)
        if seen.metadata.uid != uid:
            raise Conflict(f"{path} has uid {seen.metadata.uid}, not {uid}")
        return seen

    async def _change_node(self, node: str, uid: str, change: Callable[[Node], bodies.Body]) -> None:
        """Read, change, write by resource version; a few times, since the kubelet writes its Node too."""
        path = f"{NODES.path}/{node}"
        last: InterfaceError = Conflict(f"node {node} changes too fast")
        for _ in range(CONFLICT_ATTEMPTS):
            seen = await self._api.get(path, Node)
            if seen.metadata.uid != uid:
                raise Conflict(f"node {node} has uid {seen.metadata.uid}, not {uid}")
            body = change(seen)
            metadata = body.get("metadata")
            version = {"resourceVersion": seen.metadata.resource_version}
            body["metadata"] = {**metadata, **version} if isinstance(metadata, dict) else version
            try:
                await self._api.write("PATCH", path, body, content=MERGE_PATCH)
            except Conflict as error:
                last = error
                continue
            return
        raise last


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
