"""etcd's membership, one change at a time: remove the dead, then promote, then add.

etcd 3.6 refuses an addition while a voter is unconnected and allows one learner, so what is stale goes
first. A voter goes only when its instance is proven gone (or by `handover.py`), a learner before its instance is
ended: a promotion that is still on its way would make a voter of what is gone. Nothing changes before the
cluster id is recorded. Of two voters both are needed: beside an only voter a learner soaks, and is promoted no
sooner than the other could go.
"""

from __future__ import annotations

from dataclasses import replace

from risen.core.blocked import Blocked, Waiting
from risen.core.history import Life
from risen.core.judge.facts import Facts, peer_url
from risen.core.names import InstanceName, may_hold_etcd
from risen.core.picture import EtcdSeen, InstanceState, MemberSeen
from risen.core.reasons import PLANNED
from risen.core.rules.rehearsal import rehearse
from risen.core.rules.view import RuleOutput, View
from risen.core.safety.quorum import quorum_lost, quorum_of
from risen.core.step import AddLearner, PromoteMember, RemoveMember, Step

PROMOTE_AGAIN_SECONDS = 0.5
SOLO_SOAK_SECONDS = 10.0
"""So long a learner has followed an only voter before it votes: from then on both are needed."""


def propose(view: View) -> RuleOutput:
    """RemoveMember, PromoteMember, AddLearner: at most one."""
    unseen = view.cannot_see("provider", "etcd")
    if unseen is not None:
        return unseen
    etcd = view.facts.etcd
    if etcd is None or not view.facts.history.etcd_cluster_id:
        return RuleOutput()
    if etcd.cluster_id and etcd.cluster_id != view.facts.history.etcd_cluster_id:
        known = view.facts.history.etcd_cluster_id
        return RuleOutput(blocked=(Blocked("foreign", "etcd", f"it is {etcd.cluster_id}, ours is {known}"),))
    lost = quorum_lost(view.facts)
    strangers = _strangers(view.facts, etcd)
    if lost is not None:
        return RuleOutput(blocked=(lost, *strangers))
    output = _next_change(view, etcd)
    return replace(output, blocked=output.blocked + strangers)


def _next_change(view: View, etcd: EtcdSeen) -> RuleOutput:
    removal = _stale_member(view.facts, etcd)
    if removal is not None:
        return RuleOutput(steps=(removal,))
    learner = min((m for m in etcd.members if m.learner), key=lambda m: m.id, default=None)
    if learner is not None:
        return _with_learner(view, learner)
    step = _addition(view, etcd)
    return RuleOutput(steps=(step,) if step is not None else ())


def _stale_member(facts: Facts, etcd: EtcdSeen) -> Step | None:
    """A learner nobody will start or whose instance is to be ended, else a member whose instance is gone."""
    for member in sorted(etcd.members, key=lambda m: (not m.learner, m.id)):
        owner = owner_of(facts, member)
        if owner is not None and _ends(facts, owner, member):
            return RemoveMember(member.id, owner.birth.instance, not member.learner)
        if not member.name and member.learner and _nobody_is_at(facts, member.peer_url):
            return RemoveMember(member.id, InstanceName(""), False)
    return None


def _ends(facts: Facts, owner: Life, member: MemberSeen) -> bool:
    """Whether an entry says that it goes, and it is gone or, as a learner, may go before its instance."""
    entry = facts.entries.get(owner.birth.instance)
    return entry is not None and (facts.is_gone(owner) or (member.learner and entry.reason not in PLANNED))


def _nobody_is_at(facts: Facts, url: str) -> bool:
    """Whether no instance that may hold etcd has this address, all of their addresses being known."""
    for name, life in facts.lives.items():
        if not may_hold_etcd(life.birth.role) or facts.is_gone(life) or not facts.was_launched(life):
            continue
        seen = facts.ours.get(name)
        if seen is None or not seen.address or peer_url(seen.address) == url:
            return False
    return True


def _with_learner(view: View, learner: MemberSeen) -> RuleOutput:
    facts = view.facts
    owner = owner_of(facts, learner)
    if owner is None:
        return RuleOutput()
    name = owner.birth.instance
    since = facts.now.boot
    if owner.joined_at_unix is not None:
        since = facts.boot_of(owner.joined_at_unix)
    if name in facts.entries:
        return RuleOutput(waiting=(Waiting(name, "its end, to remove its learner", since),))
    if not learner.name or not learner.healthy:
        return RuleOutput(waiting=(Waiting(name, "its etcd member to start", since),))
    held = _held_beside_solo(view, owner)
    if held is not None:
        return held
    return RuleOutput(
        steps=(PromoteMember(learner.id, name),), recheck_at=facts.now.boot + PROMOTE_AGAIN_SECONDS
    )


def _held_beside_solo(view: View, owner: Life) -> RuleOutput | None:
    """Why a healthy learner is not promoted yet where one voter is wanted and one is there: it has not followed for
    long, or etcd's data do not lie in a fresh snapshot."""
    pool = view.pool(owner.birth.pool)
    voters = [member for member in view.facts.etcd.members if not member.learner] if view.facts.etcd else []
    if pool is None or pool.replicas != 1 or len(voters) != 1 or owner.joined_at_unix is None:
        return None
    now, name = view.facts.now, owner.birth.instance
    since = view.facts.boot_of(owner.joined_at_unix)
    until = since + SOLO_SOAK_SECONDS
    if now.boot < until:
        return RuleOutput(waiting=(Waiting(name, "its soak as a learner", since, until),), recheck_at=until)
    rehearsal = rehearse(view, InstanceName(voters[0].name))
    return rehearsal if rehearsal != RuleOutput() else None


def owner_of(facts: Facts, member: MemberSeen) -> Life | None:
    """The life whose member this is."""
    if member.name:
        return facts.lives.get(InstanceName(member.name))
    for name, seen in facts.ours.items():
        if seen.address and peer_url(seen.address) == member.peer_url:
            return facts.lives.get(name)
    return None


def _addition(view: View, etcd: EtcdSeen) -> Step | None:
    """The longest running instance that waits for its turn, if every voter has started and a quorum is healthy."""
    facts = view.facts
    voters = [member for member in etcd.members if not member.learner]
    healthy = sum(1 for member in voters if member.healthy)
    if any(not member.name for member in voters) or healthy < quorum_of(len(voters)):
        return None
    founders = {bootstrap.founder for bootstrap in facts.history.bootstraps}
    candidates = sorted(
        (life.launched_at_unix or life.birth.born_unix, name, seen.address)
        for name, life in facts.lives.items()
        if may_hold_etcd(life.birth.role)
        and name not in facts.entries
        and name not in founders
        and life.joined_at_unix is None
        and not life.condemned
        and (seen := facts.ours.get(name)) is not None
        and seen.state is InstanceState.RUNNING
        and seen.address
        and not view.verdicts[name].never_joined
        and facts.member_of(name) is None
    )
    if not candidates:
        return None
    _, name, address = candidates[0]
    return AddLearner(name, peer_url(address or ""))


def _strangers(facts: Facts, etcd: EtcdSeen) -> tuple[Blocked, ...]:
    """Members that belong to no birth record: listed, never removed."""
    return tuple(
        Blocked("foreign", member.name, f"etcd member {member.id} has no birth record: left alone")
        for member in sorted(etcd.members, key=lambda m: m.id)
        if member.name and member.name not in facts.history.lives
    )
