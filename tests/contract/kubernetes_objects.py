"""Objects that the Kubernetes contract tests put into a real API server, past the adapter's own methods."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from servers import ApiServer

from risen.adapters.kubernetes.api import Api
from risen.core.picture import KubernetesSeen
from risen.transport.session import Request, Session

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T | None]], seconds: float = 10.0) -> T:
    """What `look` gives once it gives something."""
    async with asyncio.timeout(seconds):
        while True:
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(0.02)


async def write(api: Api, path: str, body: Mapping[str, object]) -> str:
    """Create an object; its uid."""
    answer = await api.write("POST", path, body)
    return str(json.loads(answer.body)["metadata"]["uid"])


async def make_node(api: Api, name: str, labels: Mapping[str, str] | None = None) -> str:
    """A Node as a kubelet registers it; its uid."""
    taints = [{"key": "risen/uninitialized", "effect": "NoSchedule"}]
    return await write(
        api,
        "/api/v1/nodes",
        {"metadata": {"name": name, "labels": dict(labels or {})}, "spec": {"taints": taints}},
    )


async def make_pod(
    api: Api, name: str, node: str, labels: Mapping[str, str] | None = None, claim: str = ""
) -> str:
    """A pod bound to a node, with a volume if `claim` names one; its uid."""
    spec: dict[str, object] = {"nodeName": node, "containers": [{"name": "c", "image": "none"}]}
    if claim:
        spec["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]
    metadata = {"name": name, "labels": dict(labels or {})}
    return await write(api, "/api/v1/namespaces/default/pods", {"metadata": metadata, "spec": spec})


async def pod_ready(api: Api, name: str) -> None:
    """Say of a pod what its kubelet would say once it is ready."""
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await api.write(
        "PATCH",
        f"/api/v1/namespaces/default/pods/{name}/status",
        {"status": status},
        content="application/merge-patch+json",
    )


async def raw(api: Api, path: str) -> dict[str, object]:
    """An object as the API has it."""
    answer = await api.write("GET", path)
    return dict(json.loads(answer.body))


async def compact(api: Api, server: ApiServer) -> None:
    """Compact etcd up to its present revision, which one more write then exceeds."""
    await api.write("POST", "/api/v1/namespaces/default/events", _event())
    session = Session(server.etcd.identity)
    url = f"https://{server.etcd.members[0].address}/v3"
    status = await session.request(Request("POST", f"{url}/maintenance/status", b"{}"))
    revision = json.loads(status.body)["header"]["revision"]
    body = json.dumps({"revision": revision, "physical": True}).encode()
    answer = await session.request(Request("POST", f"{url}/kv/compaction", body))
    await session.close()
    assert answer.status == 200, answer.body


def _event() -> dict[str, object]:
    return {
        "metadata": {"generateName": "compact-"},
        "involvedObject": {"namespace": "default"},
        "reason": "Compact",
    }


def objects_of(seen: KubernetesSeen, node: str) -> KubernetesSeen:
    """Only what belongs to one node: tests share one API server."""
    return KubernetesSeen(
        nodes=tuple(item for item in seen.nodes if item.name == node),
        pods=tuple(item for item in seen.pods if item.node == node),
    )
