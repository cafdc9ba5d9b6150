"""One seeded world: provider, endpoint, etcd, Kubernetes and store, with the join rules between them.

It is plain data with its own timeline; nothing here knows an engine, an incarnation or asyncio. A world at rest
can be copied (`World.copied`), so that many faults are tried on one brought-up cluster.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from risen.codec import records
from risen.core.events import BootstrapWritten, Born, ClusterIdSeen, Joined
from risen.core.fold import apply
from risen.core.history import History
from risen.core.names import ClusterUid, ImageDigest, InstanceName, PoolName, Role
from risen.core.spec import Revision
from risen.core.step import Birth, Bootstrap
from risen.sim.api_endpoint import EndpointTruth
from risen.sim.bucket import Bucket
from risen.sim.etcd_cluster import EtcdTruth
from risen.sim.images import Behaviour
from risen.sim.instances import Instance, Instances
from risen.sim.kubelets import Kubelets
from risen.sim.kubernetes_api import KubernetesTruth
from risen.sim.timeline import WorldTimeline
from risen.sim.workloads import Deployment

UNIX_AT_START = 1_800_000_000.0


def brings_nothing(key: str, digest: str) -> tuple[Deployment, ...]:
    """Add-ons that run nothing."""
    return ()


@dataclass(slots=True)
class World:
    """Everything there is. Made by `World.fresh`."""

    uid: ClusterUid
    timeline: WorldTimeline
    any_pool: PoolName
    any_image: ImageDigest
    network_addons: tuple[str, ...] = ()
    images: dict[ImageDigest, Behaviour] = field(default_factory=dict)
    """What is wrong with which image."""
    addon_deployments: Callable[[str, str], tuple[Deployment, ...]] = brings_nothing
    """What an add-on of a key and digest runs."""
    store: Bucket = field(default_factory=Bucket)
    failing_gates: frozenset[tuple[str, str]] = frozenset()
    """(name, release) of the gates that a release does not pass."""
    controller_alive: bool = False
    """Join is answered by a living controller."""
    denied: set[str] = field(default_factory=set)
    """Interfaces (`etcd`, `kubernetes`) whose servers do not accept the controller's certificate or rights."""
    violations: list[str] = field(default_factory=list)
    known: History | None = None
    known_seq: int = 0
    instances: Instances = field(init=False)
    etcd: EtcdTruth = field(init=False)
    kubernetes: KubernetesTruth = field(init=False)
    kubelets: Kubelets = field(init=False)
    endpoint: EndpointTruth = field(init=False)

    def __post_init__(self) -> None:
        self.instances = Instances(self)
        self.etcd = EtcdTruth(self)
        self.kubernetes = KubernetesTruth(self)
        self.kubelets = Kubelets(self)
        self.endpoint = EndpointTruth(self)

    @classmethod
    def fresh(cls, seed: int, revision: Revision) -> World:
        """An empty world whose store holds a cluster record and the revision wanted."""
        random = Random(seed)
        pool = revision.releases[0]
        world = cls(
            ClusterUid(f"{random.getrandbits(64):016x}"), WorldTimeline(random), pool.pool, pool.image
        )
        record = records.ClusterRecord(world.uid, revision.spec.name, UNIX_AT_START)
        world.store.put(records.CLUSTER, records.encode(record), None)
        world.want(revision)
        world.timeline.after(0.0, world.kubernetes.tick)
        return world

    def want(self, revision: Revision) -> None:
        """Put a revision into the store, as `apply` does."""
        self.store.put(records.revision_key(revision.number), records.encode(revision), None)

    def newest_revision(self) -> Revision:
        """The revision in force, of those that are in a form known here."""
        key = [one for one in self.store.list(records.REVISIONS) if one not in self.store.newer][-1]
        return records.decode(self.store.objects[key].data, Revision, key)

    def copied(self) -> World:
        """A second world, the same to the last random bit. Only at rest: nothing may be under way."""
        world: World = pickle.loads(pickle.dumps(self))
        return world

    def unix(self, at: float | None = None) -> float:
        """Wall-clock seconds at a virtual moment (now by default)."""
        return UNIX_AT_START + (self.timeline.now if at is None else at)

    def violation(self, truth: str, text: str) -> None:
        """Something has happened that may never happen: what it breaks, by name (`truths.py`), and what it was."""
        self.violations.append(f"{self.timeline.now:.3f}s {truth}: {text}")

    # --- what the store says, read from its truth ----------------------------------------------------------
    def history(self) -> History:
        """As a controller that starts now would fold it; only what is new is read."""
        history = self.known if self.known is not None else History(self.uid)
        for number, data in self.store.read(records.EVENTS, self.known_seq):
            history, self.known_seq = apply(history, records.decode_event(data, number)), number
        for key in self.store.list(records.BIRTHS):
            if InstanceName(key.removeprefix(records.BIRTHS)) not in history.lives:
                birth = records.decode(self.store.objects[key].data, Birth, key)
                history = apply(history, Born(self.unix(), birth))
        for bootstrap in self.bootstraps():
            history = apply(history, BootstrapWritten(self.unix(), bootstrap))
        if (cluster_id := self.recorded_cluster_id()) and not history.etcd_cluster_id:
            history = apply(history, ClusterIdSeen(self.unix(), cluster_id))
        self.known = history
        return history

    def bootstraps(self) -> tuple[Bootstrap, ...]:
        """Bootstrap objects by generation."""
        keys = self.store.list(records.BOOTSTRAPS)
        return tuple(records.decode(self.store.objects[key].data, Bootstrap, key) for key in keys)

    def recorded_cluster_id(self) -> str:
        """Empty while none is recorded."""
        key = records.ETCD_CLUSTER_ID
        there = self.store.get(key)
        return "" if there is None else records.decode(there.data, records.EtcdClusterId, key).cluster_id

    def born(self, name: InstanceName) -> bool:
        """Whether there is a birth record."""
        return self.store.get(records.birth_key(name)) is not None

    # --- join ----------------------------------------------------------------------------------------------
    def join_answer(self, item: Instance) -> str:
        """What join answers: `worker`, `new` (found a cluster), `existing`, or empty for later.

        A founder is answered only while its bootstrap is the newest and no cluster id is recorded; any other
        that holds etcd only once etcd has a member of its peer URL that has not started.
        """
        if not self.controller_alive or not self.store.takes_writes:
            return ""
        if not self.born(item.name):
            item.condemned = "no such birth"
            return ""
        answer = "worker"
        if item.request.role is not Role.WORKER:
            answer = self._etcd_answer(item)
        if answer:
            self.store.append(records.EVENTS, records.encode(Joined(self.unix(), item.name)))
        return answer

    def _etcd_answer(self, item: Instance) -> str:
        bootstraps = self.bootstraps()
        if bootstraps and bootstraps[-1].founder == item.name and not self.recorded_cluster_id():
            return "new"
        if not self.etcd.works():
            return ""
        for member in self.etcd.members.values():
            if member.peer_url == item.peer_url and not member.name:
                return "existing"
        return ""
