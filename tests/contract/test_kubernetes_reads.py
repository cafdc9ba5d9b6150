"""The Kubernetes adapter against a real API server: lists, watches, what `observe` tells and when it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from fault_proxy import Fault, FaultProxy, fault_proxy
from kubernetes_objects import (
    compact,
    eventually,
    make_node,
    make_pod,
    make_volume,
    objects_of,
    pod_status,
    write,
)
from servers import ApiServer, Authority

from risen.adapters.answer_file import noted
from risen.adapters.kubernetes import KubernetesClient
from risen.adapters.kubernetes.api import MERGE_PATCH, Api, Credentials, Listing
from risen.adapters.kubernetes.boiling import node_lease, node_seen
from risen.adapters.kubernetes.cache import Changes, Event, Listed
from risen.adapters.kubernetes.reflector import Kind, Pace, Reflector
from risen.adapters.kubernetes.wire import Lease, Node
from risen.core.picture import BudgetSeen, KubernetesSeen
from risen.interfaces.errors import Denied, Unreachable
from risen.interfaces.kubernetes import Kubernetes
from risen.transport.session import Answer, Request
from risen.transport.tls import TlsIdentity

pytestmark = pytest.mark.root
PROTECTED = {"risen/do-not-disrupt": "true"}
CRASHING = {
    "name": "c", "image": "none", "imageID": "", "ready": False, "restartCount": 3,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
}  # fmt: skip


@pytest.fixture
async def api(real_api: ApiServer) -> AsyncIterator[Api]:
    opened = Api(Credentials(real_api.url, real_api.admin))
    yield opened
    await opened.close()


@pytest.fixture
async def proxy(real_api: ApiServer) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(real_api.port) as opened:
        yield opened


async def seen_when(client: KubernetesClient, is_it: Callable[[KubernetesSeen], bool]) -> KubernetesSeen:
    async def look() -> KubernetesSeen | None:
        seen = await client.observe()
        return seen if is_it(seen) else None

    return await eventually(look)


async def test_thirty_objects_come_in_pages_of_ten_whole_and_once(api: Api) -> None:
    for number in range(30):
        await write(api, "/api/v1/namespaces/default/configmaps", {"metadata": {"name": f"page-{number:02}"}})
    listing = Listing("/api/v1/namespaces/default/configmaps", Node, lambda item: item.metadata.name, page=10)
    names, version = await api.list_all(listing)
    pages = sorted(name for name in names if name.startswith("page-"))
    assert pages == [f"page-{number:02}" for number in range(30)] and int(version) > 0


async def test_a_list_begins_again_when_its_version_is_compacted_between_pages(
    api: Api, real_api: ApiServer
) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    for number in range(6):
        await write(api, path, {"metadata": {"name": f"lease-{number}"}})
    read = 0
    compacting: list[asyncio.Task[None]] = []

    def keep(lease: Lease) -> str:
        nonlocal read
        read += 1
        return lease.metadata.name

    class CompactAfterFirstPage(Api):
        async def _send(self, request: Request) -> Answer:
            if "continue" in request.params and not compacting:
                compacting.append(asyncio.create_task(compact(api, real_api)))
                await compacting[0]
            return await super()._send(request)

    slow = CompactAfterFirstPage(Credentials(real_api.url, real_api.admin))
    names, _ = await slow.list_all(Listing(path, Lease, keep, page=3))
    await slow.close()
    assert [name for name in names if name.startswith("lease-")] == [f"lease-{n}" for n in range(6)]
    assert read == len(names) + 3


async def test_nodes_pods_leases_and_holders_are_seen_as_they_change(real_api: ApiServer, api: Api) -> None:
    changes: list[None] = []
    client = noted(
        KubernetesClient(Credentials(real_api.url, real_api.admin), on_change=lambda: changes.append(None)),
        Kubernetes,
    )
    assert await client.synced(10)
    node = await make_node(api, "reads-1", labels={"pool": "worker"})
    pod = await make_pod(api, "reads-pod", "reads-1", claim="data")
    lease = {"metadata": {"name": "reads-1"}, "spec": {"renewTime": "2026-01-01T00:00:10.500000Z"}}
    await write(api, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease)
    holder = {"metadata": {"name": "kube-scheduler"}, "spec": {"holderIdentity": "m1_x"}}
    await write(api, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", holder)

    def whole(seen: KubernetesSeen) -> bool:
        own = objects_of(seen, "reads-1")
        return bool(own.pods and own.nodes and own.nodes[0].lease_renewed_unix and seen.lease_holders)

    seen = await seen_when(client, whole)
    own = objects_of(seen, "reads-1")
    assert (own.nodes[0].uid, own.nodes[0].lease_renewed_unix) == (node, 1767225610.5)
    assert (own.pods[0].uid, own.pods[0].name, own.pods[0].ready) == (pod, "reads-pod", False)
    assert own.pods[0].stateful
    assert ("kube-scheduler", "m1_x") in seen.lease_holders and changes
    await client.delete_node("reads-1", node)
    gone = await seen_when(client, lambda seen: not objects_of(seen, "reads-1").nodes)
    assert not objects_of(gone, "reads-1").nodes
    await client.close()


async def test_what_a_plan_needs_of_a_pod_is_seen(real_api: ApiServer, api: Api) -> None:
    """Owner, labels, since when it is ready, what keeps it from running, protection, a volume of its node's."""
    client = noted(KubernetesClient(Credentials(real_api.url, real_api.admin)), Kubernetes)
    assert await client.synced(10)
    await make_node(api, "plan-1")
    await api.write(
        "PATCH",
        "/api/v1/nodes/plan-1/status",
        {"status": {"conditions": [_condition("True", "2026-01-01T00:00:07Z")]}},
        content=MERGE_PATCH,
    )
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5", "uid": "o", "controller": True}
    metadata = {"labels": {"app": "web"}, "annotations": PROTECTED, "ownerReferences": [owner]}
    await make_pod(api, "plan-web", "plan-1", claim="here", metadata=metadata)
    await make_pod(api, "plan-bare", "plan-1")
    await pod_status(api, "plan-web", conditions=[_condition("True", "2026-01-01T00:00:09Z")])
    await pod_status(api, "plan-bare", containerStatuses=[CRASHING])
    await make_volume(api, "plan-volume", "here", {"local": {"path": "/data"}}, host="plan-1")
    await make_volume(api, "plan-far", "elsewhere", {"csi": {"driver": "d", "volumeHandle": "h"}})

    def whole(seen: KubernetesSeen) -> bool:
        own = objects_of(seen, "plan-1").pods
        return any(pod.failing for pod in own) and any(pod.local_volume and pod.ready for pod in own)

    seen = objects_of(await seen_when(client, whole), "plan-1")
    await client.close()
    pods = {pod.name: pod for pod in seen.pods}
    web, bare = pods["plan-web"], pods["plan-bare"]
    assert seen.nodes[0].ready_since_unix == 1767225607.0
    assert (web.owner, web.labels, web.ready_since_unix) == (
        "ReplicaSet/web-5",
        (("app", "web"),),
        1767225609.0,
    )
    assert (web.protected, web.local_volume, web.failing) == (True, True, "")
    assert (bare.owner, bare.failing, bare.ready_since_unix) == ("", "CrashLoopBackOff", None)
    assert not bare.protected and not bare.local_volume


