"""Invariant: healthy started voters never fall below quorum by a step of ours, and data goes before cattle.

Pure arithmetic over members as seen, with steps in flight assumed at their worst: a voter that is being
destroyed, powered off or removed is lost already, a learner that is being promoted is a voter that fails. A
planned change removes a member while it still answers, and leaves the fault tolerance of the wanted size.
Source: etcd 3.6, raft joint-majority arithmetic, floor(n / 2) + 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.blocked import Blocked
from risen.core.history import Life
from risen.core.judge.facts import Facts
from risen.core.names import InstanceName, may_hold_etcd
from risen.core.picture import EtcdSeen, InstanceState, MemberSeen, Unseen
from risen.core.step import Destroy, PressPowerButton, PromoteMember, RemoveMember

FRESH_SECONDS = 10.0


def quorum_of(voters: int) -> int:
    """How many of `voters` must agree."""
    return voters // 2 + 1


@dataclass(frozen=True, slots=True)
class Voters:
    """A count of voters, and of those of them that are started, healthy and not being taken."""

    total: int
    healthy: frozenset[str]
    """Member ids."""
    leaving: frozenset[str] = frozenset()
    """Those that answer and whose power button is pressed: held up until they are removed, but not for long."""

    @property
    def keep_quorum(self) -> bool:
        """Whether the healthy ones are enough."""
        return len(self.healthy) >= quorum_of(self.total)

    @property
    def can_agree(self) -> bool:
        """Whether those that answer now are enough, the leaving ones among them."""
        return len(self.healthy | self.leaving) >= quorum_of(self.total)


def count_voters(facts: Facts) -> Voters | None:
    """Voters at their worst; None while etcd is not seen."""
    etcd = facts.etcd
    if etcd is None:
        return None
    taken: set[str] = set()
    promoting: set[str] = set()
    pressed = {name for name, seen in facts.ours.items() if seen.power_pressed_at is not None}
    for step in facts.steps:
        match step:
            case Destroy(instance=name):
                taken |= {member.id for member in etcd.members if member.name == name}
            case PressPowerButton(instance=name):
                pressed.add(name)
            case RemoveMember(member=member_id):
                taken.add(member_id)
            case PromoteMember(member=member_id):
                promoting.add(member_id)
            case _:
                pass
    voters = [member for member in etcd.members if not member.learner]
    late = [member for member in etcd.members if member.learner and member.id in promoting]
    off = _powered_off(facts)
    answer = [m for m in voters if m.healthy and m.name and m.id not in taken and m.name not in off]
    leaving = frozenset(m.id for m in answer if m.name in pressed)
    return Voters(len(voters) + len(late), frozenset(m.id for m in answer) - leaving, leaving)


def _powered_off(facts: Facts) -> set[str]:
    """A member's last answer may be older than the provider's word that its instance is off."""
    lost = (InstanceState.STOPPED, InstanceState.GONE)
    return {name for name, seen in facts.ours.items() if seen.state in lost}


def quorum_lost(facts: Facts) -> Blocked | None:
    """Whether etcd, once founded, has no quorum or cannot be seen; None when it has."""
    if not facts.history.etcd_cluster_id:
        return None
    voters = count_voters(facts)
    if voters is None:
        return Blocked("cannot-see", "etcd", "etcd has not answered: its quorum is not known")
    if facts.etcd is not None and not facts.etcd.quorum_lost and voters.can_agree:
        return None
    return Blocked(
        "quorum-lost", "etcd", f"{_arithmetic(voters)}; stopped instances are powered on, none is ended"
    )


def blocks_loss(facts: Facts, life: Life, accept_data_loss: bool = False) -> Blocked | None:
    """Whether ending this instance, disk included, could lose etcd data.

    Asks for a quorum of *other* started voters, seen healthy within 10 s. A solo member goes only with
    `accept_data_loss`.
    """
    name = life.birth.instance
    if not may_hold_etcd(life.birth.role) or not facts.holds_data(life):
        return None
    stale = stale_etcd(facts, name)
    voters = count_voters(facts)
    if stale is not None or voters is None or facts.etcd is None:
        if accept_data_loss and _only_holder(facts, life):
            return None
        return stale or Blocked("cannot-see", name, "etcd has not answered")
    member = facts.member_of(name)
    if member is not None and not member.learner and voters.total == 1:
        if accept_data_loss:
            return None
        return Blocked(
            "accept-data-loss",
            name,
            "it is the only voter: ending it loses etcd's data; --accept-data-loss does",
        )
    if facts.etcd.quorum_lost:
        return Blocked(
            "quorum-lost", name, f"{_arithmetic(voters)}: nothing that may hold etcd data is ended"
        )
    others = voters.healthy - {member.id if member is not None else ""}
    if len(others) >= quorum_of(voters.total):
        return None
    return Blocked(
        "quorum",
        name,
        f"{_arithmetic(voters)}: ending it leaves {len(others)} healthy of {quorum_of(voters.total)} needed",
    )


def blocks_removal(facts: Facts, member: MemberSeen) -> Blocked | None:
    """Whether removing this member may cost the quorum."""
    subject = member.name or member.peer_url
    stale = stale_etcd(facts, subject)
    voters = count_voters(facts)
    if stale is not None or voters is None or facts.etcd is None:
        return stale or Blocked("cannot-see", subject, "etcd has not answered")
    if facts.etcd.quorum_lost or not voters.can_agree:
        return Blocked("quorum-lost", subject, f"{_arithmetic(voters)}: no membership change can be agreed")
    if member.learner:
        return None
    left, needed = len(voters.healthy - {member.id}), quorum_of(voters.total - 1)
    if voters.total > 1 and left >= needed:
        return None
    return Blocked("quorum", subject, f"{_arithmetic(voters)}: removing one leaves {left} of {needed}")


def blocks_departure(facts: Facts, life: Life) -> Blocked | None:
    """Whether an instance may go by plan: its member is removed while it still answers, so it is the voters
    *without* it of which a quorum has to be left. What is no voter takes nothing with it."""
    name = life.birth.instance
    if not may_hold_etcd(life.birth.role) or not facts.holds_data(life):
        return None
    stale = stale_etcd(facts, name)
    voters = count_voters(facts)
    if stale is not None or voters is None or facts.etcd is None:
        return stale or Blocked("cannot-see", name, "etcd has not answered")
    if facts.etcd.quorum_lost or not voters.can_agree:
        return Blocked("quorum-lost", name, f"{_arithmetic(voters)}: nothing is taken out by plan")
    member = facts.member_of(name)
    if member is None or member.learner:
        return None
    left, needed = len(voters.healthy - {member.id}), quorum_of(voters.total - 1)
    if voters.total > 1 and left >= needed:
        return None
    return Blocked("quorum", name, f"{_arithmetic(voters)}: without it {left} are left of {needed} needed")


def blocks_less_tolerance(facts: Facts, name: InstanceName, wanted: int) -> Blocked | None:
    """Whether the voters without this one could lose fewer of them than `wanted` voters could.

    1 → 2 → 1 leaves 0, 3 → 4 → 3 leaves 1. A member that does not answer, or is held up only for its removal,
    takes no tolerance with it: without it there is as much or more.
    """
    member, voters = facts.member_of(name), count_voters(facts)
    if member is None or member.learner or voters is None or member.id not in voters.healthy:
        return None
    if wanted < 1:
        return Blocked("fault-tolerance", name, "the step does not say how many voters are wanted without it")
    left, total = len(voters.healthy - {member.id}), voters.total - 1
    if left - quorum_of(total) >= tolerance_of(wanted):
        return None
    return Blocked(
        "fault-tolerance",
        name,
        f"{_arithmetic(voters)}: without it {left} of {total} are healthy and {max(0, left - quorum_of(total))} "
        f"may fail, of {wanted} wanted it is {tolerance_of(wanted)}",
    )


def tolerance_of(voters: int) -> int:
    """How many of `voters`, all healthy, may fail."""
    return max(0, voters - quorum_of(voters))


def leads_etcd(facts: Facts, name: InstanceName) -> bool:
    """Whether etcd's leader is this instance's member, as far as can be seen."""
    member = facts.member_of(name)
    return member is not None and member.leader


def blocks_promotion(facts: Facts, member: MemberSeen) -> Blocked | None:
    """Whether one voter more would put the quorum at risk: the learner counts only if it is healthy."""
    subject = member.name or member.peer_url
    stale = stale_etcd(facts, subject)
    voters = count_voters(facts)
    if stale is not None or voters is None:
        return stale or Blocked("cannot-see", subject, "etcd has not answered")
    healthy = len(voters.healthy) + (1 if member.healthy and member.name else 0)
    needed = quorum_of(voters.total + 1)
    if voters.keep_quorum and healthy >= needed:
        return None
    return Blocked(
        "quorum", subject, f"{_arithmetic(voters)}: promoting gives {healthy} healthy of {needed} needed"
    )


def stale_etcd(facts: Facts, subject: str) -> Blocked | None:
    """Whether etcd's view is unseen or older than 10 s."""
    section = facts.picture.etcd
    if isinstance(section, Unseen):
        return Blocked("cannot-see", subject, "etcd has not answered")
    if facts.now.boot - section.as_of > FRESH_SECONDS:
        return Blocked("cannot-see", subject, f"etcd was last seen more than {FRESH_SECONDS:.0f} s ago")
    return None


def learner_of(etcd: EtcdSeen) -> MemberSeen | None:
    """The first learner, by id."""
    return min((member for member in etcd.members if member.learner), key=lambda m: m.id, default=None)


def may_lose_with_quorum(facts: Facts, name: InstanceName) -> bool:
    """Whether a quorum of other started voters is healthy without this instance."""
    voters = count_voters(facts)
    if voters is None or facts.etcd is None or facts.etcd.quorum_lost:
        return False
    member = facts.member_of(name)
    others = voters.healthy - {member.id if member is not None else ""}
    return len(others) >= quorum_of(voters.total)


def _only_holder(facts: Facts, life: Life) -> bool:
    return [other for other in facts.lives.values() if facts.holds_data(other)] == [life]


def _arithmetic(voters: Voters) -> str:
    sick = voters.total - len(voters.healthy) - len(voters.leaving)
    off = f", {len(voters.leaving)} powering off" if voters.leaving else ""
    return f"{voters.total} voter{'s' if voters.total != 1 else ''}, {sick} unhealthy{off}"
