"""Handover: a control-plane instance that is taken by plan is emptied, powered off, and its etcd member removed.

Order: snapshot, cordon, evictions, balancers and endpoint off, power button, leadership, member, power-off seen, the end. Every
step follows from the picture alone, so a crash anywhere is gone on from. Who is taken, and when, is `rollout.py`'s
to say; the replacement votes and is up behind the endpoint before that. What is sick or never voted goes the
shorter way. Until the power button is pressed nothing is lost: what is wanted after all is let live, and takes pods
and requests again.

On the power button the apiserver stops in order and etcd is held up, bounded, until its member is gone: the
member goes once the apiserver is seen to have ended, or is overdue.
"""

from __future__ import annotations

from risen.core.blocked import Blocked, Waiting
from risen.core.history import Entry, Life
from risen.core.judge.snapshot import verified_snapshot
from risen.core.judge.verdict import silent_seconds
from risen.core.names import InstanceName, may_hold_etcd
from risen.core.picture import InstanceSeen, InstanceState, MemberSeen, NodeSeen
from risen.core.reasons import PLANNED
from risen.core.rules.balancers import leave_balancers
from risen.core.rules.drain import POWER_OFF_BOUND_SECONDS, destroy, let_live, move_pods
from risen.core.rules.drainable import called_off, protected
from risen.core.rules.power import JudgeLater, PowerOnBecause, outages, what_stop_means
from risen.core.rules.rehearsal import rehearse
from risen.core.rules.repair import wanted_without
from risen.core.rules.serving import awaits_others
from risen.core.rules.target import outdated
from risen.core.rules.view import RuleOutput, View, gather
from risen.core.safety.quorum import blocks_departure, blocks_less_tolerance, blocks_removal, count_voters
from risen.core.step import CordonNode, DrainBackend, MoveLeader, PowerOn, PressPowerButton, RemoveMember

KUBELET_SILENT_SECONDS = 60.0
"""Nobody ends the pods of a kubelet that has not renewed its lease for so long: they are freed after the fence."""
APISERVER_BOUND_SECONDS = 100.0
"""From the press on: pods get up to 60 s, a request in flight up to 60 s, the unit is ended after 80 s."""


def propose(view: View) -> RuleOutput:
    """CordonNode, EvictPod, MarkNode, DrainBackend, PressPowerButton, MoveLeader, RemoveMember, Destroy, PowerOn."""
    going = [
        life
        for name, life in view.facts.lives.items()
        if _goes(view, name, life) and not view.facts.is_gone(life)
    ]
    if not going:
        return RuleOutput()
    unseen = view.cannot_see("provider")
    return unseen if unseen is not None else gather(*(_walk(view, life) for life in going))


def _goes(view: View, name: InstanceName, life: Life) -> bool:
    entry = view.facts.entries.get(name)
    return entry is not None and entry.reason in PLANNED and may_hold_etcd(life.birth.role)


def _walk(view: View, life: Life) -> RuleOutput:
    facts, name = view.facts, life.birth.instance
    entry, seen = facts.entries[name], facts.ours.get(name)
    if seen is None or seen.state is InstanceState.UNKNOWN:
        why = f"the provider says {seen.state if seen is not None else 'nothing'} of it: that is not gone"
        return RuleOutput(blocked=(Blocked("cannot-see", name, why),))
    if seen.state is InstanceState.STOPPED:
        return _is_off(view, life, entry)
    unseen = view.cannot_see("etcd")
    if unseen is not None:
        return unseen
    member = facts.member_of(name)
    if seen.power_pressed_at is not None:
        return _goes_down(view, seen, member, seen.power_pressed_at)
    if member is None or member.learner:
        return RuleOutput(steps=(destroy(view, name),))
    outcome = called_off(view, entry)
    if outcome is not None:
        return view.cannot_see("kubernetes") or let_live(view, entry, outcome)
    return _prepare(view, life, entry, member)


# --- before the power button ------------------------------------------------------------------------------
def _prepare(view: View, life: Life, entry: Entry, member: MemberSeen) -> RuleOutput:
    """Nothing is begun that could not be ended: first whether the others can do without it."""
    name = life.birth.instance
    refused = blocks_departure(view.facts, life) or blocks_less_tolerance(
        view.facts, name, wanted_without(view, name)
    )
    if refused is not None:
        return RuleOutput(blocked=(refused,))
    held = awaits_others(view, life) if member.healthy else None
    if held is not None:
        return held
    rehearsal = rehearse(view, name) if member.healthy else RuleOutput()
    return gather(rehearsal, _empty(view, life, entry) or _press(view, name, member))


def _empty(view: View, life: Life, entry: Entry) -> RuleOutput | None:
    """Cordon, drain and load balancers off; None once no pod is left, or nobody is there to end one."""
    unseen = view.cannot_see("kubernetes")
    if unseen is not None:
        return unseen
    node = view.facts.nodes.get(life.birth.instance)
    if node is None:
        return None
    if _is_silent(view, node):
        held = protected(view, node.name, "its kubelet is silent, and what runs there may run on")
        return RuleOutput(blocked=(held,)) if held is not None else None
    if not node.unschedulable:
        return RuleOutput(steps=(CordonNode(node.name, node.uid),))
    return move_pods(view, entry) or leave_balancers(view, node)


