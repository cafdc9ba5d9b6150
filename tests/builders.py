"""Values for tests of decisions: a cluster that stands and is healthy, from which a test takes something away."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from risen.core.deciding import decide
from risen.core.history import (
    Entry,
    History,
    KillIntent,
    Life,
    ReplaceIntent,
    Revoked,
    RolloutIntent,
    TaskResult,
)
from risen.core.judge.facts import Facts, look
from risen.core.judge.verdict import Judgement, judge
from risen.core.names import (
    ClusterUid,
    ImageDigest,
    InstanceName,
    MemberId,
    PoolName,
    ProviderId,
    ReleaseId,
    Role,
)
from risen.core.picture import (
    BackendSeen,
    BudgetSeen,
    EtcdSeen,
    InstanceSeen,
    InstanceState,
    KubernetesSeen,
    MemberSeen,
    NodeSeen,
    Picture,
    PodSeen,
    PortSeen,
    ProviderSeen,
    Seen,
    Unseen,
)
from risen.core.plan import Now, Plan, Supplies
from risen.core.ports import doors_of
from risen.core.rules.balancers import EXCLUDED, GOING
from risen.core.rules.nodes import wanted_labels, wanted_taints
from risen.core.spec import ClusterSpec, PoolRelease, PoolSpec, Repair, Revision
from risen.core.step import Birth, Bootstrap, Step, StepInFlight

UID = ClusterUid("uid-of-tests")
CP, W = PoolName("cp"), PoolName("w")
NOW = Now(boot=1000.0, unix=11000.0)
BORN_UNIX = 10000.0
ETCD_ID = "777"
HOST_BOOT = "boot-1"
SUPPLIES = Supplies(
    tuple(f"{one}{two}{two}{two}{two}" for one in "bcdfgh" for two in "23456"),
    tuple(f"{number:032x}" for number in range(30)),
)
RUNNING, STOPPED, GONE = InstanceState.RUNNING, InstanceState.STOPPED, InstanceState.GONE


def revision_of(
    control_plane: int = 3, workers: int = 2, repair: Repair | None = None, **pool_w: Any
) -> Revision:
    """What is wanted: pools `cp` and `w`."""
    pools = (
        PoolSpec(CP, Role.CONTROL_PLANE, control_plane),
        PoolSpec(W, Role.WORKER, workers, **pool_w),
    )
    spec = ClusterSpec("dev", "1.36.3", pools, repair=repair or Repair())
    releases = tuple(
        PoolRelease(pool.name, ReleaseId(f"r-{pool.name}"), ImageDigest(f"sha256:{pool.name}"))
        for pool in pools
    )
    return Revision(1, spec, releases)


def birth_of(name: str, entry: str = "", born: float = BORN_UNIX) -> Birth:
    """A birth record; the pool is the name's."""
    pool = PoolName(name.rpartition("-")[0])
    role = Role.CONTROL_PLANE if pool == CP else Role.WORKER
    release, image = ReleaseId(f"r-{pool}"), ImageDigest(f"sha256:{pool}")
    return Birth(InstanceName(name), pool, role, release, image, "0" * 32, "bring-up", born, entry)


def id_of(name: str) -> ProviderId:
    """The provider id of an instance."""
    return ProviderId(f"risen-local://dev/{name}/1")


def life_of(name: str, **changes: Any) -> Life:
    """A life that has seen everything: launched, joined, ready."""
    life = Life(birth_of(name), id_of(name), BORN_UNIX, BORN_UNIX + 5, BORN_UNIX + 9)
    return replace(life, **changes)


def pod_of(name: str, node: str, **changes: Any) -> PodSeen:
    """A ready pod of no daemon."""
    owner = f"ReplicaSet/{name.partition('-')[0]}"
    return replace(PodSeen("default", name, f"uid-{name}", InstanceName(node), True, owner=owner), **changes)


