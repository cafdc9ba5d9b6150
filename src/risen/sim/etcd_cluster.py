"""The truth about etcd: membership, quorum, leader, what each disk holds. Refuses what etcd 3.6 refuses.

A commit reaches every started voter but at most one straggler, never less than a majority, so that losing
data is possible exactly where it is in reality. Source: etcd 3.6 server/etcdserver/server.go (mayAddMember,
mayRemoveMember, mayPromote).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from risen.core.names import InstanceName, MemberId
from risen.core.picture import EtcdSeen, MemberSeen
from risen.interfaces.errors import Conflict, Corrupt, Later, NotFound, Unreachable
from risen.sim.truths import Truth

if TYPE_CHECKING:
    from risen.sim.instances import Instance
    from risen.sim.world import World

CONNECTED_SECONDS = 5.0
"""A voter counts as connected once it has been up that long."""
SLOW_SHARE = 0.2
SLOW_SECONDS = (3.0, 12.0)
"""So many of those that start take so long to get what they lack."""


@dataclass(slots=True)
class Member:
    """A member of the current configuration."""

    id: str
    peer_url: str
    learner: bool
    name: str = ""
    match: int = 0
    """The revision its disk holds."""
    synced: bool = False


@dataclass(slots=True)
class EtcdTruth:
    """One cluster's consensus, as if seen from above."""

    world: World
    cluster_id: str = ""
    members: dict[str, Member] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    leader: str = ""
    revision: int = 0
    foundings: list[str] = field(default_factory=list)
    lost_disks: set[str] = field(default_factory=set)
    elections: int = 0
    ids: int = 0
    names: dict[str, str] = field(default_factory=dict)
    """Instance names of all members there ever were."""
    alarms: set[str] = field(default_factory=set)
    """NOSPACE, or CORRUPT of its leader."""
    strangers: set[str] = field(default_factory=set)
    """Addresses where a member of another cluster answers."""
    endpoint_leases: dict[str, float] = field(default_factory=dict)
    """Until when an apiserver's address is held to be an endpoint of the Service `kubernetes`."""
    down_at: dict[str, float] = field(default_factory=dict)
    """When each member that ever went down last did."""
    compacted: int = 0
    """Revisions below are not kept."""

    # --- facts --------------------------------------------------------------------------------------------
    @property
    def voters(self) -> list[Member]:
        """Members that vote."""
        return [member for member in self.members.values() if not member.learner]

    def instance_of(self, member: Member) -> Instance | None:
        """The instance on whose disk this member's data lies."""
        for item in self.world.instances.all.values():
            if item.member == member.id:
                return item
        return None

    def up(self, member: Member, seconds: float = 0.0) -> bool:
        """Whether it runs, and has for so many seconds."""
        item = self.instance_of(member)
        return item is not None and item.etcd_since is not None and (
            item.etcd_since + seconds <= self.world.timeline.now
        )  # fmt: skip

    def has_quorum(self) -> bool:
        """Whether a majority of the voters runs (with or without a leader)."""
        voters = self.voters
        return sum(self.up(voter) for voter in voters) > len(voters) // 2

    def works(self) -> bool:
        """Whether it answers linearizably now."""
        return bool(self.leader) and self.has_quorum()

    def electing(self) -> bool:
        """Whether a quorum runs and has no leader yet."""
        return not self.leader and bool(self.members) and self.has_quorum()

    def disks_safe(self) -> bool:
        """Whether a majority of the voters still has its disk, one of them with the newest revision.

        A voter that has been added but never started is no disk.
        """
        return self.survives_without("")

    def survives_without(self, member_id: str) -> bool:
        """Whether a majority of the voters' disks, one with the newest revision, is left without this one."""
        disks = [
            voter for voter in self.voters if voter.id != member_id and self.instance_of(voter) is not None
        ]
        return len(disks) > len(self.voters) // 2 and any(voter.match >= self.revision for voter in disks)

    def may_lose(self, member_id: str) -> bool:
        """Whether chance may take this disk: it holds no member, or every voter runs and enough are left."""
        if member_id not in self.members:
            return True
        return all(self.up(voter) for voter in self.voters) and self.survives_without(member_id)

    # --- what members ask of it ---------------------------------------------------------------------------
    def observe(self, addresses: tuple[str, ...]) -> EtcdSeen:
        """Raises Unreachable when no member answers on any of these addresses, Corrupt for two clusters."""
        asked = [item for item in self.world.instances.all.values() if item.address in addresses]
        answers = [item for item in asked if item.etcd_since is not None and item.member in self.members]
        if not answers:
            raise Unreachable("no etcd member answers")
        if self.strangers & set(addresses):
            raise Corrupt("members of 2 different etcd clusters answer")
        reached = {item.member for item in answers}
        lost = not (self.works() and any(not self.members[member].learner for member in reached))
        members = [self._seen(member, member.id in reached) for member in self.members.values()]
        by_id = tuple(sorted(members, key=lambda seen: seen.id))
        leases = (key for key, until in self.endpoint_leases.items() if until > self.world.timeline.now)
        return EtcdSeen(self.cluster_id, by_id, lost, tuple(sorted(self.alarms)), tuple(sorted(leases)))

    def _seen(self, member: Member, reached: bool) -> MemberSeen:
        corrupt = "CORRUPT" in self.alarms and member.id == self.leader
        healthy = reached and bool(self.leader) and not corrupt
        return MemberSeen(
            MemberId(member.id), member.name, member.peer_url, member.learner, healthy,
            healthy and member.id == self.leader, member.match if reached else 0, member.match if reached else 0,
            4096 * member.match if reached else 0,
        )  # fmt: skip

    def _need_quorum(self) -> None:
        if not any(self.up(member) for member in self.members.values()):
            raise Unreachable("no etcd member answers")
        if not self.works():
            raise Later("etcdserver: no leader")

    def add_learner(self, peer_url: str) -> MemberId:
        """Raises Later, Conflict, Unreachable as the interface says."""
        self._need_quorum()
        if any(member.peer_url == peer_url for member in self.members.values()):
            raise Conflict(f"etcdserver: {peer_url} is a member already")
        if any(member.learner for member in self.members.values()):
            raise Later("etcdserver: too many learner members in cluster")
        if not all(self.up(voter, CONNECTED_SECONDS) for voter in self.voters):
            raise Later("etcdserver: unhealthy cluster")
        member = Member(self._new_id(peer_url), peer_url, learner=True)
        self.members[member.id] = member
        self.commit()
        return MemberId(member.id)

    def promote(self, member_id: MemberId) -> None:
        """Raises Later while the learner is not in sync, NotFound, Conflict when it votes already."""
        self._need_quorum()
        member = self.members.get(member_id)
        if member is None:
            raise NotFound(f"etcdserver: no member {member_id}")
        if not member.learner:
            raise Conflict("etcdserver: can only promote a learner member")
        if not member.synced or not self.up(member):
            raise Later("etcdserver: can only promote a learner member which is in sync with leader")
        member.learner = False
        member.match = self.revision
        self.commit()
        self._settle()

    def remove(self, member_id: MemberId) -> None:
        """Raises Later when too few of the rest are connected, NotFound."""
        self._need_quorum()
        member = self.members.get(member_id)
        if member is None:
            raise NotFound(f"etcdserver: no member {member_id}")
        if not member.learner and self.up(member):
            connected = sum(self.up(voter, CONNECTED_SECONDS) for voter in self.voters)
            if connected - 1 < 1 + (len(self.voters) - 1) // 2:
                raise Later("etcdserver: unhealthy cluster")
        del self.members[member_id]
        self.removed.add(member_id)
        item = self.instance_of(member)
        if item is not None:
            item.etcd_since, item.apiserver = None, False
        if self.leader == member_id:
            self.leader = ""
        self.commit()
        self._settle()
        self.world.endpoint.look_soon()

    def move_leader(self, leader: MemberId, to: MemberId) -> None:
        """Works only when asked of the leader, to a voter that runs."""
        self._need_quorum()
        target = self.members.get(to)
        if self.leader != leader:
            raise Conflict("etcdserver: not leader")
        if target is None or target.learner or not self.up(target):
            raise Later("etcdserver: bad leader transferee")
        self.leader = to

    def remove_endpoint_lease(self, address: str) -> None:
        """None there is done. Raises Later, Unreachable."""
        self._need_quorum()
        self.endpoint_leases.pop(address, None)
        self.commit()

    def hash_kv(self, member_id: MemberId, revision: int) -> tuple[int, int]:
        """(hash, compact revision), the same of all. Raises Unreachable, NotFound (compacted), Later."""
        member = self.members.get(member_id)
        if member is None or not self.up(member):
            raise Unreachable(f"member {member_id} does not answer")
        if revision < self.compacted:
            raise NotFound("etcdserver: mvcc: required revision has been compacted")
        if member.match < revision:
            raise Later("etcdserver: mvcc: required revision is a future revision")
        return revision * 2654435761 % 2**32, self.compacted

    # --- what happens by itself ---------------------------------------------------------------------------
    def _new_id(self, salt: str) -> str:
        self.ids += 1
        digest = hashlib.sha256(f"{salt}/{self.ids}/{self.cluster_id}".encode()).digest()
        return str(int.from_bytes(digest[:8], "big"))

    def start(self, name: str, boot: int) -> None:
        """etcd of an instance starts: from its data, as founder, or as the learner that was added for it."""
        item = self.world.instances.alive(name, boot)
        if item is None or item.etcd_since is not None:
            return
        line = self.world.timeline
        if item.member and item.member not in self.members:
            item.console.append("etcd: the member has been permanently removed from the cluster")
            return
        if not item.member and item.joined == "new":
            self._found(item)
        if not item.member:
            member = next((one for one in self.members.values() if one.peer_url == item.peer_url), None)
            if member is None or member.name or not self.works():
                item.console.append("etcd: no such member yet")
                line.after(1.0, self.start, name, boot)
                return
            item.member, member.name = member.id, item.name
            self.names[member.id] = item.name
        item.etcd_since = line.now
        bounds = SLOW_SECONDS if line.chance(SLOW_SHARE) else (0.3, 2.0)
        line.after(line.draw(*bounds), self.catch_up, item.member, boot)
        self._settle()

    def _found(self, item: Instance) -> None:
        self.foundings.append(item.name)
        self.cluster_id = str(
            int(hashlib.sha256(item.request.user_data + item.name.encode()).hexdigest()[:15], 16)
        )
        member = Member(
            self._new_id(item.peer_url), item.peer_url, learner=False, name=item.name, synced=True
        )
        self.members, self.names = {member.id: member}, {member.id: item.name}
        item.member = member.id

    def catch_up(self, member_id: str, boot: int) -> None:
        """A member that lags gets what it lacks, as soon as there is a leader to get it from."""
        member = self.members.get(member_id)
        if member is None:
            return
        item = self.instance_of(member)
        if item is None or item.boot != boot or item.etcd_since is None:
            return
        if not self.works():
            self.world.timeline.after(0.5, self.catch_up, member_id, boot)
            return
        member.match, member.synced = self.revision, True

    def commit(self) -> None:
        """One more revision: on every running voter but at most one straggler, and on a majority.

        Raises AssertionError where no majority runs: whoever writes there has not asked whether etcd works.
        """
        if not self.has_quorum():
            raise AssertionError("the simulation wrote to an etcd that has no quorum")
        line = self.world.timeline
        self.revision += 1
        running = [voter for voter in self.voters if self.up(voter)]
        spare = len(running) - (len(self.voters) // 2 + 1)
        followers = [voter for voter in running if voter.id != self.leader]
        straggler = line.random.choice(followers) if spare > 0 and followers and line.chance(0.1) else None
        for voter in running:
            if voter is straggler:
                item = self.instance_of(voter)
                line.after(
                    line.draw(0.05, 0.5), self.catch_up, voter.id, item.boot if item is not None else 0
                )
            else:
                voter.match = self.revision

    def member_down(self, member_id: str) -> None:
        """Its instance has gone off."""
        self.down_at[member_id] = self.world.timeline.now
        if member_id and member_id == self.leader:
            self.leader = ""
        self._settle()

    def disk_lost(self, member_id: str) -> None:
        """Chance, not we, took its disk."""
        if member_id in self.members:
            self.lost_disks.add(member_id)

    def _settle(self) -> None:
        """Plan an election when there is a quorum without a leader."""
        if not self.leader and self.voters and self.has_quorum():
            self.elections += 1
            line = self.world.timeline
            line.after(line.draw(0.2, 1.2), self.elect, self.elections)

    def elect(self, election: int) -> None:
        """The running voter with the longest log leads."""
        if election != self.elections or self.leader or not self.has_quorum():
            return
        running = [voter for voter in self.voters if self.up(voter)]
        best = max(running, key=lambda voter: (voter.match, voter.id))
        self.leader = best.id
        if best.match < self.revision:
            self.world.violation(
                Truth.NOTHING_LOST, f"etcd lost revisions {best.match + 1} to {self.revision}"
            )
            self.revision = best.match
        self.world.endpoint.look_soon()

    def name_of(self, member_id: str) -> InstanceName:
        """The instance a member belongs to; empty when unknown."""
        member = self.members.get(member_id)
        return InstanceName(member.name if member is not None else "")