def _is_silent(view: View, node: NodeSeen) -> bool:
    silent = silent_seconds(view.facts, node)
    return not node.ready if silent is None else silent > KUBELET_SILENT_SECONDS


def _press(view: View, name: InstanceName, member: MemberSeen) -> RuleOutput:
    """Endpoint off, then the button. What does not answer as a member takes nothing away and needs no snapshot."""
    unseen = view.cannot_see("endpoint")
    if unseen is not None:
        return unseen
    backends = view.facts.backends or ()
    others = [one for one in backends if one.name != name and one.up and not one.draining]
    needed = max(1, wanted_without(view, name) - 1)
    if len(others) < needed:
        why = f"{len(others)} other apiservers are up behind the endpoint, {needed} are needed"
        return RuleOutput(blocked=(Blocked("fault-tolerance", name, why),))
    if member.healthy and verified_snapshot(view.facts, name) is None:
        return RuleOutput()
    if any(one.name == name and not one.draining for one in backends):
        return RuleOutput(steps=(DrainBackend(name),))
    seen = view.facts.ours[name]
    return RuleOutput(steps=(PressPowerButton(name, seen.provider_id, wanted_without(view, name)),))


# --- after it ---------------------------------------------------------------------------------------------
def _goes_down(view: View, seen: InstanceSeen, member: MemberSeen | None, pressed_at: float) -> RuleOutput:
    """Leadership goes at once, the member when the apiserver has ended; then only the power-off is left."""
    name, now = seen.name, view.facts.now.boot
    if member is None or member.learner:
        give_up_at = pressed_at + POWER_OFF_BOUND_SECONDS
        if now >= give_up_at:
            return RuleOutput(steps=(destroy(view, name),))
        return RuleOutput(waiting=(Waiting(name, "its power-off", pressed_at, give_up_at),))
    move = _move_leader(view, member)
    overdue_at = pressed_at + APISERVER_BOUND_SECONDS
    if move is not None and now < overdue_at:
        return RuleOutput(steps=(move,))
    if member.healthy and not _apiserver_ended(view, name) and now < overdue_at:
        return RuleOutput(waiting=(Waiting(name, "its apiserver to end", pressed_at, overdue_at),))
    return RuleOutput(steps=(_removal(view, name, member),))


def _apiserver_ended(view: View, name: InstanceName) -> bool:
    """While the endpoint is unseen nobody knows: the bound ends that wait too."""
    backends = view.facts.backends
    return backends is not None and all(one.silent for one in backends if one.name == name)


def _move_leader(view: View, member: MemberSeen) -> MoveLeader | None:
    """To a voter that stays, rather one that is not to be replaced itself, with the longest log. A leader that does
    not answer cannot be asked: it is removed by the others."""
    facts, voters = view.facts, count_voters(view.facts)
    if not member.leader or not member.healthy or facts.etcd is None or voters is None:
        return None
    candidates = [
        one
        for one in facts.etcd.members
        if one.id in voters.healthy and one.id != member.id and one.name not in facts.entries
    ]
    best = max(candidates, key=lambda one: (_stays(view, one), one.raft_index, one.id), default=None)
    return MoveLeader(member.id, best.id) if best is not None else None


def _stays(view: View, member: MemberSeen) -> bool:
    life = view.facts.lives.get(InstanceName(member.name))
    if life is None:
        return False
    return all(one.life.birth.instance != member.name for one in outdated(view, life.birth.pool))


def _removal(view: View, name: InstanceName, member: MemberSeen) -> RemoveMember:
    return RemoveMember(member.id, name, not member.learner, wanted_without(view, name))


# --- off --------------------------------------------------------------------------------------------------
def _is_off(view: View, life: Life, entry: Entry) -> RuleOutput:
    """Its member goes if that was not done in time, then it ends; without a quorum it is wanted back."""
    facts, name = view.facts, life.birth.instance
    unseen = view.cannot_see("etcd")
    member = facts.member_of(name)
    lost = facts.etcd is None or facts.etcd.quorum_lost
    refused = blocks_removal(facts, member) if member is not None else None
    if unseen is not None or lost or refused is not None:
        return _wanted_back(view, life, refused)
    if member is not None:
        return RuleOutput(steps=(_removal(view, name, member),))
    return RuleOutput(steps=(destroy(view, name),))


def _wanted_back(view: View, life: Life, refused: Blocked | None) -> RuleOutput:
    name = life.birth.instance
    match what_stop_means(view, life, outages(view)):
        case PowerOnBecause():
            return RuleOutput(steps=(PowerOn(name, view.facts.ours[name].provider_id),))
        case JudgeLater(for_what=for_what, since=since, at=at):
            return RuleOutput(waiting=(Waiting(name, for_what, since, at),))
        case None:
            return RuleOutput(blocked=(refused,) if refused is not None else ())