async def test_budgets_and_attachments_are_seen_as_they_change(real_api: ApiServer, api: Api) -> None:
    client = noted(KubernetesClient(Credentials(real_api.url, real_api.admin)), Kubernetes)
    assert await client.synced(10)
    await write(api, "/api/v1/namespaces", {"metadata": {"name": "counted"}})
    path = "/apis/policy/v1/namespaces/counted/poddisruptionbudgets"
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    await write(api, path, {"metadata": {"name": "web"}, "spec": spec})
    worded = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
    await write(api, path, {"metadata": {"name": "worded"}, "spec": {"minAvailable": 1, "selector": worded}})
    attached = {"attacher": "d", "nodeName": "plan-2", "source": {"persistentVolumeName": "v"}}
    attachments = "/apis/storage.k8s.io/v1/volumeattachments"
    await write(api, attachments, {"metadata": {"name": "attached"}, "spec": attached})
    said = {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2}
    status = {"status": {**said, "expectedPods": 3}}
    await api.write("PATCH", f"{path}/web/status", status, content=MERGE_PATCH)

    def budgets(seen: KubernetesSeen) -> dict[str, BudgetSeen]:
        return {budget.name: budget for budget in seen.budgets if budget.namespace == "counted"}

    seen = await seen_when(client, lambda seen: "web" in budgets(seen) and budgets(seen)["web"].allowed == 1)
    selector = (("app", "web"),)
    assert budgets(seen)["web"] == BudgetSeen("counted", "web", 1, 3, 2, selector)
    assert budgets(seen)["worded"].selector is None
    assert ("attached", "plan-2") in seen.attachments
    changed = {"spec": {"minAvailable": 3}}
    await api.write("PATCH", f"{path}/web", changed, content=MERGE_PATCH)
    seen = await seen_when(client, lambda seen: budgets(seen)["web"].allowed == 0)
    assert budgets(seen)["web"].healthy == 3
    await api.write("DELETE", f"{attachments}/attached")
    await seen_when(client, lambda seen: not seen.attachments)
    await client.close()


