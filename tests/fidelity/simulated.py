"""What the simulator can answer: what runs gave, every request struck by every fault, and the rare ones."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter

from desk import Desk
from fidelity.asked import PLAIN, Asked
from fidelity.rare import RARE
from risen.interfaces.answers import Answer
from risen.interfaces.errors import InterfaceError
from risen.sim.enumeration import enumerate_faults, standing_for
from risen.sim.faults import FaultKind, Faults
from risen.sim.harness import brought_up, simulate
from risen.sim.scenario import Happening, Scenario
from risen.sim.soak import random_faults
from risen.sim.world import World

RUNS = (
    *((happening, seed) for seed in (1, 2) for happening in (Happening.NOTHING, Happening.KILL_LEADER)),
    (Happening.KILL_WORKER, 1),
    (Happening.KILL_FOLLOWER, 1),
    (Happening.POWER_CUT, 1),
    (Happening.STORM, 1),
    (Happening.ASK_KILL_WORKER, 1),
    (Happening.SCALE_DOWN, 1),
    (Happening.ROLL_WORKERS, 1),
    (Happening.ROLL_CONTROL_PLANE, 1),
    (Happening.BUDGET_SKIPPED, 1),
    (Happening.PROVIDER_LYING, 1),
)
"""Few, because every run that asks real parts ends with these; the other happenings add next to nothing."""
STRUCK = (
    Faults(),
    Faults({1: FaultKind.UNREACHABLE}),
    Faults({1: FaultKind.UNKNOWN_DONE}),
    Faults({1: FaultKind.CONFLICT}),
    Faults({1: FaultKind.LATER}),
    Faults(read_error_share=1.0),
)
REFUSING = ("etcd", "kubernetes")
"""Interfaces whose server may not accept our certificate."""


def standing() -> World:
    """A cluster of three and one, anew each time."""
    return _risen().copied()


@functools.cache
def _risen() -> World:
    return brought_up(Scenario(3, 1), 5)


def answers_to(asked: Asked, faults: Faults, denied: tuple[str, ...] = ()) -> frozenset[Answer]:
    """Every kind of answer that a provocation meets at a standing cluster."""
    desk = Desk(standing(), faults)
    desk.world.denied.update(denied)
    with contextlib.suppress(InterfaceError):  # it is noted by its kind
        desk.ask(asked(desk))
    return frozenset(desk.trace.answers)


def of_runs() -> frozenset[Answer]:
    """Of the happenings above with random crashes and errors, and of a small bring-up with each write struck."""
    met: Counter[Answer] = Counter()
    for happening, seed in RUNS:
        scenario = Scenario(3, 2, happening)
        met += simulate(scenario, seed, random_faults(seed + 3), standing_for(scenario, seed)).answers
    for case in enumerate_faults(Scenario(1, 1), 1, (FaultKind.UNKNOWN_DONE, FaultKind.UNREACHABLE), 1, 4):
        met += case.trace.answers
    return frozenset(met)


def of_requests() -> frozenset[Answer]:
    """Of one plain request of each operation, under each fault, and by a server that does not accept us."""
    met = {answer for asked in PLAIN.values() for faults in STRUCK for answer in answers_to(asked, faults)}
    refused = (asked for operation, asked in PLAIN.items() if operation.startswith(REFUSING))
    return frozenset(met | {answer for asked in refused for answer in answers_to(asked, Faults(), REFUSING)})


def of_rare() -> frozenset[Answer]:
    """Of what provokes the rare ones."""
    return frozenset(answer for asked in set(RARE.values()) for answer in answers_to(asked, Faults()))


@functools.cache
def answerable() -> frozenset[Answer]:
    """All of it; some seconds of work, once per process."""
    return of_runs() | of_requests() | of_rare()
