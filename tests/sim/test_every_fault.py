"""Every write of a bring-up and of a replacement of each role, struck by every fault: the same end each time.

`make check` runs a slice; `make test` runs all of it (marker `sim`). Seeds are fixed: a landing never fails on luck.
"""

from __future__ import annotations

import pytest

from risen.sim.enumeration import Case, enumerate_faults
from risen.sim.faults import CRASHES, FaultKind
from risen.sim.harness import simulate
from risen.sim.scenario import Happening, Scenario

SEED = 1
KINDS = (*CRASHES, FaultKind.UNKNOWN_DONE, FaultKind.UNKNOWN_NOT_DONE)
SCENARIOS = ("1+1", "3+0", "3+1:kill-worker", "3+1:kill-follower", "3+1:kill-leader")
ROLES = ("worker", "follower", "leader")


def told(cases: list[Case], scenario: str) -> str:
    """What went wrong, each with the command that shows it again."""
    return "\n".join(f"{case.replay(scenario, SEED)}\n  {case.wrong[0]}" for case in cases if case.wrong)


@pytest.mark.sim
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_write_may_be_struck_by_every_fault_and_the_end_is_the_same(scenario: str) -> None:
    cases = list(enumerate_faults(Scenario.parse(scenario), SEED, KINDS))
    assert told(cases, scenario) == ""
    assert len(cases) > 40
    assert sum(case.trace.crashes for case in cases) == sum(case.kind in CRASHES for case in cases)
    assert {case.kind for case in cases} == {None, *KINDS}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_slice_of_the_writes_may_be_struck(scenario: str) -> None:
    first, every = (1, 6) if scenario == "1+1" else (3, 17)
    kinds = (FaultKind.CRASH_AFTER, FaultKind.UNKNOWN_NOT_DONE)
    cases = list(enumerate_faults(Scenario.parse(scenario), SEED, kinds, first, every))
    assert told(cases, scenario) == ""
    assert cases[0].trace.settled


@pytest.mark.parametrize("scenario", (*SCENARIOS, "3+1:lose-leader", "3+1:ask-kill-leader", "1+2:scale-down"))
def test_the_controller_may_die_in_the_middle_of_every_launch_and_every_end(scenario: str) -> None:
    cases = list(enumerate_faults(Scenario.parse(scenario), SEED, (FaultKind.CRASH_WITHIN,)))
    assert told(cases, scenario) == ""
    assert [case.trace.crashes for case in cases] == [0] + [1] * (len(cases) - 1)
    assert len(cases) > 1


@pytest.mark.sim
def test_what_a_dead_controller_sent_may_arrive_while_the_next_one_carries_out_an_abort() -> None:
    scenario = "3+2:abort-draining"
    cases = list(enumerate_faults(Scenario.parse(scenario), SEED, (FaultKind.CRASH_LATE,)))
    assert told(cases, scenario) == ""
    assert [case.trace.crashes for case in cases] == [0] + [1] * (len(cases) - 1)
    assert len(cases) > 20


@pytest.mark.parametrize("role", ROLES)
def test_what_lost_its_disk_is_replaced_by_another(role: str) -> None:
    trace = simulate(Scenario(3, 1, Happening(f"lose-{role}")), SEED)
    assert trace.violations == ()
    launches = [line for line in trace.lines if line.operation.startswith("provider.launch")]
    assert len(launches) == 1


def test_a_power_cut_of_everything_ends_in_the_same_cluster_without_a_launch() -> None:
    trace = simulate(Scenario(3, 2, Happening.POWER_CUT), SEED)
    assert trace.violations == ()
    harm = [str(line) for line in trace.lines if "launch" in line.operation or "destroy" in line.operation]
    assert harm == []


@pytest.mark.parametrize("happening", [Happening.SCALE_UP, Happening.SCALE_DOWN])
def test_workers_follow_the_number_wanted(happening: Happening) -> None:
    trace = simulate(Scenario(1, 2, happening), SEED)
    assert trace.violations == ()


@pytest.mark.sim
@pytest.mark.parametrize("scenario", ["1+1:more-voters", "3+1:fewer-voters", "5+0:fewer-voters"])
def test_voters_follow_the_number_wanted_whatever_strikes(scenario: str) -> None:
    cases = list(enumerate_faults(Scenario.parse(scenario), SEED, KINDS, 2, 7))
    assert told(cases, scenario) == ""
    assert cases[0].trace.settled


@pytest.mark.parametrize("happening", [Happening.ASK_KILL_WORKER, Happening.ASK_KILL_LEADER])
def test_what_a_person_asks_to_be_killed_is_ended_and_replaced(happening: Happening) -> None:
    trace = simulate(Scenario(3, 1, happening), SEED)
    assert trace.violations == ()
    assert sum("destroy" in line.operation for line in trace.lines) == 1
