"""Every operating error comes out of the simulator's interfaces, and what a crash leaves is inert."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from desk import Desk, Lenient
from risen.core.names import InstanceName, MemberId, ProviderId
from risen.core.picture import InstanceState
from risen.interfaces import errors
from risen.interfaces.store import IfAbsent
from risen.sim.faces import SimClock, SimEtcd, SimKubernetes, SimLeadership, SimProvider, SimStore
from risen.sim.faults import EVERY_FAULT, Dead, FaultKind, Faults, Incarnation, may_strike
from risen.sim.harness import brought_up
from risen.sim.instances import ADDRESSES
from risen.sim.line import Line
from risen.sim.scenario import Scenario
from risen.sim.world import World


@pytest.fixture(scope="module")
def standing() -> World:
    return brought_up(Scenario(3, 1), 5)


Asked = Callable[[Desk], Coroutine[Any, Any, Any]]


def corrupt(desk: Desk) -> Coroutine[Any, Any, Any]:
    desk.world.store.corrupted.add("cluster")
    return SimStore(desk.line).get("cluster")


def newer(desk: Desk) -> Coroutine[Any, Any, Any]:
    desk.world.store.newer.add("cluster")
    return SimStore(desk.line).get("cluster")


def read_only(desk: Desk) -> Coroutine[Any, Any, Any]:
    desk.world.store.read_only = True
    return SimStore(desk.line).put("x", b"", None)


def full(desk: Desk) -> Coroutine[Any, Any, Any]:
    desk.world.instances.ever = ADDRESSES
    request = next(iter(desk.world.instances.all.values())).request
    desk.world.instances.all.clear()
    return SimProvider(desk.line).launch(request)


def changed_request(desk: Desk) -> Coroutine[Any, Any, Any]:
    request = next(iter(desk.world.instances.all.values())).request
    return SimProvider(desk.line).launch(replace(request, user_data=b"other"))


async def promote_a_voter(desk: Desk) -> None:
    etcd = SimEtcd(desk.line)
    await etcd.observe(tuple(item.address for item in desk.world.instances.all.values()))
    await etcd.promote(MemberId(desk.world.etcd.leader))


async def add_beside_a_learner(desk: Desk) -> None:
    etcd = SimEtcd(desk.line)
    await etcd.observe(tuple(item.address for item in desk.world.instances.all.values()))
    await etcd.add_learner("https://10.0.0.1:2380")
    await etcd.add_learner("https://10.0.0.2:2380")


def unknown_console(desk: Desk) -> Coroutine[Any, Any, Any]:
    return SimProvider(desk.line).console(InstanceName("nobody"))


def without_an_apiserver(desk: Desk) -> Coroutine[Any, Any, Any]:
    desk.world.instances.power_cut()
    return SimKubernetes(desk.line).observe()


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (corrupt, errors.Corrupt),
        (newer, errors.TooNew),
        (read_only, errors.Denied),
        (full, errors.NoCapacity),
        (changed_request, errors.Invalid),
        (promote_a_voter, errors.Conflict),
        (add_beside_a_learner, errors.Later),
        (unknown_console, errors.NotFound),
        (without_an_apiserver, errors.Unreachable),
    ],
)
def test_each_operating_error_can_be_answered(
    standing: World, asked: Asked, error: type[errors.InterfaceError]
) -> None:
    desk = Desk(standing.copied())
    with pytest.raises(error):
        desk.ask(asked(desk))


def test_a_write_that_timed_out_may_have_been_carried_out(standing: World) -> None:
    for kind, there in ((FaultKind.UNKNOWN_DONE, True), (FaultKind.UNKNOWN_NOT_DONE, False)):
        desk = Desk(standing.copied(), Faults({1: kind}))
        began = desk.world.timeline.now
        with pytest.raises(errors.OutcomeUnknown):
            desk.ask(SimStore(desk.line).put("x/y", b"1", IfAbsent()))
        assert (desk.world.store.get("x/y") is not None) is there
        assert desk.world.timeline.now - began >= 10.0


def test_a_late_write_is_carried_out_after_its_sender_gave_up(standing: World) -> None:
    desk = Desk(standing.copied(), Faults({1: FaultKind.UNKNOWN_LATE}))
    worker = next(item for item in desk.world.instances.all.values() if not item.holds_etcd and item.cluster)
    with pytest.raises(errors.OutcomeUnknown):
        desk.ask(SimProvider(desk.line).destroy(worker.provider_id))
    assert worker.name in desk.world.instances.all
    desk.ask(SimClock(desk.line).sleep(10.0))
    assert worker.name not in desk.world.instances.all


def test_a_crash_before_a_write_leaves_it_undone_and_every_interface_inert(standing: World) -> None:
    desk = Desk(standing.copied(), Faults({1: FaultKind.CRASH_BEFORE}))
    store = SimStore(desk.line)
    with pytest.raises(Dead):
        desk.ask(store.put("x/y", b"1", IfAbsent()))
    assert desk.deaths == [1]
    assert desk.world.store.get("x/y") is None
    for request in (
        store.get("cluster"),
        store.append("events", b""),
        SimProvider(desk.line).list(),
        SimClock(desk.line).sleep(1.0),
        SimLeadership(desk.line).try_lead("again"),
    ):
        with pytest.raises(Dead):
            desk.ask(request)
    assert desk.trace.crashes == 1


def test_a_crash_after_a_write_leaves_it_done(standing: World) -> None:
    desk = Desk(standing.copied(), Faults({1: FaultKind.CRASH_AFTER}))
    with pytest.raises(Dead):
        desk.ask(SimStore(desk.line).put("x/y", b"1", IfAbsent()))
    assert desk.world.store.get("x/y") is not None


def test_what_was_on_its_way_at_a_crash_is_carried_out_within_ten_seconds(standing: World) -> None:
    desk = Desk(standing.copied(), Faults({1: FaultKind.CRASH_LATE}))
    node = next(node for node in desk.world.kubernetes.nodes.values() if not node.foreign)
    with pytest.raises(Dead):
        desk.ask(SimKubernetes(desk.line).cordon(node.name, node.uid, on=True))
    assert desk.deaths == [1] and not node.unschedulable
    desk.ask(asyncio.sleep(10.0))
    assert node.unschedulable


def test_a_crash_within_a_launch_leaves_half_of_it_and_half_of_every_other(standing: World) -> None:
    desk = Desk(standing.copied(), Faults({2: FaultKind.CRASH_WITHIN}))
    first = next(item.request for item in desk.world.instances.all.values() if not item.holds_etcd)
    requests = [replace(first, instance=InstanceName(f"w-{letter}")) for letter in "abc"]

    async def launches() -> list[object]:
        asked = [SimProvider(desk.line).launch(request) for request in requests]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = desk.ask(launches())
    desk.ask(asyncio.sleep(60.0))
    seen = {desk.world.instances.get(request.instance).state for request in requests}
    assert {type(answer) for answer in answers} <= {Dead, str}
    assert desk.world.instances.get(InstanceName("w-b")).state is InstanceState.UNFINISHED
    assert seen <= {InstanceState.UNFINISHED, InstanceState.GONE, InstanceState.RUNNING}
    assert (desk.deaths, desk.trace.crashes) == ([1], 1)


def test_a_crash_within_strikes_only_what_is_done_in_more_than_one_act() -> None:
    struck = {"provider.launch", "provider.destroy"}
    operations = {*struck, "store.append", "etcd.add_learner", "provider.power_on"}
    assert {one for one in operations if may_strike(FaultKind.CRASH_WITHIN, one)} == struck
    assert all(may_strike(kind, one) for kind in EVERY_FAULT[:2] for one in operations)


def test_destroying_what_is_gone_counts_as_done(standing: World) -> None:
    desk = Desk(standing.copied())
    assert desk.ask(SimProvider(desk.line).destroy(ProviderId("sim://nobody/1"))) is None


def test_only_one_incarnation_leads(standing: World) -> None:
    desk = Desk(standing.copied())
    lead = desk.ask(SimLeadership(desk.line).try_lead("first"))
    other = Line(desk.world, desk.loop, Incarnation(2), desk.faults, desk.trace, Lenient(), lambda: None)
    assert desk.ask(SimLeadership(other).try_lead("second")) is None
    desk.ask(lead.release())
    assert desk.ask(SimLeadership(other).try_lead("second")) is not None
