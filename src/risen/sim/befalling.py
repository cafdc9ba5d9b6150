"""What befalls the standing cluster of a run, before the controller starts."""

from __future__ import annotations

from types import MappingProxyType

from risen.codec import records
from risen.core.history import KillIntent
from risen.sim.obstacles import HINDERED
from risen.sim.people import People
from risen.sim.rolling import ROLLED, victim, voters
from risen.sim.scenario import Happening

ROLLOUTS = MappingProxyType({**ROLLED, **HINDERED})


def befall(people: People, what: Happening) -> None:
    """Let it happen."""
    if what in ROLLOUTS:
        ROLLOUTS[what](people)
    else:
        _to_instances(people, what)


def _to_instances(people: People, what: Happening) -> None:
    world, workers = people.world, people.scenario.workers
    match what:
        case Happening.NOTHING:
            return
        case Happening.KILL_WORKER | Happening.KILL_FOLLOWER | Happening.KILL_LEADER:
            world.instances.kill(victim(world, what))
        case Happening.LOSE_WORKER | Happening.LOSE_FOLLOWER | Happening.LOSE_LEADER:
            world.instances.lose(victim(world, what))
        case Happening.POWER_CUT:
            world.instances.power_cut()
        case Happening.STORM:
            world.instances.storm()
        case Happening.ASK_KILL_WORKER | Happening.ASK_KILL_LEADER:
            intent = KillIntent("kill-1", victim(world, what), "somebody asked")
            world.store.put(records.intent_key(intent.id), records.encode(intent), None)
        case Happening.SCALE_UP:
            people.apply(workers=workers + 1)
        case Happening.SCALE_DOWN:
            people.apply(workers=workers - 1)
        case Happening.MORE_VOTERS:
            people.apply(change=voters(2))
        case Happening.FEWER_VOTERS:
            people.apply(change=voters(-2))
        case Happening.NEVER_JOINS:
            world.instances.never_joins = world.instances.ever + 1
            people.apply(workers=workers + 1)
        case _:
            raise AssertionError(f"nothing befalls by {what}")
