"""Every single fault of a run: write by write, kind by kind. Each must end as the run without faults ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from risen.sim.branching import branches
from risen.sim.faults import EVERY_FAULT, FaultKind
from risen.sim.harness import brought_up, simulate
from risen.sim.scenario import STORMS, Happening, Scenario
from risen.sim.trace import Trace
from risen.sim.truths import Truth
from risen.sim.world import World

CALM = "calm"
"""What a replay is told where nothing strikes."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run: the number of the write that is struck (0 for none), and what strikes it."""

    write: int
    kind: FaultKind | None
    trace: Trace
    wrong: tuple[str, ...]
    """Violations, and how the end differs from the calm run's."""

    def replay(self, scenario: str, seed: int) -> str:
        """The command that shows this run again."""
        struck = CALM if self.kind is None else f"{self.write}:{self.kind.value}"
        return f"python -m risen.sim.soak --scenario {scenario} --replay {seed} --faults {struck}"


def standing_for(scenario: Scenario, seed: int) -> World | None:
    """What a scenario that needs a standing cluster starts from."""
    return None if scenario.happening is Happening.NOTHING else brought_up(scenario, seed)


def enumerate_faults(
    scenario: Scenario,
    seed: int,
    kinds: tuple[FaultKind, ...] = EVERY_FAULT,
    first: int = 1,
    every: int = 1,
) -> Iterator[Case]:
    """The calm run, then one run per write (from `first`, in strides of `every`) and kind that may strike it."""
    standing = standing_for(scenario, seed)
    calm, struck = branches(lambda faults: simulate(scenario, seed, faults, standing), kinds, first, every)
    yield Case(0, None, calm, calm.violations)
    for write, kind, trace in struck:
        yield Case(write, kind, trace, judged(calm, trace, scenario.happening))


def judged(calm: Trace, trace: Trace, happening: Happening) -> tuple[str, ...]:
    """What is wrong with a run that was struck.

    Whom a storm strikes is drawn at the moment, of those that are there: it may end more at once than in the calm run,
    and what is more than `maxUnhealthy` rightly waits for a person; amid a rollout it may end a release.
    """
    if trace.violations:
        return trace.violations
    if trace.asked > calm.asked and happening not in STORMS:
        return (f"{Truth.ARRIVES}: a person had to ask for {trace.asked} kills, {calm.asked} without faults",)
    if trace.state != calm.state and happening is not Happening.STORM_ROLLING:
        missing = sorted(set(calm.state) - set(trace.state))
        extra = sorted(set(trace.state) - set(calm.state))
        return (f"{Truth.ARRIVES}: another end than without faults: lacks {missing}, has {extra}",)
    return ()
