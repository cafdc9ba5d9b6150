"""The checker finds what it is there for: engines that do wrong on purpose are told off, each for its own sin."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from risen.core.names import ClusterUid, ImageDigest, InstanceName, PoolName, ProviderId, Role
from risen.core.picture import InstanceState
from risen.engine.world import EngineWorld
from risen.interfaces.errors import Later
from risen.interfaces.provider import LaunchRequest
from risen.sim.ending import end_state
from risen.sim.faults import NO_FAULTS
from risen.sim.harness import Engine, Run, brought_up
from risen.sim.scenario import Scenario
from risen.sim.trace import Trace
from risen.sim.world import World

SCENARIO = Scenario(3, 1, give_up_seconds=12.0)


@pytest.fixture(scope="module")
def standing() -> World:
    return brought_up(Scenario(3, 1), 2)


def violations_of(standing: World, engine: Engine) -> str:
    world = standing.copied()
    trace = Run(SCENARIO, world, NO_FAULTS, Trace(2), Random(1), engine=engine).go()
    return "\n".join(trace.violations)


async def ids(world: EngineWorld, prefix: str) -> list[ProviderId]:
    seen = await world.provider.list()
    return [item.provider_id for item in seen.instances if item.name.startswith(prefix)]


async def idle(world: EngineWorld, stop: Callable[[], bool]) -> None:
    while not stop():
        await world.clock.sleep(1.0)


async def destroys_two_members(world: EngineWorld, stop: Callable[[], bool]) -> None:
    for provider_id in (await ids(world, "control-plane"))[:2]:
        await world.provider.destroy(provider_id)
    await idle(world, stop)


async def destroys_a_foreign_instance(world: EngineWorld, stop: Callable[[], bool]) -> None:
    for provider_id in await ids(world, "somebody"):
        await world.provider.destroy(provider_id)
    await idle(world, stop)


async def launches_without_birth(world: EngineWorld, stop: Callable[[], bool]) -> None:
    await world.provider.launch(
        LaunchRequest(
            InstanceName("worker-zzzzz"),
            ClusterUid("u"),
            PoolName("worker"),
            Role.WORKER,
            ImageDigest("sha256:x"),
            b"",
        )
    )
    await idle(world, stop)


async def removes_a_member_without_entry(world: EngineWorld, stop: Callable[[], bool]) -> None:
    seen = await world.provider.list()
    addresses = tuple(
        item.address for item in seen.instances if item.address and item.state is InstanceState.RUNNING
    )
    members = (await world.etcd.observe(addresses)).members
    for _ in range(20):
        try:
            await world.etcd.remove(members[0].id)
            break
        except Later:
            await world.clock.sleep(0.5)
    await idle(world, stop)


async def deletes_a_node(world: EngineWorld, stop: Callable[[], bool]) -> None:
    node = (await world.kubernetes.observe()).nodes[0]
    await world.kubernetes.delete_node(node.name, node.uid)
    await idle(world, stop)


async def frees_a_pod_of_a_living_instance(world: EngineWorld, stop: Callable[[], bool]) -> None:
    pod = (await world.kubernetes.observe()).pods[0]
    await world.kubernetes.free_pod(pod.namespace, pod.name, pod.uid)
    await idle(world, stop)


async def frees_a_pod_before_its_node_takes_none(world: EngineWorld, stop: Callable[[], bool]) -> None:
    (worker,) = await ids(world, "worker")
    await world.provider.destroy(worker)
    pod = next(pod for pod in (await world.kubernetes.observe()).pods if pod.node.startswith("worker"))
    await world.kubernetes.free_pod(pod.namespace, pod.name, pod.uid)
    await idle(world, stop)


async def does_nothing_and_raises(world: EngineWorld, stop: Callable[[], bool]) -> None:
    await world.clock.sleep(1.0)
    raise KeyError("a programmer's error")


@pytest.mark.parametrize(
    ("engine", "sin"),
    [
        (destroys_two_members, "etcd had a quorum of 3 voters and has none now"),
        (destroys_two_members, "no ledger entry is open for it"),
        (destroys_two_members, "a majority of 3 voters' disks is not left"),
        (destroys_a_foreign_instance, "it is not ours"),
        (launches_without_birth, "there is no birth record"),
        (removes_a_member_without_entry, "etcd.remove"),
        (deletes_a_node, "kubernetes.delete_node"),
        (frees_a_pod_of_a_living_instance, "is not gone"),
        (frees_a_pod_before_its_node_takes_none, "still takes pods"),
        (does_nothing_and_raises, "the engine ended: KeyError"),
    ],
)
def test_an_engine_that_sins_is_found_out(standing: World, engine: Engine, sin: str) -> None:
    assert sin in violations_of(standing, engine)


def test_an_engine_that_does_nothing_to_a_standing_cluster_is_no_sinner(standing: World) -> None:
    assert violations_of(standing, idle) == ""


def test_a_second_founding_is_found(standing: World) -> None:
    world = standing.copied()
    world.etcd.foundings.append("another")
    trace = Run(SCENARIO, world, NO_FAULTS, Trace(2), Random(1), engine=idle)
    trace.checker.founded = 1
    assert any("founded 2 times" in text for text in trace.go().violations)


def test_the_end_without_names_differs_when_a_node_is_cordoned(standing: World) -> None:
    world = standing.copied()
    assert end_state(world) == end_state(standing)
    next(iter(world.kubernetes.nodes.values())).unschedulable = True
    assert end_state(world) != end_state(standing)