def _condition(status: str, since: str) -> dict[str, object]:
    return {"type": "Ready", "status": status, "lastTransitionTime": since, "reason": "Said"}


async def test_a_watch_survives_the_compaction_of_where_it_stopped(
    real_api: ApiServer, api: Api, proxy: FaultProxy
) -> None:
    """Leases have no watch cache here: etcd itself says that the version is compacted (410)."""
    events: list[Event] = []
    path = "/apis/coordination.k8s.io/v1/namespaces/compacted/leases"
    await write(api, "/api/v1/namespaces", {"metadata": {"name": "compacted"}})
    through = Api(Credentials(f"https://{proxy.address}", real_api.admin))
    follower = Reflector(through, Kind("leases", path, Lease, node_lease), events.append)
    running = asyncio.create_task(follower.run())
    await eventually(lambda: _true(follower.in_sync()))
    await proxy.set(Fault.REFUSE)
    renewed = {"renewTime": "2026-01-01T00:00:00.000000Z"}
    await write(api, path, {"metadata": {"name": "meanwhile"}, "spec": renewed})
    await compact(api, real_api)
    await proxy.set(Fault.PASS)
    await eventually(lambda: _true(follower.listings == 2))
    running.cancel()
    await through.close()
    listed = [event for event in events if isinstance(event, Listed)]
    assert [len(event.entries) for event in listed] == [0, 1]


async def test_a_cut_watch_goes_on_where_it_stopped_without_a_new_list(
    real_api: ApiServer, api: Api, proxy: FaultProxy
) -> None:
    events: list[Event] = []
    through = Api(Credentials(f"https://{proxy.address}", real_api.admin))
    kind = Kind("nodes", "/api/v1/nodes", Node, node_seen)
    follower = Reflector(through, kind, events.append)
    running = asyncio.create_task(follower.run())
    await eventually(lambda: _true(follower.in_sync()))
    await proxy.cut_all()
    await make_node(api, "after-cut")
    await eventually(
        lambda: _true(
            any(
                key == "/after-cut"
                for event in events
                if isinstance(event, Changes)
                for key, _ in event.entries
            )
        )
    )
    running.cancel()
    await through.close()
    assert follower.listings == 1


