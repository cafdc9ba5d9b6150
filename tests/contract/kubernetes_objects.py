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
    api: Api,
    name: str,
    node: str,
    claim: str = "",
    metadata: Mapping[str, object] | None = None,
) -> str:
    """A pod bound to a node, with a volume if `claim` names one, and more `metadata`; its uid."""
    spec: dict[str, object] = {"nodeName": node, "containers": [{"name": "c", "image": "none"}]}
    if claim:
        spec["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]
    about = {"name": name, **(metadata or {})}
    return await write(api, "/api/v1/namespaces/default/pods", {"metadata": about, "spec": spec})


async def make_volume(api: Api, name: str, claim: str, source: Mapping[str, object], host: str = "") -> None:
    """A PersistentVolume that is bound to a claim of namespace `default`, on one host if that is named."""
    spec: dict[str, object] = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "claimRef": {"namespace": "default", "name": claim},
        **source,
    }
    if host:
        term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}}
    await write(api, "/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": spec})


async def pod_ready(api: Api, name: str) -> None:
    """Say of a pod what its kubelet would say once it is ready."""
    await pod_status(api, name, phase="Running", conditions=[{"type": "Ready", "status": "True"}])


async def pod_status(api: Api, name: str, **status: object) -> None:
    """Say of a pod what its kubelet would say."""
    path = f"/api/v1/namespaces/default/pods/{name}/status"
    await api.write("PATCH", path, {"status": status}, content="application/merge-patch+json")


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
