"""Servers and stores that refuse for a while: nothing is ended for it, and the end is the one without refusals."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from random import Random

import pytest

from risen.codec import records
from risen.engine.record import PROVEN_SECONDS
from risen.interfaces.store import Object
from risen.sim.befalling import befall
from risen.sim.faults import NO_FAULTS
from risen.sim.harness import Run, brought_up, fresh_world
from risen.sim.scenario import WORKER, Happening, Scenario, release
from risen.sim.trace import Trace
from risen.sim.world import World

SEED = 7
REFUSED_SECONDS = 20.0


def harmed(trace: Trace) -> list[str]:
    """What was ended or taken out of a quorum."""
    return [
        str(line) for line in trace.lines if line.operation.startswith(("provider.destroy", "etcd.remove"))
    ]


def for_a_while(world: World, begin: Callable[[], None], end: Callable[[], None], at: float = 0.5) -> None:
    """Something that begins soon and ends by itself."""
    world.timeline.after(at, begin)
    world.timeline.after(at + REFUSED_SECONDS, end)


def run_of(scenario: Scenario, refuse: Callable[[World], None]) -> Trace:
    world = (
        fresh_world(scenario, SEED) if scenario.happening is Happening.NOTHING else brought_up(scenario, SEED)
    )
    run = Run(scenario, world, NO_FAULTS, Trace(SEED), Random(SEED))
    befall(run.people, scenario.happening)
    refuse(world)
    return run.go()


def full(world: World) -> None:
    for_a_while(
        world, lambda: setattr(world.store, "full", True), lambda: setattr(world.store, "full", False)
    )


def locked(world: World) -> None:
    for_a_while(
        world, lambda: setattr(world.store, "locked", True), lambda: setattr(world.store, "locked", False)
    )


def denied(world: World) -> None:
    for_a_while(world, lambda: world.denied.update({"etcd", "kubernetes"}), world.denied.clear)


def strangers(world: World) -> None:
    address = next(item.address for item in world.instances.all.values() if item.cluster)
    for_a_while(world, lambda: world.etcd.strangers.add(address), world.etcd.strangers.clear)


def without_images(world: World) -> None:
    images = {item.request.image for item in world.instances.all.values() if item.cluster}
    assert images
    for_a_while(world, lambda: world.instances.images_lost.update(images), world.instances.images_lost.clear)


REFUSALS = (full, locked, denied, strangers, without_images)


@pytest.mark.parametrize("refuse", REFUSALS, ids=lambda refuse: refuse.__name__)
@pytest.mark.parametrize("happening", [Happening.KILL_WORKER, Happening.KILL_LEADER])
def test_a_replacement_outlasts_refusals(happening: Happening, refuse: Callable[[World], None]) -> None:
    trace = run_of(Scenario(3, 1, happening), refuse)
    assert trace.violations == ()
    assert sum("provider.destroy" in line for line in harmed(trace)) <= 1


@pytest.mark.parametrize("refuse", REFUSALS[:3], ids=lambda refuse: refuse.__name__)
def test_a_cluster_at_rest_loses_nothing_for_refusals(refuse: Callable[[World], None]) -> None:
    scenario = Scenario(3, 1, Happening.ASK_KILL_WORKER)
    world = brought_up(scenario, SEED)
    refuse(world)
    trace = Run(Scenario(3, 1), world, NO_FAULTS, Trace(SEED), Random(SEED)).go()
    assert (trace.violations, harmed(trace)) == ((), [])


@pytest.mark.parametrize(
    ("missing", "refusal"),
    [("rbac.authorization.k8s.io/v1", "does not serve"), ("kube-system", "not there yet")],
)
def test_a_bring_up_waits_for_what_the_api_does_not_serve_yet(missing: str, refusal: str) -> None:
    def unserved(world: World) -> None:
        world.kubernetes.unserved.add(missing)
        world.timeline.after(30.0, world.kubernetes.unserved.clear)

    trace = run_of(Scenario(1, 1), unserved)
    assert trace.violations == ()
    assert any(refusal in line.answer for line in trace.lines)


def test_what_a_budget_keeps_refusing_is_asked_for_less_and_less_often() -> None:
    """A budget that never allows must not cost an API server two requests a second and pod for as long as it takes."""
    trace = run_of(Scenario.parse("3+2:budget-skipped"), lambda world: None)
    first = next(
        line.operation for line in trace.lines if line.operation.startswith("kubernetes.evict strict-")
    )
    asked = [line.at for line in trace.lines if line.operation == first]
    pauses = [after - before for before, after in itertools.pairwise(asked)]
    assert len(asked) > 30
    assert max(pauses[:10]) < 1.0
    assert min(pauses[-5:]) > 2.0


# --- a store that takes no writes -------------------------------------------------------------------------
SHUT_SECONDS = 200.0


def shut_from(run: Run, moment: Callable[[], bool], attribute: str) -> list[float]:
    """The store is full or away for a while from some moment on; gives when that began."""
    store, line, began = run.world.store, run.world.timeline, []

    def look() -> None:
        if not moment():
            line.after(0.2, look)
            return
        began.append(line.now)
        setattr(store, attribute, True)
        line.after(SHUT_SECONDS, lambda: setattr(store, attribute, False))

    look()
    return began


def rolling(name: str) -> Run:
    scenario = Scenario.parse(name)
    run = Run(scenario, brought_up(scenario, SEED), NO_FAULTS, Trace(SEED), Random(SEED))
    befall(run.people, scenario.happening)
    return run


@pytest.mark.parametrize("attribute", ["full", "away"])
def test_a_drain_under_way_stands_still_while_the_store_takes_no_writes(attribute: str) -> None:
    """Its budget gives way meanwhile: nothing but the store holds the evictions then."""
    run = rolling("3+2:budget-blocks")
    lines = run.trace.lines
    began = shut_from(run, lambda: sum("evict strict" in one.operation for one in lines) > 5, attribute)
    trace = run.go()
    assert trace.violations == ()
    noticed = began[0] + PROVEN_SECONDS + 1.0
    sent = [str(one) for one in lines if noticed < one.at < began[0] + SHUT_SECONDS]
    assert [one for one in sent if "store." not in one] == []
    assert any("evict strict" in one.operation for one in lines if one.at > began[0] + SHUT_SECONDS)


@pytest.mark.parametrize("attribute", ["full", "away"])
def test_a_good_release_is_not_revoked_because_nobody_could_join_while_the_store_took_no_writes(
    attribute: str,
) -> None:
    run = rolling("3+2:roll-workers")
    new = release(WORKER, 2).image

    def boots() -> bool:
        lives = (life for life in run.world.history().lives.values() if life.birth.image == new)
        return any(life.launched_at_unix is not None and life.joined_at_unix is None for life in lives)

    began = shut_from(run, boots, attribute)
    assert run.go().violations == ()
    assert began


# --- a store that a newer Risen wrote in --------------------------------------------------------------------
def test_who_does_not_understand_the_store_does_not_begin_to_lead() -> None:
    def newer(world: World) -> None:
        world.store.newer.add(records.CLUSTER)

    scenario = Scenario(1, 1, Happening.KILL_WORKER, give_up_seconds=30.0)
    trace = run_of(scenario, newer)
    assert trace.writes == 0
    assert any("exit TooNew" in said for said in trace.said)


def test_who_leads_when_a_newer_risen_writes_sends_nothing_more() -> None:
    """A revision in a form not known here; then a worker dies, and whoever understands must see to it."""

    def written_by_a_newer(world: World) -> None:
        key = records.revision_key(2)
        world.store.objects[key] = Object(b"?", "99")
        world.store.newer.add(key)

    scenario = Scenario(3, 1, Happening.KILL_WORKER, give_up_seconds=60.0)
    trace = run_of(scenario, written_by_a_newer)
    assert harmed(trace) == []
    assert not any(line.operation.startswith("provider") for line in trace.lines)
