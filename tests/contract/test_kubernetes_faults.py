"""A line that breaks between the Kubernetes adapter and a real API server: what may have been done, and what not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fault_proxy import Fault, FaultProxy, fault_proxy
from kubernetes_objects import make_node, raw
from servers import ApiServer

from risen.adapters.answer_file import noted
from risen.adapters.kubernetes import KubernetesClient
from risen.adapters.kubernetes.api import Api, Credentials
from risen.adapters.kubernetes.reflector import Pace
from risen.adapters.kubernetes.wire import Node
from risen.interfaces.errors import NotFound, OutcomeUnknown, Unreachable
from risen.interfaces.kubernetes import Kubernetes
from risen.transport import session

pytestmark = pytest.mark.root


@pytest.fixture
async def proxy(real_api: ApiServer) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(real_api.port) as opened:
        yield opened


@pytest.fixture
async def api(real_api: ApiServer, proxy: FaultProxy) -> AsyncIterator[Api]:
    """Through the proxy, with a connection that stands."""
    opened = Api(Credentials(f"https://{proxy.address}", real_api.admin))
    with pytest.raises(NotFound):
        await opened.get("/api/v1/nodes/none", Node)
    yield opened
    await opened.close()


@pytest.fixture
async def direct(real_api: ApiServer) -> AsyncIterator[Api]:
    opened = Api(Credentials(real_api.url, real_api.admin))
    yield opened
    await opened.close()


async def exists(direct: Api, name: str) -> bool:
    try:
        await raw(direct, f"/api/v1/nodes/{name}")
    except NotFound:
        return False
    return True


async def test_a_write_whose_answer_is_lost_is_unknown_and_was_carried_out(
    api: Api, direct: Api, proxy: FaultProxy
) -> None:
    await proxy.set(Fault.CUT_ANSWER)
    with pytest.raises(OutcomeUnknown, match="sent, no answer"):
        await make_node(api, "answer-lost")
    assert await exists(direct, "answer-lost")


async def test_a_write_lost_on_a_standing_connection_is_unknown_though_it_was_not_carried_out(
    api: Api, direct: Api, proxy: FaultProxy
) -> None:
    """The client cannot know: only looking tells."""
    await proxy.set(Fault.CUT_REQUEST)
    with pytest.raises(OutcomeUnknown):
        await make_node(api, "request-lost")
    assert not await exists(direct, "request-lost")


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.CUT_NEW])
async def test_a_write_that_found_no_connection_is_unreachable_and_was_not_carried_out(
    api: Api, direct: Api, proxy: FaultProxy, fault: Fault
) -> None:
    await proxy.set(fault)
    await proxy.cut_all()
    await asyncio.sleep(0.05)
    with pytest.raises(Unreachable, match="no connection"):
        await make_node(api, f"never-sent-{fault.name.lower().replace('_', '-')}")
    assert not await exists(direct, f"never-sent-{fault.name.lower().replace('_', '-')}")


async def test_a_read_is_tried_again_and_never_unknown(api: Api, proxy: FaultProxy) -> None:
    await make_node(api, "read-again")
    await proxy.cut_all()
    assert (await api.get("/api/v1/nodes/read-again", Node)).metadata.name == "read-again"
    await proxy.set(Fault.CUT_ANSWER)
    with pytest.raises(Unreachable):
        await api.get("/api/v1/nodes/read-again", Node)


async def test_a_write_answered_by_silence_is_unknown_within_its_bound(
    real_api: ApiServer, proxy: FaultProxy, direct: Api
) -> None:
    opened = session.Session(real_api.admin)
    request = session.Request(
        "POST",
        f"https://{proxy.address}/api/v1/nodes",
        b'{"metadata":{"name":"silence"}}',
        headers={"Content-Type": "application/json"},
        seconds=0.7,
    )
    warm = session.Request("GET", f"https://{proxy.address}/version", read=True)
    assert (await opened.request(warm)).status == 200
    await proxy.set(Fault.SILENT)
    started = asyncio.get_running_loop().time()
    with pytest.raises(OutcomeUnknown, match="timed out"):
        await opened.request(request)
    assert asyncio.get_running_loop().time() - started < 2.0
    await opened.close()
    assert await exists(direct, "silence")


async def test_a_silent_line_makes_the_cache_stale_and_it_heals_by_itself(
    real_api: ApiServer, proxy: FaultProxy
) -> None:
    pace = Pace(watch_seconds=2, silence_seconds=2.5, stale_seconds=3.0)
    client = noted(
        KubernetesClient(Credentials(f"https://{proxy.address}", real_api.admin), pace=pace), Kubernetes
    )
    assert await client.synced(10)
    await proxy.set(Fault.SILENT)
    async with asyncio.timeout(20):
        while True:
            try:
                await client.observe()
            except Unreachable:
                break
            await asyncio.sleep(0.2)
    await proxy.set(Fault.PASS)
    await proxy.cut_all()
    assert await client.synced(10)
    await client.close()
