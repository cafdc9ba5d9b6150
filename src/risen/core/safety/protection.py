"""Invariant: nothing planned takes an instance while a pod there asks not to be disrupted, nor ends such a pod.

It asks by its annotation, `risen/do-not-disrupt: "true"`, and `onDrainTimeout: force` passes budgets, not this. Repair
and what a person kills do not ask it. What is told to end already is past asking: a drain waits for it in any case.
"""

from __future__ import annotations

from risen.core.blocked import Blocked
from risen.core.judge.facts import Facts
from risen.core.names import InstanceName
from risen.core.picture import PodSeen
from risen.core.reasons import PLANNED
from risen.core.step import DeletePod, EvictPod, OpenEntry, PressPowerButton, Step

MOST_NAMED = 3


def protected_pods(facts: Facts, name: InstanceName) -> tuple[PodSeen, ...]:
    """Pods of an instance that keep it from being taken."""
    return tuple(pod for pod in facts.pods.get(name, ()) if asks_to_stay(pod))


def asks_to_stay(pod: PodSeen) -> bool:
    """Whether a pod asks not to be disrupted, and may: daemons' and static ones are not drained."""
    return pod.protected and not (pod.finished or pod.terminating or pod.daemon or pod.mirror)


def blocks_disruption(facts: Facts, step: Step) -> Blocked | None:
    """Whether a step takes an instance by plan, or ends a pod, that is asked to be left alone."""
    match step:
        case OpenEntry(subject=name, reason=reason) if reason in PLANNED:
            asking = protected_pods(facts, name)
        case PressPowerButton(instance=name) if _is_taken_by_plan(facts, name):
            asking = protected_pods(facts, name)
        case EvictPod(node=name, uid=uid) | DeletePod(node=name, uid=uid):
            asking = tuple(pod for pod in protected_pods(facts, name) if pod.uid == uid)
        case _:
            return None
    if facts.kubernetes is None:
        return Blocked("cannot-see", name, "whether a pod there asks not to be disrupted is not seen")
    return asked_by(name, asking, "nothing planned ends it")


def asked_by(name: InstanceName, pods: tuple[PodSeen, ...], then: str) -> Blocked | None:
    """The refusal that names these pods, and what comes of it; None where there are none."""
    if not pods:
        return None
    more = len(pods) - MOST_NAMED
    named = ", ".join(f"{pod.namespace}/{pod.name}" for pod in pods[:MOST_NAMED])
    named += f" and {more} more" if more > 0 else ""
    said = f"pod {named} is annotated so" if len(pods) == 1 else f"pods {named} are annotated so"
    return Blocked("do-not-disrupt", name, f"{said}; {then}")


def _is_taken_by_plan(facts: Facts, name: InstanceName) -> bool:
    entry = facts.entries.get(name)
    return entry is not None and entry.reason in PLANNED
