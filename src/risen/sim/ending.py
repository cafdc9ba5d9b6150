"""When a run has arrived: what must be so in the end, and the end without its names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from risen.core.names import InstanceName, PoolName, ReleaseId
from risen.core.spec import PoolRelease, Revision
from risen.sim.instances import Instance, Power
from risen.sim.workloads import Kind, healthy
from risen.sim.world import World


@dataclass(slots=True)
class Ending:
    """What a run has to come to: the revision in force, and how far it is followed."""

    revision: Revision
    releases: dict[PoolName, PoolRelease]
    """What every instance of a pool is of."""
    completed: int
    revoked: set[ReleaseId] = field(default_factory=set)
    mixed: set[PoolName] = field(default_factory=set)
    """Pools whose instances may be of more than one release."""
    gone: set[InstanceName] = field(default_factory=set)
    """Instances that may not be left."""
    left_to_do: str = ""
    """What people still have in mind; empty once they want no more."""
    addons: tuple[tuple[str, str], ...] = ()
    """What is in the API."""
    replicas: dict[PoolName, int] = field(default_factory=dict)
    """Where others than the revision own the number."""
    if_ill_fated: Ending | None = None
    """What is gone back to where a storm struck an instance of a release and that was revoked for it: right as well."""

    @classmethod
    def of(cls, revision: Revision) -> Ending:
        """The revision followed whole."""
        releases = {release.pool: release for release in revision.releases}
        return cls(revision, releases, revision.number, addons=revision.addons)

    def size(self, pool: PoolName) -> int:
        """How many instances a pool has in the end."""
        wanted = self.revision.spec.pool(pool)
        return self.replicas.get(pool, wanted.replicas if wanted is not None else 0)

    def gone_back_from(self, former: Ending, revoked: frozenset[ReleaseId] = frozenset()) -> Ending:
        """This revision is in force and not followed: instances are of what stood before."""
        return replace(
            self,
            releases=dict(former.releases),
            addons=former.addons,
            completed=former.completed,
            revoked=former.revoked | revoked,
        )

    def in_force(self, world: World) -> Ending:
        """This one, or the one that is right as well if it has come to that."""
        if self.if_ill_fated is None:
            return self
        history = world.history()
        struck = {
            history.lives[name].birth.release for name in world.instances.struck if name in history.lives
        }
        revoked = struck & history.revoked.keys()
        return self.gone_back_from(self.if_ill_fated, frozenset(revoked)) if revoked else self


def lacking(world: World, wanted: Ending) -> str:
    """What is not yet as it must be; empty once the cluster has arrived. Cheap tests come first."""
    ending = wanted.in_force(world)
    if ending.left_to_do:
        return ending.left_to_do
    if world.timeline.now <= world.instances.storm_until:
        return "the storm is not over"
    ours = [item for item in world.instances.all.values() if item.cluster == world.uid]
    for pool in ending.revision.spec.pools:
        count = sum(item.request.pool == pool.name for item in ours)
        if count != ending.size(pool.name):
            return f"pool {pool.name} has {count} of {ending.size(pool.name)} instances"
    for item in ours:
        if what := _instance_lacks(world, item, ending):
            return what
    if set(world.kubernetes.nodes) - {item.name for item in ours} - _foreign_nodes(world):
        return "there are Nodes without an instance"
    return (
        _etcd_lacks(world, ours) or _workload_lacks(world) or _records_lack(world, ending)
        or _verdicts_lack(world, ending)
    )  # fmt: skip


def _foreign_nodes(world: World) -> set[InstanceName]:
    return {node.name for node in world.kubernetes.nodes.values() if node.foreign}


def _instance_lacks(world: World, item: Instance, ending: Ending) -> str:
    pool = item.request.pool
    if item.request.image != ending.releases[pool].image and pool not in ending.mixed:
        return f"{item.name} is of {item.request.image}, not {ending.releases[pool].image}"
    if item.name in ending.gone:
        return f"{item.name} is still there"
    if item.power is not Power.RUNNING or not item.joined:
        return f"{item.name} is {item.power.value}, joined {item.joined!r}"
    node = world.kubernetes.nodes.get(item.name)
    if node is None or node.ready is not True:
        return f"Node {item.name} is not Ready"
    ours = [taint for taint in node.taints if taint.key.startswith("risen")]
    if node.unschedulable or ours:
        return f"Node {item.name} is cordoned, not yet marked or marked still: {node.taints}"
    if item.holds_etcd:
        backend = world.endpoint.backends.get(item.name)
        if backend is None or not backend.up or backend.draining:
            return f"{item.name} is no backend of the endpoint that is up"
    return ""


def _etcd_lacks(world: World, ours: list[Instance]) -> str:
    etcd = world.etcd
    wanted = sorted(item.name for item in ours if item.holds_etcd)
    voters = sorted(member.name for member in etcd.members.values() if not member.learner)
    if voters != wanted or len(etcd.members) != len(voters):
        return f"etcd members {voters} of {len(etcd.members)}, wanted voters {wanted}"
    if not etcd.works() or not all(etcd.up(member) for member in etcd.members.values()):
        return "an etcd member is down"
    if set(world.endpoint.backends) != set(wanted):
        return f"backends {sorted(world.endpoint.backends)}, wanted {wanted}"
    return ""


def _workload_lacks(world: World) -> str:
    api = world.kubernetes
    for deployment in api.deployments:
        wanted = len(api.nodes) if deployment.kind is Kind.DAEMON_SET else deployment.replicas
        ready = healthy(api, deployment)
        if ready < wanted:
            return f"{deployment.name}: {ready} of {wanted} pods serve"
    return ""


def _records_lack(world: World, ending: Ending) -> str:
    missing = [key for key, digest in ending.addons if world.kubernetes.addons.get(key) != digest]
    if missing:
        return f"add-ons missing: {missing}"
    if world.recorded_cluster_id() != world.etcd.cluster_id:
        return "the etcd cluster's id is not recorded"
    history = world.history()
    if history.open_entries:
        return f"open ledger entries: {[(entry.id, entry.subject) for entry in history.open_entries]}"
    if history.kills or history.replaces:
        return f"not done: {history.kills} {history.replaces}"
    return ""


def _verdicts_lack(world: World, ending: Ending) -> str:
    history = world.history()
    if set(history.revoked) != ending.revoked:
        return f"revoked are {sorted(history.revoked)}, not {sorted(ending.revoked)}"
    if history.completed != ending.completed:
        return f"revision {history.completed} stood whole last, not {ending.completed}"
    return ""


def end_state(world: World) -> tuple[str, ...]:
    """The cluster without its names: two runs that ended alike give equal values."""
    pools = sorted(
        f"{item.request.pool} {item.request.image} {item.power.value} "
        f"{'ours' if item.cluster == world.uid else 'foreign'}"
        for item in world.instances.all.values()
    )
    etcd, history = world.etcd, world.history()
    nodes = sorted(
        f"node ready={node.ready} cordoned={node.unschedulable} {sorted(node.labels)} {node.taints}"
        for node in world.kubernetes.nodes.values()
    )
    return (
        *pools,
        *nodes,
        f"voters {len(etcd.voters)} of {len(etcd.members)}, founded {len(etcd.foundings)}",
        f"backends {len(world.endpoint.backends)}",
        *sorted(f"addon {key} {digest}" for key, digest in world.kubernetes.addons.items()),
        f"completed {history.completed}, revoked {sorted(history.revoked)}",
    )
