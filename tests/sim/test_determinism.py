"""The same seed is the same run: in this and in any other interpreter, whatever its hash seed."""

from __future__ import annotations

import os
import subprocess
import sys

from risen.sim.faults import FaultKind, Faults
from risen.sim.harness import brought_up, simulate
from risen.sim.scenario import Scenario
from risen.sim.soak import random_faults

PROGRAM = """
from risen.sim.harness import simulate
from risen.sim.scenario import Scenario
from risen.sim.soak import random_faults
print(simulate(Scenario(3, 1), 5, random_faults(5)).hash)
"""


def test_two_interpreters_with_different_hash_seeds_trace_the_same_run() -> None:
    hashes = set()
    for hash_seed in ("1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
        )
        hashes.add(ran.stdout.strip())
    assert hashes == {simulate(Scenario(3, 1), 5, random_faults(5)).hash}


def test_another_seed_is_another_run() -> None:
    assert simulate(Scenario(1, 1), 5).hash != simulate(Scenario(1, 1), 6).hash


def test_a_standing_cluster_may_be_used_again_and_again() -> None:
    scenario = Scenario.parse("1+1:ask-kill-worker")
    standing = brought_up(scenario, 3)
    faults = Faults({2: FaultKind.CRASH_AFTER})
    first = simulate(scenario, 3, faults, standing)
    assert first.crashes == 1
    assert simulate(scenario, 3, faults, standing).hash == first.hash == simulate(scenario, 3, faults).hash
