"""The Kubernetes adapter's changes against a real API server: what they leave there, and how they are refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from kubernetes_objects import eventually, make_node, make_pod, pod_ready, raw, write
from servers import ApiServer

from risen.adapters.answer_file import noted
from risen.adapters.kubernetes import KubernetesClient
from risen.adapters.kubernetes.api import Api, Credentials
from risen.core.picture import KubernetesSeen
from risen.core.spec import Taint
from risen.interfaces.errors import Conflict, Denied, Invalid, Later, NotFound
from risen.interfaces.kubernetes import Kubernetes

pytestmark = pytest.mark.root

OTHER_UID = "00000000-0000-0000-0000-000000000000"
NODES = "/api/v1/nodes"
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
async def api(real_api: ApiServer) -> AsyncIterator[Api]:
    opened = Api(Credentials(real_api.url, real_api.admin))
    yield opened
    await opened.close()


@pytest.fixture
async def client(real_api: ApiServer) -> AsyncIterator[KubernetesClient]:
    opened = noted(KubernetesClient(Credentials(real_api.url, real_api.admin)), Kubernetes)
    yield opened
    await opened.close()


def config_map(name: str, value: str) -> dict[str, object]:
    metadata = {"name": name, "namespace": "default", "annotations": {"risen.dev/digest": f"d-{value}"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value}}


# --- apply --------------------------------------------------------------------------------------------------
async def test_apply_takes_a_field_back_from_another_manager(client: KubernetesClient, api: Api) -> None:
    await client.apply(config_map("ours", "first"))
    other = config_map("ours", "theirs")
    params = {"fieldManager": "somebody", "force": "true"}
    path = "/api/v1/namespaces/default/configmaps/ours"
    await api.write("PATCH", path, other, content="application/apply-patch+yaml", params=params)
    await client.apply(config_map("ours", "second"))
    assert (await raw(api, path))["data"] == {"key": "second"}


async def test_applied_objects_are_seen_with_their_digest_at_once_and_by_the_next_client(
    client: KubernetesClient, real_api: ApiServer
) -> None:
    assert await client.synced(10)
    await client.apply(config_map("digest", "one"))
    wanted = ("v1/ConfigMap/default/digest", "d-one")
    assert wanted in (await client.observe()).addons
    later = noted(KubernetesClient(Credentials(real_api.url, real_api.admin)), Kubernetes)
    assert await later.synced(10)
    assert wanted in (await later.observe()).addons
    await later.close()


async def test_who_asks_for_a_quick_poll_soon_sees_what_another_program_applied(
    client: KubernetesClient, real_api: ApiServer
) -> None:
    watching = noted(KubernetesClient(Credentials(real_api.url, real_api.admin)), Kubernetes)
    watching.poll_addons_every(0.2)
    assert await watching.synced(10)
    await client.apply(config_map("watched", "one"))
    wanted = ("v1/ConfigMap/default/watched", "d-one")

    async def seen() -> bool | None:
        return wanted in (await watching.observe()).addons or None

    assert await eventually(seen)
    await watching.close()


async def test_apply_finds_kinds_by_discovery_and_waits_for_those_not_served(
    client: KubernetesClient,
) -> None:
    ingress_class = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "found"},
        "spec": {"controller": "example.com/x"},
    }
    assert await client.synced(10)
    await client.apply(ingress_class)
    assert "networking.k8s.io/v1/IngressClass//found" in dict((await client.observe()).addons)
    for api_version in ("networking.k8s.io/v1", "example.com/v1"):
        with pytest.raises(Later, match="serve"):
            await client.apply({"apiVersion": api_version, "kind": "Missing", "metadata": {"name": "x"}})


async def test_apply_into_a_namespace_not_there_yet_is_later_and_nonsense_is_invalid(
    client: KubernetesClient,
) -> None:
    absent = config_map("x", "y") | {"metadata": {"name": "x", "namespace": "absent"}}
    with pytest.raises(Later, match="not there yet"):
        await client.apply(absent)
    for nonsense in ({"kind": "ConfigMap"}, {"apiVersion": "v1", "kind": "ConfigMap"}):
        with pytest.raises(Invalid):
            await client.apply(nonsense)
    with pytest.raises(Invalid, match="HTTP 4"):
        await client.apply(config_map("Bad_Name", "y"))
    with pytest.raises(Invalid):
        await client.apply(config_map("unknown-field", "y") | {"dataz": {"a": "b"}})


async def test_a_client_without_rights_is_denied(real_api: ApiServer) -> None:
    nobody = noted(
        KubernetesClient(Credentials(real_api.url, real_api.authority.identity("nobody"))), Kubernetes
    )
    with pytest.raises(Denied, match="HTTP 403"):
        await nobody.apply(config_map("x", "y"))
    await nobody.close()


# --- nodes --------------------------------------------------------------------------------------------------
async def node_when_synced(client: KubernetesClient, name: str) -> KubernetesSeen:
    assert await client.synced(10)

    async def look() -> KubernetesSeen | None:
        seen = await client.observe()
        return seen if any(node.name == name for node in seen.nodes) else None

    return await eventually(look)


async def test_marking_a_node_keeps_what_is_others_and_takes_away_what_was_ours(
    client: KubernetesClient, api: Api
) -> None:
    uid = await make_node(api, "marked", labels={"theirs": "1"})
    theirs = {"spec": {"taints": [{"key": "theirs", "effect": "NoExecute", "value": "v"}]}}
    await api.write("PATCH", f"{NODES}/marked", theirs, content="application/strategic-merge-patch+json")
    first = (Taint("pool", "a", "NoSchedule"), Taint("gpu", "", "NoSchedule"))
    await client.patch_node("marked", uid, {"tier": "a", "old": "1"}, first)
    await client.patch_node("marked", uid, {"tier": "b"}, (Taint("pool", "b", "NoSchedule"),))
    seen = {node.name: node for node in (await node_when_synced(client, "marked")).nodes}["marked"]
    assert dict(seen.labels) == {"theirs": "1", "tier": "b"}
    kept = {taint.key: taint.value for taint in seen.taints}
    assert kept == {"theirs": "v", "pool": "b"}


async def test_a_node_of_the_same_name_and_another_uid_is_left_alone(
    client: KubernetesClient, api: Api
) -> None:
    uid = await make_node(api, "same-name")
    for change in (client.cordon, client.taint_out_of_service, client.delete_node):
        with pytest.raises(Conflict):
            await change("same-name", OTHER_UID)
    with pytest.raises(Conflict):
        await client.patch_node("same-name", OTHER_UID, {"a": "b"}, ())
    kept = await raw(api, f"{NODES}/same-name")
    assert kept["metadata"]["uid"] == uid and "unschedulable" not in kept["spec"]  # type: ignore[index, operator]


async def test_a_fenced_node_is_cordoned_unknown_and_out_of_service(
    client: KubernetesClient, api: Api
) -> None:
    uid = await make_node(api, "fenced")
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    await api.write("PATCH", f"{NODES}/fenced/status", ready, content="application/merge-patch+json")
    await client.cordon("fenced", uid)
    for _ in range(2):
        await client.taint_out_of_service("fenced", uid)
    seen = {node.name: node for node in (await node_when_synced(client, "fenced")).nodes}["fenced"]
    assert (seen.ready, seen.unschedulable) == (None, True)
    assert Taint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute") in seen.taints


async def cordon_seen(client: KubernetesClient, unschedulable: bool, our_cordon: bool) -> None:
    """The watch shows it a little later than the write was answered."""

    async def look() -> bool:
        nodes = {node.name: node for node in (await node_when_synced(client, "cordoned")).nodes}
        return (nodes["cordoned"].unschedulable, nodes["cordoned"].our_cordon) == (unschedulable, our_cordon)

    await eventually(look)


async def test_whose_cordon_it_is_is_seen_and_forgotten_with_it(client: KubernetesClient, api: Api) -> None:
    uid = await make_node(api, "cordoned")
    await client.cordon("cordoned", uid)
    await cordon_seen(client, True, True)
    await client.cordon("cordoned", uid, False)
    await cordon_seen(client, False, False)
    by_hand = {"spec": {"unschedulable": True}}
    await api.write("PATCH", f"{NODES}/cordoned", by_hand, content="application/merge-patch+json")
    await cordon_seen(client, True, False)


async def test_deleting_a_node_twice_is_done_twice_and_changing_it_then_is_not_found(
    client: KubernetesClient, api: Api
) -> None:
    uid = await make_node(api, "deleted")
    await client.delete_node("deleted", uid)
    await client.delete_node("deleted", uid)
    with pytest.raises(NotFound):
        await client.cordon("deleted", uid)


# --- pods ---------------------------------------------------------------------------------------------------
def budget(name: str, app: str) -> dict[str, object]:
    return {
        "metadata": {"name": name},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": app}}},
    }


async def test_an_eviction_refused_by_one_budget_or_by_two_is_later(
    client: KubernetesClient, api: Api
) -> None:
    """No controller counts here, so every budget allows 0 disruptions."""
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    uid = await make_pod(api, "guarded", "some-node", metadata={"labels": {"app": "guarded"}})
    await pod_ready(api, "guarded")
    await write(api, budgets, budget("one", "guarded"))
    with pytest.raises(Later, match="HTTP 429") as refused:
        await client.evict("default", "guarded", uid)
    assert refused.value.after_seconds is not None
    await write(api, budgets, budget("two", "guarded"))
    with pytest.raises(Later, match="HTTP 500"):
        await client.evict("default", "guarded", uid)


async def test_an_eviction_names_its_pod_by_uid(client: KubernetesClient, api: Api) -> None:
    uid = await make_pod(api, "evicted", "some-node")
    with pytest.raises(Conflict):
        await client.evict("default", "evicted", OTHER_UID)
    await client.evict("default", "evicted", uid)
    gone_or_going = await _deletion_of(api, "evicted")
    assert gone_or_going
    with pytest.raises(NotFound):
        await client.evict("default", "never-there", uid)


async def _deletion_of(api: Api, name: str) -> bool:
    try:
        pod = await raw(api, f"{PODS}/{name}")
    except NotFound:
        return True
    return "deletionTimestamp" in pod["metadata"]  # type: ignore[operator]


async def test_a_pod_is_freed_only_under_its_uid_and_then_gone_at_once(
    client: KubernetesClient, api: Api
) -> None:
    uid = await make_pod(api, "freed", "some-node")
    await pod_ready(api, "freed")
    with pytest.raises(Conflict, match="not"):
        await client.free_pod("default", "freed", OTHER_UID)
    await client.free_pod("default", "freed", uid)
    with pytest.raises(NotFound):
        await raw(api, f"{PODS}/freed")
    await client.free_pod("default", "freed", uid)


async def test_a_freed_pod_that_must_wait_says_why_it_failed(client: KubernetesClient, api: Api) -> None:
    """A finalizer keeps the object, so that what was written can be read."""
    uid = await make_pod(api, "kept", "some-node")
    finalizer = {"metadata": {"finalizers": ["example.com/keep"]}}
    await api.write("PATCH", f"{PODS}/kept", finalizer, content="application/merge-patch+json")
    await client.free_pod("default", "kept", uid)
    status = (await raw(api, f"{PODS}/kept"))["status"]
    assert status["phase"] == "Failed"  # type: ignore[index]
    conditions = {item["type"]: item["status"] for item in status["conditions"]}  # type: ignore[index]
    assert conditions["DisruptionTarget"] == "True"


# --- leases -------------------------------------------------------------------------------------------------
async def test_a_lease_is_released_only_from_the_holder_named(client: KubernetesClient, api: Api) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    body = {"metadata": {"name": "kube-controller-manager"}, "spec": {"holderIdentity": "m2_x"}}
    await write(api, path, body)
    await client.release_lease("kube-controller-manager", "m1_x")
    assert (await raw(api, f"{path}/kube-controller-manager"))["spec"]["holderIdentity"] == "m2_x"  # type: ignore[index]
    await client.release_lease("kube-controller-manager", "m2_x")
    spec = (await raw(api, f"{path}/kube-controller-manager"))["spec"]
    assert not spec.get("holderIdentity")  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        await client.release_lease("never-there", "m2_x")
