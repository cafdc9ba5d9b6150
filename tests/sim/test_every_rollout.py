"""Rollouts of every kind, and what may be in their way: each ends as people want it, also when a write is struck.

`make test` strikes a fixed slice of the writes; `make soak` strikes every write by every fault.
"""

from __future__ import annotations

import zlib

import pytest

from risen.sim.befalling import ROLLOUTS
from risen.sim.catalogue import catalogue
from risen.sim.enumeration import enumerate_faults
from risen.sim.faults import EVERY_FAULT
from risen.sim.harness import simulate
from risen.sim.images import Behaviour
from risen.sim.scenario import Happening, Scenario

pytestmark = pytest.mark.sim

SEED, EVERY, KINDS = 1, 113, 3
START = 29
SCENARIOS = {
    scenario.name: scenario
    for scenario in catalogue()
    if scenario.happening in ROLLOUTS
    and not (scenario.happening is Happening.ROLL_ALL and "/" in scenario.name)
}


def slice_of(scenario: Scenario) -> tuple[int, int]:
    """The first write that is struck and the first kind that strikes: by the name, so that they differ."""
    digest = zlib.crc32(scenario.name.encode())
    return 1 + digest % START, digest // START % len(EVERY_FAULT)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_rollout_ends_as_people_want_it_whatever_strikes(name: str) -> None:
    scenario = SCENARIOS[name]
    first, kind = slice_of(scenario)
    kinds = tuple((EVERY_FAULT * 2)[kind : kind + KINDS])
    cases = list(enumerate_faults(scenario, SEED, kinds, first, EVERY))
    told = [f"{case.replay(name, SEED)}\n{case.wrong[0]}" for case in cases if case.wrong]
    assert "\n".join(told) == ""
    assert cases[0].trace.settled


def test_that_the_pods_of_apps_with_one_replica_ran_on_the_release_before_is_remembered() -> None:
    trace = simulate(Scenario(1, 2, Happening.ROLL_WORKERS, Behaviour.PODS_NEVER_READY, replicas=1), SEED)
    assert trace.settled and not trace.violations


def test_scenarios_and_faults_are_many_and_every_fault_is_among_them() -> None:
    assert len(SCENARIOS) >= 40
    struck = {kind for one in SCENARIOS.values() for kind in (EVERY_FAULT * 2)[slice_of(one)[1] :][:KINDS]}
    assert struck == set(EVERY_FAULT)
