"""The same seed is the same run: in this and in any other interpreter, whatever its hash seed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from risen.sim.branching import branches
from risen.sim.enumeration import enumerate_faults, standing_for
from risen.sim.faults import FaultKind, Faults
from risen.sim.harness import brought_up, simulate
from risen.sim.scenario import Scenario
from risen.sim.soak import random_faults
from risen.sim.trace import Trace

PROGRAM = """
import sys
from risen.sim.harness import simulate
from risen.sim.scenario import Scenario
from risen.sim.soak import random_faults
print(simulate(Scenario.parse(sys.argv[1]), 5, random_faults(5)).hash)
"""


@pytest.mark.parametrize("name", ["3+1", pytest.param("3+2:roll-all", marks=pytest.mark.sim)])
def test_two_interpreters_with_different_hash_seeds_trace_the_same_run(name: str) -> None:
    hashes = set()
    for hash_seed in ("1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, name], env=environment, capture_output=True, text=True, check=True
        )
        hashes.add(ran.stdout.strip())
    assert hashes == {simulate(Scenario.parse(name), 5, random_faults(5)).hash}


def test_another_seed_is_another_run() -> None:
    assert simulate(Scenario(1, 1), 5).hash != simulate(Scenario(1, 1), 6).hash


def test_a_standing_cluster_may_be_used_again_and_again() -> None:
    scenario = Scenario.parse("1+1:ask-kill-worker")
    standing = brought_up(scenario, 3)
    faults = Faults({2: FaultKind.CRASH_AFTER})
    first = simulate(scenario, 3, faults, standing)
    assert first.crashes == 1
    assert simulate(scenario, 3, faults, standing).hash == first.hash == simulate(scenario, 3, faults).hash


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("1+1", 19),
        pytest.param("3+1:kill-leader", 19, marks=pytest.mark.sim),
        pytest.param("3+2:roll-workers", 47, marks=pytest.mark.sim),
    ],
)
def test_a_fault_struck_in_a_fork_of_a_run_ends_as_its_replay_does(name: str, every: int) -> None:
    scenario = Scenario.parse(name)
    standing = standing_for(scenario, 3)
    cases = [case for case in enumerate_faults(scenario, 3, first=4, every=every) if case.kind is not None]
    assert len(cases) > 5
    for case in cases:
        assert case.kind is not None
        replayed = simulate(scenario, 3, Faults({case.write: case.kind}), standing)
        assert replace(replayed, lines=[], said=[]) == case.trace


def test_a_run_that_breaks_in_a_fork_is_told_and_breaks_the_whole() -> None:
    def broken(faults: Faults) -> Trace:
        async def run() -> Trace:
            if faults.strike(1, "store.put") is not None:
                raise KeyError("only with the fault")
            return Trace(1)

        return asyncio.run(run())

    with pytest.raises(RuntimeError, match="crash-after at write 1 ended with status"):
        branches(broken, (FaultKind.CRASH_AFTER,), 1, 1)