@dataclass
class Cluster:
    """A picture and a history in the making. `standing` gives a healthy one."""

    revision: Revision
    lives: dict[str, Life] = field(default_factory=dict)
    instances: dict[str, InstanceSeen] = field(default_factory=dict)
    nodes: dict[str, NodeSeen] = field(default_factory=dict)
    members: dict[str, MemberSeen] = field(default_factory=dict)
    backends: dict[str, BackendSeen] = field(default_factory=dict)
    pods: list[PodSeen] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    kills: list[KillIntent] = field(default_factory=list)
    bootstraps: list[Bootstrap] = field(default_factory=list)
    addons: tuple[tuple[str, str], ...] = ()
    lease_holders: tuple[tuple[str, str], ...] = (("kube-controller-manager", "cp-a_1"),)
    leases_until_unix: tuple[tuple[str, float], ...] | None = None
    """None: they have just been renewed."""
    endpoint_leases: tuple[str, ...] = ()
    etcd_id: str = ETCD_ID
    """As recorded; empty before etcd was first seen."""
    answering_id: str = ETCD_ID
    quorum_lost: bool = False
    host_boot: str = HOST_BOOT
    unseen: dict[str, str] = field(default_factory=dict)
    unseen_for_seconds: float = 30.0
    api_back_for: float | None = None
    """Seconds since when the API answers again after it did not; None where it always did."""
    etcd_as_of: float | None = None
    """None: now."""
    in_flight: list[Step] = field(default_factory=list)
    now: Now = NOW
    completed: int = 0
    completed_but: tuple[str, ...] = ()
    settled: tuple[PoolRelease, ...] = ()
    settled_addons: tuple[tuple[str, str], ...] = ()
    passed: dict[ReleaseId, tuple[str, ...]] = field(default_factory=dict)
    revoked: dict[ReleaseId, Revoked] = field(default_factory=dict)
    orders: dict[int, RolloutIntent] = field(default_factory=dict)
    halts: dict[int, tuple[tuple[ReleaseId, str], ...]] = field(default_factory=dict)
    gone_past: dict[int, tuple[str, ...]] = field(default_factory=dict)
    scaled: dict[PoolName, int] = field(default_factory=dict)
    replaces: list[ReplaceIntent] = field(default_factory=list)
    results: dict[str, TaskResult] = field(default_factory=dict)
    budgets: list[BudgetSeen] = field(default_factory=list)
    attachments: list[tuple[str, InstanceName]] = field(default_factory=list)
    silent: dict[tuple[str, str], float] = field(default_factory=dict)
    """Programs by instance that do not answer at their ports, and for how long they have not, in seconds."""
    answer_since: float = 0.0
    """Since when all others do; 0 where they always did."""

    @classmethod
    def standing(cls, control_plane: int = 3, workers: int = 2, repair: Repair | None = None) -> Cluster:
        """A healthy cluster: cp-a, cp-b, … and w-a, w-b, …"""
        cluster = cls(revision_of(control_plane, workers, repair))
        for letter in "abcdefgh"[:control_plane]:
            cluster.serve(f"cp-{letter}")
        for letter in "abcdefgh"[:workers]:
            cluster.serve(f"w-{letter}")
        cluster.bootstraps.append(Bootstrap(1, InstanceName("cp-a"), "token"))
        cluster.complete()
        return cluster

    def complete(self) -> Cluster:
        """Every instance is on the revision wanted, and that is on record."""
        self.completed, self.settled = self.revision.number, self.revision.releases
        self.settled_addons = self.revision.addons
        self.passed |= {release.release: ("completed",) for release in self.settled}
        return self

    def apply(self, *pools: PoolName, release: str = "new", **spec: Any) -> Cluster:
        """A revision more, with a release of that suffix for these pools; `spec` changes the spec's fields."""
        releases = tuple(
            PoolRelease(
                one.pool, ReleaseId(f"r-{one.pool}-{release}"), ImageDigest(f"sha256:{one.pool}-{release}")
            )
            if one.pool in pools
            else one
            for one in self.revision.releases
        )
        self.revision = replace(
            self.revision,
            number=self.revision.number + 1,
            releases=releases,
            spec=replace(self.revision.spec, **spec),
            applied_unix=self.now.unix - 100,
        )
        return self

    def of_release(self, name: str, suffix: str = "new") -> Cluster:
        """Let an instance be of that release of its pool."""
        life = self.lives[name]
        release = ReleaseId(f"r-{life.birth.pool}-{suffix}")
        image = ImageDigest(f"sha256:{life.birth.pool}-{suffix}")
        self.lives[name] = replace(life, birth=replace(life.birth, release=release, image=image))
        pool = self.revision.spec.pool(life.birth.pool)
        if name in self.nodes and pool is not None:
            self.nodes[name] = replace(self.nodes[name], labels=wanted_labels(pool, release, image))
        return self

    @classmethod
    def nothing(cls, control_plane: int = 3, workers: int = 2) -> Cluster:
        """Before anything was done: no birth, nothing seen, etcd and Kubernetes do not answer."""
        cluster = cls(revision_of(control_plane, workers), etcd_id="")
        cluster.unseen = {"etcd": "Unreachable: no address", "kubernetes": "Unreachable: no backend"}
        return cluster

    def run(self, name: str, /, **changes: Any) -> Cluster:
        """A running instance with a birth, at an address of its own."""
        self.lives.setdefault(name, life_of(name, joined_at_unix=None, ready_at_unix=None))
        address = f"10.77.0.{10 + len(self.instances)}"
        seen = InstanceSeen(InstanceName(name), id_of(name), UID, RUNNING, address, HOST_BOOT)
        self.instances[name] = replace(seen, **changes)
        return self

    def join(self, name: str, /, **changes: Any) -> Cluster:
        """A running instance's member, voter and healthy unless said otherwise."""
        number = 101 + len(self.members)
        url = f"https://{self.instances[name].address}:2380"
        self.members[name] = replace(
            MemberSeen(MemberId(str(number)), name, url, False, True, leader=not self.members), **changes
        )
        return self

    def serve(self, name: str, /, **life: Any) -> Cluster:
        """An instance that does all it is for."""
        self.lives[name] = life_of(name, **life)
        self.run(name)
        pool = self.revision.spec.pool(self.lives[name].birth.pool)
        if pool is not None and pool.role is Role.CONTROL_PLANE:
            self.join(name)
            address = self.instances[name].address or ""
            self.backends[name] = BackendSeen(InstanceName(name), address, True)
        birth = self.lives[name].birth
        labels = wanted_labels(pool, birth.release, birth.image) if pool else ()
        taints = wanted_taints(pool) if pool else ()
        self.nodes[name] = NodeSeen(
            InstanceName(name), f"node-{name}", id_of(name), True, labels=labels, taints=taints,
            lease_renewed_unix=NOW.unix - 3,
        )  # fmt: skip
        return self

    def off_balancers(self, name: str, since: str = "0") -> Cluster:
        """Cordoned, and marked for load balancers to leave it."""
        node = self.nodes[name]
        labels, taints = (*node.labels, (EXCLUDED, since)), (*node.taints, GOING)
        self.nodes[name] = replace(node, unschedulable=True, our_cordon=True, labels=labels, taints=taints)
        return self

    def stop(self, name: str, ago: float = 60.0) -> Cluster:
        """Powered off `ago` seconds ago; its member does not answer, its Node is not seen to be late yet."""
        seen = replace(self.instances[name], state=STOPPED, stopped_at=NOW.boot - ago)
        self.instances[name] = replace(seen, power_pressed_at=None)
        self._member_down(name)
        return self

    def lose(self, name: str) -> Cluster:
        """Proven gone."""
        seen = self.instances[name]
        self.instances[name] = replace(seen, state=GONE, address=None, cluster=None)
        self._member_down(name)
        return self

    def _member_down(self, name: str) -> None:
        if name in self.members:
            self.members[name] = replace(self.members[name], healthy=False, leader=False)

    def bury(self, name: str) -> Cluster:
        """Gone, and nothing is left of it elsewhere."""
        self.lose(name)
        for part in (self.members, self.backends, self.nodes):
            part.pop(name, None)
        return self

    def open(
        self, subject: str, reason: str = "repair", opened: float = NOW.unix - 20, **changes: Any
    ) -> Cluster:
        """An open ledger entry `SUBJECT-1`."""
        entry = Entry(f"{subject}-1", InstanceName(subject), reason, ("seen",), opened)
        self.entries[entry.id] = replace(entry, **changes)
        return self

    def kill(self, name: str, accept_data_loss: bool = False) -> Cluster:
        """A person's intent."""
        self.kills.append(KillIntent("kill-1", InstanceName(name), "because", accept_data_loss))
        return self

    def picture(self) -> Picture:
        """What is seen."""
        until = self.leases_until_unix
        if until is None:
            until = tuple((lease, self.now.unix + 13) for lease, _ in self.lease_holders)
        kubernetes = KubernetesSeen(
            tuple(self.nodes.values()), tuple(self.pods), self.addons, self.lease_holders,
            tuple(self.budgets), tuple(self.attachments), until,
        )  # fmt: skip
        members, leases = tuple(self.members.values()), self.endpoint_leases
        etcd = EtcdSeen(self.answering_id, members, self.quorum_lost, endpoint_leases=leases)
        return Picture(
            provider=self._unseen("provider")
            or Seen(ProviderSeen(tuple(self.instances.values()), self.host_boot), self.now.boot),
            kubernetes=self._unseen("kubernetes")
            or Seen(
                kubernetes, self.now.boot, self.now.boot - self.api_back_for if self.api_back_for else 0.0
            ),
            etcd=self._unseen("etcd")
            or Seen(etcd, self.etcd_as_of if self.etcd_as_of is not None else self.now.boot),
            endpoint=self._unseen("endpoint") or Seen(tuple(self.backends.values()), self.now.boot),
            in_flight=tuple(StepInFlight(step, self.now.boot - 1) for step in self.in_flight),
            ports=self._unseen("ports") or Seen(self._ports(), self.now.boot),
        )

    def _ports(self) -> tuple[PortSeen, ...]:
        """Of all that run: each program answers, but for those in `silent`."""
        found: list[PortSeen] = []
        for name, seen in self.instances.items():
            if seen.state is not RUNNING or name not in self.lives:
                continue
            for door in doors_of(seen.name, self.lives[name].birth.role, seen.address or ""):
                ago = self.silent.get((name, door.program))
                since = self.now.boot - ago if ago is not None else self.answer_since
                found.append(PortSeen(door.instance, door.program, door.port, ago is None, since))
        return tuple(found)

    def _unseen(self, section: str) -> Unseen | None:
        error = self.unseen.get(section)
        return Unseen(error, self.now.boot - self.unseen_for_seconds) if error is not None else None

    def history(self) -> History:
        """What is remembered."""
        return History(
            cluster=UID,
            lives={InstanceName(name): life for name, life in self.lives.items()},
            bootstraps=tuple(self.bootstraps),
            etcd_cluster_id=self.etcd_id,
            entries=dict(self.entries),
            kills=tuple(self.kills),
            replaces=tuple(self.replaces),
            orders=dict(self.orders),
            halts=dict(self.halts),
            gone_past=dict(self.gone_past),
            scaled=dict(self.scaled),
            passed=dict(self.passed),
            revoked=dict(self.revoked),
            completed=self.completed,
            completed_but=self.completed_but,
            settled=self.settled,
            settled_addons=self.settled_addons,
            results=dict(self.results),
        )

    def facts(self) -> Facts:
        """Both, side by side."""
        return look(self.picture(), self.history(), self.now)

    def judged(self, name: str) -> Judgement:
        """The verdict on one."""
        return judge(self.facts())[InstanceName(name)]

    def plan(self) -> Plan:
        """The decision."""
        return decide(self.revision, self.picture(), self.history(), self.now, SUPPLIES)

    def steps(self, *kinds: type) -> list[Step]:
        """Steps of the decision, of these kinds if any are named."""
        return [step for step in self.plan().steps if not kinds or isinstance(step, kinds)]

    def blocked(self) -> dict[str, str]:
        """Refusals by name; the last `why` of each."""
        return {blocked.name: blocked.why for blocked in self.plan().blocked}
