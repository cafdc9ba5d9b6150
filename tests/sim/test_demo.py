"""`risen demo` tells a story that the real engine made, the same one for the same seed."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from risen.cli.demo import demo
from risen.sim.scenario import Scenario
from risen.sim.story import tell


def test_the_demo_ends_with_a_standing_cluster_after_every_chapter() -> None:
    lines = list(tell(Scenario(3, 1), 1))
    chapters = [line for line in lines if line.startswith("━━")]
    stands = [line for line in lines if "stands   4/4 nodes Ready · etcd 3/3 voting" in line]
    assert len(chapters) == len(stands) == 4
    assert sum("the controller is killed" in line for line in lines) == 3


def test_the_demo_needs_no_worker_and_names_the_next_command() -> None:
    ran = CliRunner().invoke(demo, ["--control-plane", "3", "--workers", "0"])
    assert ran.exit_code == 0
    assert ran.output.splitlines()[-1].startswith("next")


def test_the_same_seed_tells_the_same_story() -> None:
    assert list(tell(Scenario(3, 0), 4)) == list(tell(Scenario(3, 0), 4))


@pytest.mark.parametrize("count", ["0", "9"])
def test_a_control_plane_of_an_impossible_size_is_a_usage_error(count: str) -> None:
    assert CliRunner().invoke(demo, ["--control-plane", count]).exit_code == 2
