"""What a soak simulates: every scenario by name, each of which has to end as it ends without faults."""

from __future__ import annotations

from collections.abc import Iterator

from risen.sim.images import Behaviour
from risen.sim.rolling import ONLY_CONTROL_PLANES_TELL, ONLY_WORKERS_TELL
from risen.sim.scenario import Happening, Scenario

BRING_UPS = (Scenario(1, 1), Scenario(3, 0), Scenario(3, 2))
OTHER_SIZES = (
    "1+2:roll-all",
    "1+1:replace-leader",
    "3+4:surge-0",
    "3+6:surge-2",
    "1+2:storm",
    "1+2:storm-rolling",
)
"""A solo member beside which a learner soaks, and more workers at once."""


def catalogue() -> tuple[Scenario, ...]:
    """Every happening to three and two, each way in which a release may be bad, and other sizes."""
    happenings = (Scenario.parse(f"3+2:{what.value}") for what in Happening if what is not Happening.NOTHING)
    return (*BRING_UPS, *happenings, *_bad_releases(), *map(Scenario.parse, OTHER_SIZES))


def _bad_releases() -> Iterator[Scenario]:
    """As workers and as control plane, and where both are rolled; each behaviour where it shows."""
    bad = [behaviour for behaviour in Behaviour if behaviour is not Behaviour.GOOD]
    for behaviour in bad:
        if behaviour not in ONLY_CONTROL_PLANES_TELL:
            yield Scenario(3, 2, Happening.ROLL_WORKERS, behaviour)
        if behaviour not in ONLY_WORKERS_TELL:
            yield Scenario(3, 2, Happening.ROLL_CONTROL_PLANE, behaviour)
            yield Scenario(3, 2, Happening.ROLL_ALL, behaviour)