async def test_a_bookmark_moves_the_version_of_a_quiet_watch(real_api: ApiServer, api: Api) -> None:
    """Asked to end after 4 s, the server sends a bookmark 2 s before."""
    kind = Kind("nodes", "/api/v1/nodes", Node, node_seen, params={"fieldSelector": "metadata.name=nobody"})
    follower = Reflector(api, kind, lambda event: None, Pace(watch_seconds=4))
    running = asyncio.create_task(follower.run())
    await eventually(lambda: _true(follower.in_sync()))
    began = follower.version
    await make_node(api, "noise")
    await eventually(lambda: _true(follower.version != began), seconds=8)
    running.cancel()
    assert int(follower.version) > int(began) and follower.listings == 1


async def test_a_version_ahead_of_the_server_is_noticed_and_listed_anew(
    real_api: ApiServer, api: Api
) -> None:
    """As after a restore to an older revision: such a watch stays silent without an error."""
    kind = Kind("nodes", "/api/v1/nodes", Node, node_seen)
    follower = Reflector(api, kind, lambda event: None, Pace(watch_seconds=2))
    follower.version = "999999999"
    running = asyncio.create_task(follower.run())
    await eventually(lambda: _true(follower.listings == 1), seconds=8)
    running.cancel()
    assert int(follower.version) < 999999999


async def test_who_looks_once_lists_and_may_watch_from_there(real_api: ApiServer, api: Api) -> None:
    uid = await make_node(api, "once-1")
    client = noted(KubernetesClient(Credentials(real_api.url, real_api.admin)), Kubernetes)
    await client.list_once(10)
    assert [node.uid for node in (await client.observe()).nodes if node.name == "once-1"] == [uid]
    await make_node(api, "once-2")
    await asyncio.sleep(0.5)
    assert "once-2" not in {node.name for node in (await client.observe()).nodes}
    client.start()
    await seen_when(client, lambda seen: "once-2" in {node.name for node in seen.nodes})
    await client.close()


async def test_what_cannot_be_listed_once_is_told_by_observe(real_api: ApiServer, proxy: FaultProxy) -> None:
    nobody = real_api.authority.identity("nobody")
    denied = noted(KubernetesClient(Credentials(real_api.url, nobody)), Kubernetes)
    await denied.list_once(10)
    with pytest.raises(Denied, match="HTTP 403"):
        await denied.observe()
    await proxy.set(Fault.SILENT)
    silent = noted(KubernetesClient(Credentials(f"https://{proxy.address}", real_api.admin)), Kubernetes)
    began = asyncio.get_running_loop().time()
    await silent.list_once(0.3)
    assert asyncio.get_running_loop().time() - began < 1
    with pytest.raises(Unreachable, match="not listed yet"):
        await silent.observe()
    await denied.close()
    await silent.close()


async def test_observe_refuses_while_nothing_answers(real_api: ApiServer, proxy: FaultProxy) -> None:
    await proxy.set(Fault.REFUSE)
    client = noted(KubernetesClient(Credentials(f"https://{proxy.address}", real_api.admin)), Kubernetes)
    assert not await client.synced(0.3)
    with pytest.raises(Unreachable, match="not in sync"):
        await client.observe()
    await proxy.set(Fault.PASS)
    assert await client.synced(10)
    await client.close()


async def test_observe_says_denied_for_a_client_without_rights(real_api: ApiServer) -> None:
    nobody = real_api.authority.identity("nobody")
    client = noted(KubernetesClient(Credentials(real_api.url, nobody)), Kubernetes)
    assert not await client.synced(0.3)
    with pytest.raises(Denied, match="HTTP 403"):
        await client.observe()
    client.renew(Credentials(real_api.url, real_api.admin))
    assert await client.synced(10)
    await client.close()


async def test_a_server_of_another_authority_is_denied(real_api: ApiServer) -> None:
    trusting = TlsIdentity(real_api.admin.certificate, real_api.admin.key, Authority("other").pem)
    api = Api(Credentials(real_api.url, trusting))
    with pytest.raises(Denied, match="server's certificate is not accepted"):
        await api.get("/api/v1/nodes/x", Node)
    await api.close()


async def _true(value: bool) -> bool | None:
    return value or None
