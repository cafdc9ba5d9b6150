"""One plain request of each operation of each simulated interface, put to a standing cluster of three and one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from desk import Desk
from risen.core.names import InstanceName, MemberId, Role
from risen.sim.instances import Instance

Asked = Callable[[Desk], Coroutine[Any, Any, Any]]
ADDON = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "x", "namespace": "kube-system", "annotations": {"risen.dev/digest": "sha256:3333"}},
}


def worker(desk: Desk) -> Instance:
    """Its one worker."""
    return next(
        item
        for item in desk.world.instances.all.values()
        if item.cluster and item.request.role is Role.WORKER
    )


def voters(desk: Desk) -> tuple[MemberId, MemberId]:
    """The leader and one that follows it."""
    etcd = desk.world.etcd
    return MemberId(etcd.leader), MemberId(next(one.id for one in etcd.voters if one.id != etcd.leader))


def node_of(desk: Desk) -> tuple[str, str]:
    """Name and uid of the worker's Node."""
    node = desk.world.kubernetes.nodes[worker(desk).name]
    return node.name, node.uid


def pod_of(desk: Desk) -> tuple[str, str, str]:
    """Namespace, name and uid of a pod that users run."""
    pod = next(one for one in desk.world.kubernetes.pods.values() if one.deployment.name == "web")
    return pod.deployment.namespace, pod.name, pod.uid


async def launch(desk: Desk) -> None:
    request = replace(worker(desk).request, instance=InstanceName("worker-zzzzz"))
    await desk.provider.launch(request)


async def with_addresses(desk: Desk, ask: Asked) -> None:
    """etcd is asked where it was last observed to answer."""
    desk.etcd.addresses = desk.addresses
    await ask(desk)


def of_etcd(ask: Asked) -> Asked:
    return partial(with_addresses, ask=ask)


async def release_lease(desk: Desk) -> None:
    lease, holder = next(iter(desk.world.kubernetes.holders.items()))
    await desk.kubernetes.release_lease(lease, holder.identity)


PLAIN: dict[str, Asked] = {
    "provider.launch": launch,
    "provider.list": lambda desk: desk.provider.list(),
    "provider.get": lambda desk: desk.provider.get(worker(desk).name),
    "provider.destroy": lambda desk: desk.provider.destroy(worker(desk).provider_id),
    "provider.press_power_button": lambda desk: desk.provider.press_power_button(worker(desk).provider_id),
    "provider.power_on": lambda desk: desk.provider.power_on(worker(desk).provider_id),
    "provider.console": lambda desk: desk.provider.console(worker(desk).name),
    "endpoint.list": lambda desk: desk.endpoint.list(),
    "endpoint.add": lambda desk: desk.endpoint.add(worker(desk).name, "10.77.0.99"),
    "endpoint.drain": lambda desk: desk.endpoint.drain(next(iter(desk.world.endpoint.backends))),
    "endpoint.remove": lambda desk: desk.endpoint.remove(next(iter(desk.world.endpoint.backends))),
    "etcd.observe": lambda desk: desk.etcd.observe(desk.addresses),
    "etcd.add_learner": of_etcd(lambda desk: desk.etcd.add_learner("https://10.77.0.99:2380")),
    "etcd.promote": of_etcd(lambda desk: desk.etcd.promote(voters(desk)[1])),
    "etcd.remove": of_etcd(lambda desk: desk.etcd.remove(voters(desk)[1])),
    "etcd.move_leader": of_etcd(lambda desk: desk.etcd.move_leader(*voters(desk))),
    "etcd.remove_endpoint_lease": of_etcd(lambda desk: desk.etcd.remove_endpoint_lease("10.77.0.99")),
    "etcd.hash_kv": of_etcd(lambda desk: desk.etcd.hash_kv(voters(desk)[0], 1)),
    "kubernetes.observe": lambda desk: desk.kubernetes.observe(),
    "kubernetes.apply": lambda desk: desk.kubernetes.apply(ADDON),
    "kubernetes.patch_node": lambda desk: desk.kubernetes.patch_node(*node_of(desk), {"a": "b"}, ()),
    "kubernetes.cordon": lambda desk: desk.kubernetes.cordon(*node_of(desk)),
    "kubernetes.taint_out_of_service": lambda desk: desk.kubernetes.taint_out_of_service(*node_of(desk)),
    "kubernetes.evict": lambda desk: desk.kubernetes.evict(*pod_of(desk)),
    "kubernetes.free_pod": lambda desk: desk.kubernetes.free_pod(*pod_of(desk)),
    "kubernetes.delete_node": lambda desk: desk.kubernetes.delete_node(*node_of(desk)),
    "kubernetes.release_lease": release_lease,
    "store.get": lambda desk: desk.store.get("cluster"),
    "store.put": lambda desk: desk.store.put("x/y", b"1"),
    "store.delete": lambda desk: desk.store.delete("x/y"),
    "store.list": lambda desk: desk.store.list("x/"),
    "store.append": lambda desk: desk.store.append("other", b"1"),
    "store.read": lambda desk: desk.store.read("events"),
    "leadership.try_lead": lambda desk: desk.leadership.try_lead("here 1"),
    "leadership.leader": lambda desk: desk.leadership.leader(),
}
