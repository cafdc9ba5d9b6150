"""The policy for Nodes at a real API server: what a kubelet may create, and what it is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from kubernetes_objects import eventually
from servers import ApiServer, api_server

from risen.adapters.answer_file import noted
from risen.adapters.kubernetes import KubernetesClient
from risen.adapters.kubernetes.api import Api, Credentials
from risen.core.spec import ClusterSpec
from risen.instance.addons import addon_bundle
from risen.instance.cluster_dns import COREDNS_VERSION
from risen.interfaces.errors import InterfaceError
from risen.interfaces.kubernetes import Kubernetes

pytestmark = pytest.mark.root

NAME = "worker-bcdfg"
OURS = f"risen-local://dev/{NAME}/1a2b"
TAINTS = [{"key": "risen/uninitialized", "effect": "NoSchedule"}]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server of its own: the policy is in force on it for good."""
    with api_server(
        tmp_path_factory.mktemp("guarded"), "--enable-admission-plugins=NodeRestriction"
    ) as server:
        yield server


@pytest.fixture
async def kubelet(guarded: ApiServer) -> AsyncIterator[Api]:
    """As a kubelet of that name asks, with the policy applied as the engine applies it."""
    admin = noted(KubernetesClient(Credentials(guarded.url, guarded.admin)), Kubernetes)
    for addon in addon_bundle(ClusterSpec("dev", "1.36.3", ()), COREDNS_VERSION, ()):
        if "AdmissionPolicy" in addon.key:
            await admin.apply(addon.manifest)
    opened = Api(Credentials(guarded.url, guarded.authority.identity(f"system:node:{NAME}", "system:nodes")))
    yield opened
    await opened.close()
    await admin.close()


async def creating(api: Api, name: str, provider_id: str, *, tainted: bool = True) -> str:
    """Try to create a Node without its being kept: empty where it may be, else why not."""
    spec: dict[str, object] = {"providerID": provider_id} if provider_id else {}
    body = {"metadata": {"name": name}, "spec": spec | ({"taints": TAINTS} if tainted else {})}
    try:
        await api.write("POST", "/api/v1/nodes", body, params={"dryRun": "All"})
    except InterfaceError as error:
        return str(error)
    return ""


async def in_force(api: Api) -> None:
    """A policy is compiled some time after it was applied."""

    async def refused() -> bool | None:
        return "risen-born-nodes-only" in await creating(api, NAME, "") or None

    assert await eventually(refused, 30.0)


async def test_a_kubelet_creates_the_node_of_its_own_provider_id_with_our_taint(kubelet: Api) -> None:
    await in_force(kubelet)
    assert await creating(kubelet, NAME, OURS) == ""


@pytest.mark.parametrize(
    "provider_id",
    ["", "risen-local://other/worker-bcdfg/1a2b", "risen-local://dev/worker-zzzzz/1a2b", "aws:///i-1"],
    ids=["none", "of another cluster", "of another instance", "of another provider"],
)
async def test_no_node_of_another_provider_id(kubelet: Api, provider_id: str) -> None:
    await in_force(kubelet)
    assert "is not that of an instance of this name in cluster dev" in await creating(
        kubelet, NAME, provider_id
    )


async def test_no_node_without_the_taint_that_only_risen_takes_away(kubelet: Api) -> None:
    await in_force(kubelet)
    assert "registers with the taint risen/uninitialized" in await creating(
        kubelet, NAME, OURS, tainted=False
    )


async def test_who_is_no_kubelet_creates_what_its_rights_allow(kubelet: Api, guarded: ApiServer) -> None:
    await in_force(kubelet)
    admin = Api(Credentials(guarded.url, guarded.admin))
    assert await creating(admin, "anything", "", tainted=False) == ""
    await admin.close()
