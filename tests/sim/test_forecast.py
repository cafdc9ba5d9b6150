"""What a plan foresees, held against what the engine then does in the simulator: how many, in what least time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from risen.codec import records
from risen.core.history import History
from risen.core.judge.facts import look
from risen.core.judge.verdict import judge
from risen.core.picture import Picture
from risen.core.plan import Now, Plan, Supplies
from risen.core.projection import Projection, progress, project
from risen.core.reasons import ROLLING
from risen.core.rules.view import View
from risen.core.spec import Revision
from risen.engine.loop import run
from risen.engine.world import EngineWorld, Observer
from risen.sim.befalling import befall
from risen.sim.faults import NO_FAULTS
from risen.sim.harness import Run, brought_up
from risen.sim.scenario import Scenario
from risen.sim.trace import Trace
from risen.sim.world import World

pytestmark = pytest.mark.sim


@dataclass(slots=True)
class Look:
    """One decision of the engine, as a person who asks at that moment sees it."""

    at: float
    revision: int
    ahead: Projection
    done: int
    wanted: int


@dataclass(slots=True)
class Onlooker(Observer):
    """Foresees at every decision what is still to come, beside what the simulator looks at itself."""

    world: World
    inner: Observer
    looks: list[Look] = field(default_factory=list)
    history: History | None = None

    def cycle(self, picture: Picture, history: History, plan: Plan) -> None:
        self.inner.cycle(picture, history, plan)
        view = self._view(picture, history)
        pools = progress(view)
        done, wanted = sum(pool.done for pool in pools), sum(pool.wanted for pool in pools)
        at = self.world.timeline.now
        self.looks.append(Look(at, view.revision.number, project(view), done, wanted))
        self.history = history

    def _view(self, picture: Picture, history: History) -> View:
        newest = max(key for key in self.world.store.objects if key.startswith(records.REVISIONS))
        revision = records.decode(self.world.store.objects[newest].data, Revision, newest)
        facts = look(picture, history, Now(self.world.timeline.now, self.world.unix()))
        return View(revision, facts, judge(facts), Supplies((), ()))

    def sent(self, step: Any) -> None:
        self.inner.sent(step)

    def broke(self, doing: str, fault: Exception) -> None:
        self.inner.broke(doing, fault)

    def said(self, item: Any) -> None:
        self.inner.said(item)


def watched(name: str, seed: int) -> Onlooker:
    """Run a scenario to its end, looking on. The first look is at the revision that is rolled."""
    scenario = Scenario.parse(name)
    world = brought_up(scenario, seed).copied()
    found: list[Onlooker] = []

    def engine(eyes: EngineWorld, stop: Callable[[], bool]) -> Coroutine[Any, Any, None]:
        found.append(Onlooker(world, eyes.observer))
        return run(replace(eyes, observer=found[0]), stop)

    going = Run(scenario, world, NO_FAULTS, Trace(seed), Random(seed + 2), engine=engine)
    befall(going.people, scenario.happening)
    trace = going.go()
    assert trace.violations == (), f"{name} seed {seed}: {trace.violations[0]}"
    (onlooker,) = found
    onlooker.looks = [one for one in onlooker.looks if one.revision == 2]
    return onlooker


def rolled(history: History | None) -> int:
    assert history is not None
    return sum(entry.reason in ROLLING for entry in history.entries.values())


ROLLS = ("3+5:roll-workers", "3+6:surge-2", "3+4:surge-0", "3+2:roll-all")


@pytest.mark.parametrize("name", ROLLS)
@pytest.mark.parametrize("seed", [1, 2])
def test_as_many_are_replaced_as_were_foreseen_and_no_sooner_than_the_least_time(
    name: str, seed: int
) -> None:
    onlooker = watched(name, seed)
    first = onlooker.looks[0]
    end = next(look for look in onlooker.looks if look.ahead.count == 0)
    assert first.ahead.count == rolled(onlooker.history)
    assert first.ahead.takes.least <= end.at - first.at


@pytest.mark.parametrize("name", ROLLS[:3])
def test_once_drains_are_on_record_the_time_to_go_is_about_right(name: str) -> None:
    looks = watched(name, 3).looks
    end = next(look for look in looks if look.ahead.count == 0)
    told = [look for look in looks if look.ahead.takes.records > 0 and look.ahead.count > 1]
    assert told, "nothing was on record while two were still to go"
    for one in told:
        left = end.at - one.at
        assert 0.5 * left <= one.ahead.takes.mean <= 2.0 * left + 5.0


def test_nothing_is_done_twice_and_nothing_is_left() -> None:
    looks = watched("3+5:roll-workers", 4).looks
    assert all(look.done <= look.wanted for look in looks)
    assert (looks[-1].done, looks[-1].ahead.count) == (looks[-1].wanted, 0)
    counts = [look.ahead.count for look in looks]
    assert counts == sorted(counts, reverse=True)


def test_what_goes_back_is_foreseen_too() -> None:
    looks = watched("3+5:roll-workers/never-ready", 1).looks
    back = [look for look in looks if look.ahead.back is not None]
    assert back[0].ahead.count == 1 and back[-1].ahead.count == 0
