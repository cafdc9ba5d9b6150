"""What may never happen, as a named list: each invariant says of one step, on given facts, why it must not be.

Checked on every plan, again right before each step on freshly read facts, and by the simulator on the truth at that
moment. They judge a step alone; they propose nothing. `docs/reference.md` lists them beside what the simulator
holds a whole run to (`sim/truths.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from risen.core.blocked import Blocked
from risen.core.judge.facts import CONTROLLER_LEASE, Facts
from risen.core.names import InstanceName, ProviderId, may_hold_etcd
from risen.core.picture import InstanceState, MemberSeen
from risen.core.reasons import PLANNED
from risen.core.safety import exposure, fencing, protection, quorum
from risen.core.safety.budget import blocks_taking
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
    RemoveBackend,
    RemoveMember,
    Step,
    TaintOutOfService,
    UncordonNode,
    WriteBirth,
    WriteBootstrap,
)

Check = Callable[[Facts, Step], Blocked | None]
NODE_STEPS = (
    CordonNode, UncordonNode, MarkNode, TaintOutOfService, DeleteNode, EvictPod, DeletePod, FreePod,
)  # fmt: skip
"""What is done to a Node, or to what runs there: its providerID has to be ours."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """`check` gives None when the step keeps the invariant."""

    name: str
    says: str
    check: Check


def _quorum_kept(facts: Facts, step: Step) -> Blocked | None:
    match step:
        case RemoveMember(member=member_id):
            member = find_member(facts, member_id)
            return quorum.blocks_removal(facts, member) if member is not None else None
        case PromoteMember(member=member_id, instance=name):
            member = find_member(facts, member_id)
            if member is None:
                return Blocked("cannot-see", name, f"etcd does not list member {member_id}")
            return quorum.blocks_promotion(facts, member) if member.learner else None
        case MoveLeader(to=member_id):
            member = find_member(facts, member_id)
            voters = quorum.count_voters(facts)
            if member is None or voters is None or member_id not in voters.healthy:
                return Blocked("quorum", member_id, "leadership moves only to a healthy voter that stays")
            return None
        case _:
            return None


def _data_before_cattle(facts: Facts, step: Step) -> Blocked | None:
    match step:
        case Destroy(instance=name) | PressPowerButton(instance=name) | OpenEntry(subject=name):
            life = facts.lives.get(name)
            if life is None or facts.is_gone(life):
                return None
            if not isinstance(step, Destroy) and _is_planned(facts, step, name):
                return quorum.blocks_departure(facts, life)
            return quorum.blocks_loss(facts, life, accepts_data_loss(facts, name))
        case _:
            return None


def _is_planned(facts: Facts, step: Step, name: InstanceName) -> bool:
    """Whether a step belongs to a planned change: its member is removed before its disk ends."""
    if isinstance(step, OpenEntry):
        return step.reason in PLANNED
    entry = facts.entries.get(name)
    return entry is not None and entry.reason in PLANNED


def _fault_tolerance_kept(facts: Facts, step: Step) -> Blocked | None:
    """Of planned steps on control-plane instances."""
    match step:
        case OpenEntry(subject=name, leaves=leaves) | PressPowerButton(instance=name, leaves=leaves):
            pass
        case RemoveMember(instance=name, voter=True, leaves=leaves):
            pass
        case _:
            return None
    life = facts.lives.get(name)
    if life is None or not may_hold_etcd(life.birth.role) or not _is_planned(facts, step, name):
        return None
    return quorum.blocks_less_tolerance(facts, name, leaves)


def _one_control_plane_change(facts: Facts, step: Step) -> Blocked | None:
    """A second entry is not opened, whoever asks."""
    if (
        not isinstance(step, OpenEntry)
        or step.reason not in PLANNED
        or not _is_control_plane(facts, step.subject)
    ):
        return None
    others = [entry.subject for entry in facts.entries.values() if entry.reason in PLANNED]
    others += [one.subject for one in facts.steps if isinstance(one, OpenEntry) and one.reason in PLANNED]
    taken = next(
        (one for one in sorted(others) if one != step.subject and _is_control_plane(facts, one)), None
    )
    if taken is None:
        return None
    return Blocked(
        "fault-tolerance", step.subject, f"one control-plane change at a time: {taken} is on its way out"
    )


def _is_control_plane(facts: Facts, name: InstanceName) -> bool:
    life = facts.history.lives.get(name)
    return life is not None and may_hold_etcd(life.birth.role)


def _foreign_untouched(facts: Facts, step: Step) -> Blocked | None:
    name, provider_id = named_by(step)
    if name is None:
        return None
    if name not in facts.history.lives:
        return Blocked("foreign", name, "it has no birth record here: it is not ours to touch")
    seen = facts.ours.get(name)
    shown = seen.provider_id if seen is not None and seen.state is not InstanceState.GONE else ""
    if provider_id is not None and shown and shown != provider_id:
        return Blocked("foreign", name, f"the provider shows {shown}, the step names {provider_id}")
    if provider_id is not None and provider_id not in facts.provider_ids(name):
        return Blocked("foreign", name, f"{provider_id} does not carry this cluster's uid")
    if isinstance(step, NODE_STEPS):
        node = facts.nodes.get(name)
        if node is not None and not facts.is_our_node(node):
            return Blocked("foreign", name, f"the Node's providerID {node.provider_id!r} is not ours")
    return None


def _bootstrap_once(facts: Facts, step: Step) -> Blocked | None:
    if not isinstance(step, WriteBootstrap):
        return None
    if facts.history.etcd_cluster_id:
        return Blocked(
            "bootstrap-once", "bootstrap", f"etcd {facts.history.etcd_cluster_id} was founded already"
        )
    if facts.etcd is not None and facts.etcd.members:
        return Blocked("bootstrap-once", "bootstrap", "etcd has members: it was founded already")
    newest = facts.founder
    expected = newest.generation + 1 if newest is not None else 1
    if step.bootstrap.generation != expected:
        return Blocked(
            "bootstrap-once", "bootstrap", f"generation {step.bootstrap.generation} is not {expected}"
        )
    if newest is None:
        return None
    life = facts.lives.get(newest.founder)
    if newest.founder in facts.history.lives and (life is None or facts.is_gone(life)):
        return None
    return Blocked("bootstrap-once", "bootstrap", f"founder {newest.founder} is not proven gone")


def _birth_before_launch(facts: Facts, step: Step) -> Blocked | None:
    match step:
        case Launch(instance=name) if name not in facts.history.lives:
            return Blocked("birth-before-launch", name, "it has no birth record")
        case Launch(instance=name) if facts.history.lives[name].gone_at_unix is not None:
            return Blocked("birth-before-launch", name, "it is gone: names are never used again")
        case WriteBirth(birth=birth) if birth.instance in facts.history.lives:
            return Blocked(
                "birth-before-launch", birth.instance, "it was born already: names are never used again"
            )
        case WriteBirth(birth=birth) if facts.founder is None:
            return Blocked("birth-before-launch", birth.instance, "no bootstrap object names a founder yet")
        case _:
            return None


def _entry_before_harm(facts: Facts, step: Step) -> Blocked | None:
    match step:
        case DeletePod():
            return _forced_in_the_ledger(facts, step)
        case Destroy(instance=name) | PressPowerButton(instance=name) | DrainBackend(instance=name):
            subject = name
        case RemoveBackend(instance=name) if _serves_there(facts, name):
            subject = name
        case DeleteNode(node=name) if facts.is_over(name):
            return None
        case CordonNode(node=name) | TaintOutOfService(node=name) | DeleteNode(node=name):
            subject = name
        case EvictPod(node=name) | FreePod(node=name):
            subject = name
        case RemoveMember(instance=name) if name:
            subject = name
        case _:
            return None
    if subject in facts.entries:
        return None
    return Blocked("entry-before-harm", subject, "no open ledger entry names it")


def _serves_there(facts: Facts, name: InstanceName) -> bool:
    """Whether a backend may still send requests to somebody. What is gone or has moved is only forgotten."""
    life, seen = facts.lives.get(name), facts.ours.get(name)
    if life is None or facts.is_gone(life):
        return False
    there = next((one for one in facts.backends or () if one.name == name), None)
    moved = there is not None and seen is not None and seen.address not in (None, there.address)
    return there is not None and not moved


def _evictions_while_led(facts: Facts, step: Step) -> Blocked | None:
    """While nobody leads no EndpointSlice is written: who is evicted still gets traffic."""
    if not isinstance(step, EvictPod | DeletePod) or facts.kubernetes is None:
        return None
    if facts.is_led(CONTROLLER_LEASE):
        return None
    return Blocked(
        "cannot-see", step.node, f"nobody holds the lease of {CONTROLLER_LEASE}: no pod is evicted"
    )


def _pool_budget_kept(facts: Facts, step: Step) -> Blocked | None:
    return blocks_taking(facts, step) if isinstance(step, OpenEntry) else None


def _forced_in_the_ledger(facts: Facts, step: DeletePod) -> Blocked | None:
    entry, pod = facts.entries.get(step.node), f"{step.namespace}/{step.pod}"
    if entry is not None and pod in entry.forced:
        return None
    return Blocked("entry-before-harm", step.node, f"the ledger does not name {pod} as forced")


def _one_membership_change(facts: Facts, step: Step) -> Blocked | None:
    if not isinstance(step, AddLearner | PromoteMember | RemoveMember):
        return None
    other = next(
        (one for one in facts.steps if isinstance(one, AddLearner | PromoteMember | RemoveMember)), None
    )
    if other is not None:
        return Blocked(
            "quorum", "etcd", f"one membership change at a time: {type(other).__name__} is in flight"
        )
    if isinstance(step, AddLearner) and facts.etcd is not None:
        learner = quorum.learner_of(facts.etcd)
        if learner is not None:
            return Blocked(
                "quorum", step.instance, f"one learner at a time: {learner.name or learner.peer_url}"
            )
    return None


def named_by(step: Step) -> tuple[InstanceName | None, ProviderId | None]:
    """The instance that a step touches, and the provider id by which it does."""
    match step:
        case (
            Destroy(instance=name, provider_id=provider_id) | PowerOn(instance=name, provider_id=provider_id)
        ):
            return name, provider_id
        case PressPowerButton(instance=name, provider_id=provider_id):
            return name, provider_id
        case CordonNode(node=name) | TaintOutOfService(node=name) | DeleteNode(node=name):
            return name, None
        case MarkNode(node=name) | UncordonNode(node=name):
            return name, None
        case FreePod(node=name) | EvictPod(node=name) | DeletePod(node=name):
            return name, None
        case OpenEntry(subject=name) | AddLearner(instance=name):
            return name, None
        case AddBackend(instance=name) | DrainBackend(instance=name):
            return name, None
        case RemoveMember(instance=name) if name:
            return name, None
        case _:
            return None, None


def find_member(facts: Facts, member_id: str) -> MemberSeen | None:
    """A member by id."""
    members = facts.etcd.members if facts.etcd is not None else ()
    return next((member for member in members if member.id == member_id), None)


def accepts_data_loss(facts: Facts, name: InstanceName) -> bool:
    """Whether a person who asked for this instance's end took its data's loss upon themselves."""
    return any(kill.instance == name and kill.accept_data_loss for kill in facts.history.kills)


INVARIANTS = (
    Invariant("quorum-kept", "after a step healthy voters are a quorum", _quorum_kept),
    Invariant("data-before-cattle", "etcd data is ended only beside a healthy quorum", _data_before_cattle),
    Invariant("foreign-untouched", "only what has our uid and a birth record is touched", _foreign_untouched),
    Invariant("bootstrap-once", "etcd is founded once", _bootstrap_once),
    Invariant("birth-before-launch", "a birth record is written before the launch", _birth_before_launch),
    Invariant("entry-before-harm", "a ledger entry is open before the first harm", _entry_before_harm),
    Invariant(
        "pool-budget-kept",
        "a planned change leaves as many available instances of a pool as are wanted",
        _pool_budget_kept,
    ),
    Invariant(
        "evictions-while-led",
        "no pod is evicted while nobody holds kube-controller-manager's lease",
        _evictions_while_led,
    ),
    Invariant(
        "do-not-disrupt-kept",
        "nothing planned takes an instance with a pod that asks not to be disrupted, nor ends that pod",
        protection.blocks_disruption,
    ),
    Invariant(
        "one-membership-change-at-a-time", "etcd's membership changes serially", _one_membership_change
    ),
    Invariant(
        "fault-tolerance-kept",
        "a planned step leaves the fault tolerance of the wanted size",
        _fault_tolerance_kept,
    ),
    Invariant(
        "one-control-plane-change-at-a-time",
        "of the control plane one instance at a time is taken by plan",
        _one_control_plane_change,
    ),
    Invariant(
        "endpoint-of-the-living-kept",
        "an apiserver is taken off its Service only once its instance is gone, and nobody else has its address",
        fencing.blocks_lease_removal,
    ),
    Invariant("no-revoked-release", "what is revoked is launched by nothing again", exposure.blocks_revoked),
    Invariant(
        "one-instance-tries-a-release",
        "a release that has not passed is launched once",
        exposure.blocks_exposure,
    ),
)


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """A named invariant that a step would break, and the arithmetic."""

    invariant: str
    blocked: Blocked


def violations(step: Step, facts: Facts) -> tuple[Violation, ...]:
    """Every invariant that `step` breaks on these facts, in the list's order."""
    broken = ((invariant.name, invariant.check(facts, step)) for invariant in INVARIANTS)
    return tuple(Violation(name, blocked) for name, blocked in broken if blocked is not None)
