"""The checker finds what it is there for: engines that do wrong on purpose are told off, each for its own sin."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest

from risen.codec import records
from risen.core.events import EntryOpened
from risen.core.names import ClusterUid, ImageDigest, InstanceName, PoolName, ProviderId, ReleaseId, Role
from risen.core.picture import InstanceState
from risen.core.safety.invariants import INVARIANTS
from risen.core.step import Birth
from risen.engine.world import EngineWorld
from risen.interfaces.errors import Later
from risen.interfaces.provider import LaunchRequest
from risen.sim.ending import end_state
from risen.sim.faults import NO_FAULTS
from risen.sim.harness import Engine, Run, brought_up
from risen.sim.planned import PATIENCE_SECONDS
from risen.sim.scenario import Scenario
from risen.sim.trace import Trace
from risen.sim.truths import SAYS, Truth
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


async def takes_a_living_apiserver_off_its_service(world: EngineWorld, stop: Callable[[], bool]) -> None:
    seen = await world.provider.list()
    addresses = tuple(
        item.address for item in seen.instances if item.name.startswith("control") and item.address
    )
    leases = (await world.etcd.observe(addresses)).endpoint_leases
    await world.etcd.remove_endpoint_lease(leases[0])
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


async def takes_the_only_worker_by_plan(world: EngineWorld, stop: Callable[[], bool]) -> None:
    (worker,) = await workers(world)
    opened = EntryOpened(world.clock.unix(), f"{worker}-1", worker, "rollout", ())
    await world.store.append(records.EVENTS, records.encode(opened))
    await idle(world, stop)


async def repairs_the_only_worker(world: EngineWorld, stop: Callable[[], bool]) -> None:
    (worker,) = await workers(world)
    opened = EntryOpened(world.clock.unix(), f"{worker}-1", worker, "repair", ())
    await world.store.append(records.EVENTS, records.encode(opened))
    await idle(world, stop)


async def evicts_what_may_be_evicted(world: EngineWorld, stop: Callable[[], bool]) -> None:
    for pod in (await world.kubernetes.observe()).pods:
        if pod.node.startswith("worker") and not pod.daemon:
            with suppress(Later):
                await world.kubernetes.evict(pod.namespace, pod.name, pod.uid)
    await idle(world, stop)


async def bears_two_beside_the_only_worker(world: EngineWorld, stop: Callable[[], bool]) -> None:
    for name in ("worker-yyyyy", "worker-zzzzz"):
        birth = Birth(
            InstanceName(name), PoolName("worker"), Role.WORKER, ReleaseId("r-worker-1"),
            ImageDigest("sha256:worker-1"), "0" * 32, "roll", world.clock.unix(),
        )  # fmt: skip
        await world.store.put(records.birth_key(birth.instance), records.encode(birth))
    await idle(world, stop)


async def drains_a_backend_without_entry(world: EngineWorld, stop: Callable[[], bool]) -> None:
    await world.endpoint.drain((await world.endpoint.list())[0].name)
    await idle(world, stop)


async def removes_a_backend_that_serves(world: EngineWorld, stop: Callable[[], bool]) -> None:
    await world.endpoint.remove((await world.endpoint.list())[0].name)
    await idle(world, stop)


async def workers(world: EngineWorld) -> list[InstanceName]:
    seen = await world.provider.list()
    return [item.name for item in seen.instances if item.name.startswith("worker")]


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
        (takes_a_living_apiserver_off_its_service, "'s apiserver lives"),
        (deletes_a_node, "kubernetes.delete_node"),
        (frees_a_pod_of_a_living_instance, "is not gone"),
        (frees_a_pod_before_its_node_takes_none, "still takes pods"),
        (takes_the_only_worker_by_plan, "pool-budget-kept: entry"),
        (takes_the_only_worker_by_plan, "0 of worker are left available of 1 needed"),
        (bears_two_beside_the_only_worker, "surge-kept: birth of worker-zzzzz"),
        (drains_a_backend_without_entry, "entry-before-harm: endpoint.drain"),
        (removes_a_backend_that_serves, "entry-before-harm: endpoint.remove"),
        (does_nothing_and_raises, "the engine ended: KeyError"),
    ],
)
def test_an_engine_that_sins_is_found_out(standing: World, engine: Engine, sin: str) -> None:
    assert sin in violations_of(standing, engine)


@pytest.mark.parametrize(
    ("engine", "sin"),
    [
        (takes_the_only_worker_by_plan, "do-not-disrupt-kept: entry worker-"),
        (evicts_what_may_be_evicted, "do-not-disrupt-kept: eviction of "),
    ],
)
def test_whoever_disrupts_a_pod_that_has_long_asked_is_found_out_and_not_when_it_asked_just_now(
    standing: World, engine: Engine, sin: str
) -> None:
    for ago, found in ((PATIENCE_SECONDS, True), (1.0, False)):
        world = standing.copied()
        for pod in world.kubernetes.pods.values():
            world.kubernetes.protect(pod, True)
            pod.asks_since -= ago
        assert (sin in violations_of(world, engine)) is found
    assert "do-not-disrupt-kept" not in violations_of(world, repairs_the_only_worker)


def test_a_repair_costs_nothing_of_the_budget_and_one_birth_is_within_the_surge(standing: World) -> None:
    assert "-kept" not in violations_of(standing, repairs_the_only_worker)
    told = violations_of(standing, bears_two_beside_the_only_worker)
    assert "birth of worker-yyyyy" not in told


def test_what_a_run_is_held_to_is_named_once_and_the_cores_names_mean_the_same_here() -> None:
    assert set(SAYS) == set(Truth)
    shared = {invariant.name for invariant in INVARIANTS} & set(Truth)
    assert {invariant.name for invariant in INVARIANTS} - shared == {
        "evictions-while-led", "one-membership-change-at-a-time",
    }  # fmt: skip


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
