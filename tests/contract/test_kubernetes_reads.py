"""The Kubernetes adapter against a real API server: lists, watches, what `observe` tells and when it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from fault_proxy import Fault, FaultProxy, fault_proxy
from kubernetes_objects import compact, eventually, make_node, make_pod, objects_of, write
from servers import ApiServer, Authority

from risen.adapters.answer_file import noted
from risen.adapters.kubernetes import KubernetesClient
from risen.adapters.kubernetes.api import Api, Credentials, Listing
from risen.adapters.kubernetes.cache import Changes, Event, Listed, node_lease, node_seen
from risen.adapters.kubernetes.reflector import Kind, Pace, Reflector
from risen.adapters.kubernetes.wire import Lease, Node
from risen.core.picture import KubernetesSeen
from risen.interfaces.errors import Denied, Unreachable
from risen.interfaces.kubernetes import Kubernetes
from risen.transport.session import Answer, Request
from risen.transport.tls import TlsIdentity

pytestmark = pytest.mark.root


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
