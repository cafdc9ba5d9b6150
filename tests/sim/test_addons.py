"""Add-ons in a change: DNS runs from the images of its own revision, and is never gone while these change."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest

from risen.core.names import InstanceName
from risen.sim.befalling import befall
from risen.sim.faults import NO_FAULTS
from risen.sim.harness import Run, brought_up
from risen.sim.scenario import DNS_ADDON, Scenario
from risen.sim.trace import Trace
from risen.sim.workloads import healthy
from risen.sim.world import World

pytestmark = pytest.mark.sim
SEED, LOOK_SECONDS = 1, 0.25


@dataclass
class Told:
    """What was done in which order, and how many DNS pods served at the least."""

    world: World
    steps: list[str] = field(default_factory=list)
    fewest: int = 2

    def look(self) -> None:
        """Count the pods that serve, again and again."""
        dns = next(app for app in self.world.kubernetes.deployments if app.name == "coredns")
        self.fewest = min(self.fewest, healthy(self.world.kubernetes, dns))
        self.world.timeline.after(LOOK_SECONDS, self.look)

    def release_of(self, name: str) -> str:
        """What an instance was born of."""
        return self.world.history().lives[InstanceName(name)].birth.release


def run(name: str) -> Told:
    """A run without faults: launches and ends by release, and each time that DNS was applied."""
    scenario = Scenario.parse(name)
    told = Told(brought_up(scenario, SEED).copied())
    happened = Run(scenario, told.world, NO_FAULTS, Trace(SEED), Random(SEED + 2))
    befall(happened.people, scenario.happening)
    told.world.timeline.after(LOOK_SECONDS, told.look)
    trace = happened.go()
    assert trace.violations == ()
    for line in trace.lines:
        operation, _, subject = line.operation.partition(" ")
        if operation == "kubernetes.apply" and subject == DNS_ADDON:
            told.steps.append("dns")
        elif operation == "provider.launch":
            told.steps.append(f"+ {told.release_of(subject)}")
        elif operation == "provider.destroy":
            told.steps.append(f"- {told.release_of(subject.split('/')[2])}")
    return told


def test_forward_dns_changes_once_the_first_control_plane_instance_has_passed_and_before_any_worker() -> None:
    told = run("3+2:roll-all")
    assert told.steps[:2] == ["+ r-control-plane-2", "dns"]
    assert (told.steps.count("dns"), told.fewest) == (1, 2)


def test_back_dns_changes_once_the_workers_are_back_and_before_the_control_plane() -> None:
    told = run("3+2:abort")
    back = told.steps[told.steps.index("- r-worker-2") :]
    assert back[:3] == ["- r-worker-2", "dns", "+ r-control-plane-1"]
    assert told.fewest >= 1


def test_what_never_passed_changes_no_add_on() -> None:
    assert "dns" not in run("3+2:roll-all/never-ready").steps


@pytest.mark.parametrize(
    "name", ["3+2:roll-workers/dies-under-load", "3+0:abort", "1+1:undo", "1+0:roll-all"]
)
def test_dns_is_never_gone_while_its_images_change(name: str) -> None:
    assert run(name).fewest >= 1
