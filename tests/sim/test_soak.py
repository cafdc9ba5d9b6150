"""Hours of seeds: `make soak` or `pytest -m soak tests/sim`; `RISEN_SOAK_SEEDS` sets how many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from risen.sim.scenario import Scenario
from risen.sim.soak import Record, soak

SEEDS = int(os.environ.get("RISEN_SOAK_SEEDS", "1000"))


@pytest.mark.soak
@pytest.mark.parametrize(
    "scenario", ["3+2", "3+2:kill-leader", "3+2:kill-worker", "3+2:power-cut", "3+2:storm", "1+2:storm"]
)
def test_no_seed_with_crashes_violates_anything(scenario: str, tmp_path: Path) -> None:
    record = Record(scenario, "random", "")
    soak(record, Scenario.parse(scenario), SEEDS, False, tmp_path / "soak.json")
    assert record.failures == []
    assert record.seeds == SEEDS


@pytest.mark.soak
def test_every_write_of_the_whole_cluster_may_be_struck(tmp_path: Path) -> None:
    record = Record("3+2", "enumerate", "")
    soak(record, Scenario(3, 2), 1, True, tmp_path / "soak.json")
    assert record.failures == []
    assert record.schedules > 300
