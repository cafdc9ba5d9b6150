"""Several instances die within a minute, whoever is there at the moment: what longer storms have brought to light."""

from __future__ import annotations

import pytest

from risen.sim.ending import Ending, lacking
from risen.sim.enumeration import judged, standing_for
from risen.sim.harness import brought_up, simulate
from risen.sim.scenario import Happening, Scenario
from risen.sim.soak import random_faults
from risen.sim.trace import Trace


def test_nothing_has_arrived_while_bad_luck_is_still_to_come() -> None:
    scenario = Scenario(3, 2)
    world, ending = brought_up(scenario, 1), Ending.of(scenario.revision())
    assert lacking(world, ending) == ""
    world.instances.storm()
    assert lacking(world, ending) == "the storm is not over"
    world.timeline.now = world.instances.storm_until + 1.0
    assert lacking(world, ending) == ""


@pytest.mark.parametrize(
    ("name", "seed"), [("1+2:storm", 35), ("3+2:storm", 25), ("3+2:storm", 872), ("3+2:storm", 996)]
)
def test_a_cluster_arrives_though(name: str, seed: int) -> None:
    """35: one joins and is lost with its disk before any controller has looked, and its Node stayed for ever. 872: one is lost whose
    launch no controller was told of, and is launched again. 996: a learner dies, is powered on again with
    all others, and was neither promoted nor ended."""
    scenario = Scenario.parse(name)
    assert simulate(scenario, seed, random_faults(seed), standing_for(scenario, seed)).violations == ()


def test_only_in_a_storm_may_a_fault_leave_more_to_a_person() -> None:
    calm, struck = Trace(1), Trace(1, asked=1)
    assert judged(calm, struck, Happening.STORM) == ()
    (wrong,) = judged(calm, struck, Happening.KILL_WORKER)
    assert "had to ask for 1 kills" in wrong
