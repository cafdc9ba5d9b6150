"""What is concluded of each instance, with its evidence. It proposes nothing.

Evidence here is the provider's state, the Node's condition and lease, etcd's view of the member, and the
bound within which a launched instance has to join. Not seen is not gone: an unseen section gives Unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from risen.core.history import Life
from risen.core.judge.facts import RUNS, Facts
from risen.core.judge.joining import join_deadline, ready_bound
from risen.core.names import InstanceName, Role, may_hold_etcd
from risen.core.picture import InstanceState, NodeSeen
from risen.core.step import Destroy

LEASE_STALE_SECONDS = 25.0
"""A kubelet renews its lease every 10 s: two renewals missed and the third late."""


class Verdict(StrEnum):
    """What is concluded of an instance."""

    STARTING = "Starting"
    HEALTHY = "Healthy"
    SUSPECT = "Suspect"
    SICK = "Sick"
    DEAD = "Dead"
    STOPPED = "Stopped"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and why. `give_up_at` (boot seconds) is when a Starting instance counts as never joined."""

    instance: InstanceName
    verdict: Verdict
    evidence: tuple[str, ...]
    never_joined: bool = False
    give_up_at: float | None = None


def judge(facts: Facts) -> Mapping[InstanceName, Judgement]:
    """The verdict on every instance whose story is not over, by name."""
    return judge_all(facts, facts.lives.values())


def judge_all(facts: Facts, lives: Iterable[Life]) -> Mapping[InstanceName, Judgement]:
    """The verdict on each of these, by name."""
    bounds = {role: ready_bound(facts, role) for role in Role}
    return {life.birth.instance: _judge_one(facts, bounds, life) for life in lives}


def has_served(facts: Facts, life: Life, verdict: Verdict, seconds: float) -> bool:
    """Whether an instance of this verdict is available: healthy, and Ready for so long."""
    node = facts.nodes.get(life.birth.instance)
    if node is None or verdict is not Verdict.HEALTHY:
        return False
    since = node.ready_since_unix if node.ready_since_unix is not None else life.ready_at_unix
    return since is not None and facts.now.unix >= since + seconds


def _judge_one(facts: Facts, bounds: Mapping[Role, float], life: Life) -> Judgement:
    name = life.birth.instance
    if facts.is_gone(life):
        return Judgement(name, Verdict.DEAD, ("provider: gone",))
    if any(isinstance(step, Destroy) and step.instance == name for step in facts.steps):
        return Judgement(name, Verdict.DEAD, ("its end is in flight",))
    if facts.provider is None:
        return Judgement(name, Verdict.UNKNOWN, ("provider: not seen",))
    state = facts.state(name)
    if not facts.was_launched(life):
        return Judgement(name, Verdict.STARTING, ("not launched yet",))
    if state is InstanceState.STOPPED:
        return Judgement(name, Verdict.STOPPED, ("provider: powered off, disk exists",))
    if state not in (*RUNS, InstanceState.UNFINISHED):
        return Judgement(name, Verdict.UNKNOWN, (f"provider: {state or 'not listed'}",))
    if life.condemned:
        return Judgement(name, Verdict.SICK, (f"join: condemned, {life.condemned}",), never_joined=True)
    deadline = join_deadline(facts, bounds[life.birth.role], life)
    if deadline is not None and facts.now.unix >= deadline.unix:
        return Judgement(name, Verdict.SICK, (deadline.evidence,), never_joined=True)
    give_up_at = facts.boot_of(deadline.unix) if deadline is not None else None
    if state is InstanceState.UNFINISHED:
        cut = ("provider: its launch was cut short",)
        return Judgement(name, Verdict.STARTING, cut, give_up_at=give_up_at)
    verdict, evidence = _judge_running(facts, life)
    return Judgement(name, verdict, evidence, give_up_at=give_up_at)


def _judge_running(facts: Facts, life: Life) -> tuple[Verdict, tuple[str, ...]]:
    name, served = life.birth.instance, life.ready_at_unix is not None
    if facts.kubernetes is None:
        return (Verdict.UNKNOWN if served else Verdict.STARTING), ("Kubernetes: not seen",)
    node = facts.nodes.get(name)
    if node is None:
        return (Verdict.SUSPECT if served else Verdict.STARTING), ("Kubernetes: no Node",)
    verdict, evidence = _judge_node(facts, node, served)
    if verdict is not Verdict.HEALTHY or not may_hold_etcd(life.birth.role):
        return verdict, (evidence,)
    member = facts.member_of(name)
    if facts.etcd is None:
        return Verdict.UNKNOWN, (evidence, "etcd: not seen")
    if member is None or member.learner:
        return Verdict.STARTING, (evidence, "etcd: not a voter yet")
    if not member.healthy:
        return Verdict.SUSPECT, (evidence, "etcd: member not healthy")
    return Verdict.HEALTHY, (evidence, "etcd: voter healthy")


def _judge_node(facts: Facts, node: NodeSeen, served: bool) -> tuple[Verdict, str]:
    if node.waiting_for_addons:
        return Verdict.STARTING, "Node: waiting for add-ons"
    if not node.ready:
        word = "Ready=Unknown" if node.ready is None else "NotReady"
        return (Verdict.SUSPECT if served else Verdict.STARTING), f"Node: {word}"
    if is_silent(facts, node):
        return Verdict.SUSPECT, f"Node: lease older than {LEASE_STALE_SECONDS:.0f} s"
    return Verdict.HEALTHY, "Node: Ready"


def is_silent(facts: Facts, node: NodeSeen) -> bool:
    """Whether the kubelet has not renewed its lease for more than two periods in which it could have."""
    silent = silent_seconds(facts, node)
    return silent is not None and silent > LEASE_STALE_SECONDS


def silent_seconds(facts: Facts, node: NodeSeen) -> float | None:
    """For how long the kubelet has not renewed its lease though it could have; None where it has none yet."""
    renewed = node.lease_renewed_unix
    return None if renewed is None else facts.now.unix - max(renewed, facts.api_since_unix)


def node_is_late(facts: Facts, node: NodeSeen) -> bool:
    """Whether a Node that once served does not, as far as is seen: NotReady for no known wait, or its lease is old,
    whether or not its kubelet could have renewed it."""
    renewed = node.lease_renewed_unix
    old = renewed is not None and facts.now.unix - renewed > LEASE_STALE_SECONDS
    return old or (not node.ready and not node.waiting_for_addons)
