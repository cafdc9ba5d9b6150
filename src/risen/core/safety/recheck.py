"""The second check: what a step needs to have read afresh, and whether it may be sent on those facts.

Called by the engine right before each step. It refuses; it never changes a step or finds another.
"""

from __future__ import annotations

from risen.core.blocked import Blocked
from risen.core.history import History
from risen.core.judge.facts import Facts, look, peer_url
from risen.core.names import InstanceName
from risen.core.picture import InstanceState, Picture, Unseen
from risen.core.plan import Now
from risen.core.safety.claims import overlap
from risen.core.safety.invariants import find_member, violations
from risen.core.step import (
    AddBackend,
    AddLearner,
    CordonNode,
    DeleteNode,
    DeletePod,
    Destroy,
    DrainBackend,
    EvictPod,
    FreePod,
    Launch,
    MarkNode,
    MoveLeader,
    OpenEntry,
    PowerOn,
    PressPowerButton,
    PromoteMember,
    RecordClusterId,
    ReleaseLease,
    RemoveBackend,
    RemoveEndpointLease,
    RemoveMember,
    Step,
    TaintOutOfService,
    UncordonNode,
    WriteBootstrap,
)

PROVIDER = frozenset({"provider"})
ETCD = frozenset({"etcd"})
KUBERNETES = frozenset({"kubernetes"})
ENDPOINT = frozenset({"endpoint"})
NOTHING: frozenset[str] = frozenset()


def needs_of(step: Step) -> frozenset[str]:
    """Which sections ("provider", "etcd", "kubernetes", "endpoint") are read afresh just before this step."""
    match step:
        case Destroy(holds_data=True) | WriteBootstrap():
            return PROVIDER | ETCD
        case OpenEntry() | PressPowerButton():
            return PROVIDER | ETCD | KUBERNETES
        case DrainBackend() | RemoveBackend():
            return PROVIDER | ENDPOINT
        case AddLearner() | RemoveMember() | AddBackend():
            return PROVIDER | ETCD
        case Destroy() | PowerOn() | FreePod() | ReleaseLease() | RemoveEndpointLease():
            return PROVIDER
        case TaintOutOfService() | DeleteNode():
            return PROVIDER | KUBERNETES
        case PromoteMember() | MoveLeader() | RecordClusterId():
            return ETCD
        case CordonNode() | UncordonNode() | MarkNode() | EvictPod() | DeletePod():
            return KUBERNETES
        case _:
            return NOTHING


def recheck(step: Step, picture: Picture, history: History, now: Now) -> Blocked | None:
    """Why `step` must not be sent on this freshly read picture; None when it may."""
    return refusal(step, look(picture, history, now))


def refusal(step: Step, facts: Facts) -> Blocked | None:
    """The first reason against a step: a section it needs is unseen, an invariant, a fact that has changed."""
    held = overlap(step, tuple(one for one in facts.steps if one != step))
    if held is not None:
        return held
    needed = PROVIDER if isinstance(step, WriteBootstrap | OpenEntry) else needs_of(step)
    unseen = _unseen(step, facts, needed)
    if unseen is not None:
        return unseen
    broken = violations(step, facts)
    return broken[0].blocked if broken else _changed(step, facts)


def _unseen(step: Step, facts: Facts, needed: frozenset[str]) -> Blocked | None:
    for section in sorted(needed):
        seen = getattr(facts.picture, section)
        if isinstance(seen, Unseen):
            return Blocked("cannot-see", section, f"{type(step).__name__} needs {section}: {seen.error}")
    return None


def _changed(step: Step, facts: Facts) -> Blocked | None:
    """Facts that a step was proposed on and that may have changed since."""
    match step:
        case PowerOn(instance=name):
            return _expect(facts, name, frozenset({InstanceState.STOPPED}))
        case DeleteNode(node=name) if facts.is_over(name):
            return None
        case FreePod(node=name) | TaintOutOfService(node=name) | DeleteNode(node=name):
            return _expect(facts, name, frozenset({InstanceState.GONE}))
        case AddLearner(instance=name, peer_url=url):
            seen = facts.ours.get(name)
            if seen is None or not seen.address or peer_url(seen.address) != url:
                return Blocked("cannot-see", name, f"the provider does not show it at {url}")
            return None
        case AddBackend(instance=name):
            member = facts.member_of(name)
            if member is None or member.learner:
                return Blocked("cannot-see", name, "etcd does not list it as a voter")
            return None
        case RecordClusterId(cluster_id=cluster_id):
            if facts.etcd is None or facts.etcd.cluster_id != cluster_id:
                return Blocked("cannot-see", "etcd", f"etcd does not answer as {cluster_id}")
            return None
        case RemoveMember(member=member_id, instance=name, voter=False):
            member = find_member(facts, member_id)
            if member is not None and not member.learner:
                return Blocked("quorum", name or member_id, "it has become a voter")
            return None
        case Launch(instance=name):
            entry = facts.entries.get(name)
            return Blocked("budget", name, f"ledger entry {entry.id} ends it") if entry is not None else None
        case _:
            return None


def _expect(facts: Facts, name: InstanceName, states: frozenset[InstanceState]) -> Blocked | None:
    life = facts.lives.get(name)
    if life is not None and InstanceState.GONE in states and facts.is_gone(life):
        return None
    state = facts.state(name)
    if state in states:
        return None
    return Blocked("cannot-see", name, f"the provider says {state or 'nothing'} of it")
