"""What is simulated: the cluster wanted, what happens to it, and when it counts as arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from risen.core.names import ImageDigest, PoolName, ReleaseId, Role, image_label
from risen.core.spec import ClusterSpec, PoolRelease, PoolSpec, Revision
from risen.sim.images import Behaviour
from risen.sim.workloads import Deployment, Kind

NETWORK_ADDON = "rbac.authorization.k8s.io/v1/ClusterRoleBinding//risen:network"
DNS_ADDON = "apps/v1/Deployment/kube-system/coredns"
CONTROL_PLANE = PoolName("control-plane")
WORKER = PoolName("worker")
BATCH = PoolName("batch")
"""A second pool of workers, where a scenario has one; its turn comes before that of `worker`."""
FIRST: Mapping[PoolName, int] = MappingProxyType({})
"""Every pool's first release."""


class Happening(StrEnum):
    """What befalls a cluster that has come up."""

    NOTHING = "nothing"
    KILL_WORKER = "kill-worker"
    KILL_FOLLOWER = "kill-follower"
    KILL_LEADER = "kill-leader"
    LOSE_WORKER = "lose-worker"
    LOSE_FOLLOWER = "lose-follower"
    LOSE_LEADER = "lose-leader"
    POWER_CUT = "power-cut"
    ASK_KILL_WORKER = "ask-kill-worker"
    """A person asks for it."""
    ASK_KILL_LEADER = "ask-kill-leader"
    NEVER_JOINS = "never-joins"
    """The next instance that is launched never joins; another worker is wanted."""
    STORM = "storm"
    """Kills of random instances at random moments, one of them with its disk, perhaps a power cut."""
    SCALE_UP = "scale-up"
    SCALE_DOWN = "scale-down"
    MORE_VOTERS = "more-voters"
    """Two more control-plane instances are wanted."""
    FEWER_VOTERS = "fewer-voters"
    """Two fewer."""
    # --- rollouts: a revision is applied; its images behave as the scenario says ----------------------------
    ROLL_WORKERS = "roll-workers"
    ROLL_CONTROL_PLANE = "roll-control-plane"
    ROLL_ALL = "roll-all"
    SURGE_0 = "surge-0"
    """Workers are rolled without one more."""
    SURGE_2 = "surge-2"
    """Workers are rolled two at a time."""
    UNDO = "undo"
    """In mid-rollout the former revision is applied again."""
    ABORT = "abort"
    ABORT_DRAINING = "abort-draining"
    """While the first old control-plane instance is being drained."""
    PAUSE_RESUME = "pause-resume"
    NEWER_APPLY = "newer-apply"
    APPLY_TWICE = "apply-twice"
    """A second revision is applied within the same second."""
    AGAIN_AFTER_BAD = "again-after-bad"
    """A bad revision, and once that is gone back from, a good one."""
    REPLACE_WORKER = "replace-worker"
    REPLACE_FOLLOWER = "replace-follower"
    REPLACE_LEADER = "replace-leader"
    EXPIRE = "expire"
    AUTOSCALED = "autoscaled"
    """Somebody else owns the number of workers and changes it in mid-rollout."""
    # --- rollouts with something in their way ---------------------------------------------------------------
    BUDGET_BLOCKS = "budget-blocks"
    """A budget allows nothing, until its owner gives way."""
    BUDGETS_HOLD = "budgets-hold"
    """Budgets hold two workers. One owner gives way once the other's drain has taken too long, the other at last."""
    POOL_HELD = "pool-held"
    """A budget holds the only instance of one pool until the release of another pool is tried."""
    BUDGET_SKIPPED = "budget-skipped"
    BUDGET_FORCED = "budget-forced"
    KILL_DRAINING = "kill-draining"
    """A budget holds a drain; a person ends that instance, and the budget's owner gives way later."""
    PROTECTED = "protected"
    """A pod asks not to be disrupted, until its owner deletes it."""
    PROTECTED_DRAINING = "protected-draining"
    """A pod asks so while its instance is drained. Its budget allows it to go then; its owner a while later."""
    PROTECTED_FORCED = "protected-forced"
    """A pod asks so while its instance is drained, and for longer than a drain may take before pods are forced."""
    LEARNER_LEFT_BEHIND = "learner-left-behind"
    MEMBER_WITHOUT_INSTANCE = "member-without-instance"
    PROVIDER_LYING = "provider-lying"
    BOOT_HANGS = "boot-hangs"
    """The boot of the second instance of a release that has passed."""
    NO_CAPACITY = "no-capacity"
    """No room comes until somebody has read in the ledger that there is none."""
    STORE_AWAY = "store-away"
    """For ten minutes."""
    STORE_FULL = "store-full"
    API_AWAY = "api-away"
    """For two minutes nobody gets through the endpoint, kubelets neither."""
    NETWORK_PENDING = "network-pending"
    """The network plugin does not come up on new Nodes for a while."""
    PULLS_FAIL = "pulls-fail"
    """No image can be pulled anywhere for a while."""
    FAILS_EVERYWHERE = "fails-everywhere"
    """A user's app crashes on old and new releases alike, until it is mended."""
    RESUME_HALTED = "resume-halted"
    """A user's daemon crashes on old and new releases alike; a person lets the rollout go on past that."""
    JOBS_COME_AND_GO = "jobs-come-and-go"
    """A Job every minute and one that is the gate, while a release has to serve for a minute."""
    GATE_NOT_PULLED = "gate-not-pulled"
    """The image of the gate's Job can be pulled only a while after the rollout was halted for it."""
    LOSE_SPARE = "lose-spare"
    """The provider loses the new control-plane instance while the first old one is being drained."""
    CANARY_LOST = "canary-lost"
    """The provider loses the first instance of a release while it is tried."""
    OVERRIDDEN = "overridden"
    """The same, and then a person takes the release nevertheless."""
    SKIPPED_THEN_BAD = "skipped-then-bad"
    """A worker is skipped for its budget, and the next revision is bad."""
    KILL_WORKER_ROLLING = "kill-worker-rolling"
    KILL_LEADER_ROLLING = "kill-leader-rolling"
    POWER_CUT_ROLLING = "power-cut-rolling"
    STORM_ROLLING = "storm-rolling"
    """A storm from the moment at which a revision is applied."""
    # --- what runs on and does not serve: a person asks for another in its place ----------------------------
    HUNG_LEADER = "hung-leader"
    """The leader's etcd hangs."""
    MUTE_FOLLOWER = "mute-follower"
    """The kubelet of a control-plane instance dies; its etcd member votes on."""
    HUNG_LEADER_ROLLING = "hung-leader-rolling"
    """The leader's etcd hangs while the last pool is rolled."""


STORMS = frozenset({Happening.STORM, Happening.STORM_ROLLING})


@dataclass(frozen=True, slots=True)
class Scenario:
    """`name` is `CONTROLPLANE+WORKERS[:HAPPENING[/BEHAVIOUR]]`, as the soak's command line takes it."""

    control_plane: int
    workers: int
    happening: Happening = Happening.NOTHING
    behaviour: Behaviour = Behaviour.GOOD
    """Of the images that a rollout brings."""
    replicas: int = 2
    """Pods of the deployment `default/web`."""
    foreign: bool = True
    batches: int = 0
    """Instances of a second pool of workers."""
    give_up_seconds: float = 2400.0

    @property
    def name(self) -> str:
        """As `parse` reads it."""
        base = f"{self.control_plane}+{self.workers}"
        what = "" if self.happening is Happening.NOTHING else f":{self.happening.value}"
        return f"{base}{what}" if self.behaviour is Behaviour.GOOD else f"{base}{what}/{self.behaviour.value}"

    @classmethod
    def parse(cls, name: str) -> Scenario:
        """Raises ValueError."""
        base, _, rest = name.partition(":")
        happening, _, behaviour = rest.partition("/")
        control_plane, plus, workers = base.partition("+")
        if not plus:
            raise ValueError(f"{name}: want CONTROLPLANE+WORKERS[:HAPPENING[/BEHAVIOUR]]")
        what = Happening(happening) if happening else Happening.NOTHING
        how = Behaviour(behaviour) if behaviour else Behaviour.GOOD
        batches = 1 if what is Happening.POOL_HELD else 0
        return cls(int(control_plane), int(workers), what, how, batches=batches)

    def deployments(self) -> tuple[Deployment, ...]:
        """What users run: nothing where there is no worker to run it."""
        if not self.workers or not self.replicas:
            return ()
        return (
            Deployment("default", "web", self.replicas, min_available=self.replicas - 1, end_seconds=(1, 4)),
            Deployment("default", "db", 1, kind=Kind.STATEFUL_SET),
            Deployment("default", "logs", 1, kind=Kind.DAEMON_SET),
        )

    def revision(
        self, workers: int | None = None, number: int = 1, generations: Mapping[PoolName, int] = FIRST
    ) -> Revision:
        """What is wanted: `workers` of them, and of each pool the release of this generation (1 by default)."""
        count = self.workers if workers is None else workers
        pools = [PoolSpec(CONTROL_PLANE, Role.CONTROL_PLANE, self.control_plane)]
        if self.workers:
            pools.append(PoolSpec(WORKER, Role.WORKER, count, labels=(("tier", "general"),)))
        if self.batches:
            pools.append(PoolSpec(BATCH, Role.WORKER, self.batches))
        spec = ClusterSpec("sim", "1.36.3", tuple(pools))
        releases = tuple(release(pool.name, generations.get(pool.name, 1)) for pool in pools)
        return Revision(number, spec, releases, _addons(spec, releases), by="somebody")


def release(pool: PoolName, generation: int) -> PoolRelease:
    """The releases that a pool may have are numbered; each has an image of its own."""
    text = f"{pool}-{generation}"
    return PoolRelease(pool, ReleaseId(f"r-{text}"), ImageDigest(f"sha256:{generation}-{pool}"))


def _addons(spec: ClusterSpec, releases: tuple[PoolRelease, ...]) -> tuple[tuple[str, str], ...]:
    """DNS runs what lies in the images of its revision, so another image is another add-on. One instance takes both
    of its pods where there is no other."""
    images = ",".join(sorted(image_label(release.image) for release in releases))
    nodes = 1 if sum(pool.replicas for pool in spec.pools) == 1 else 2
    return ((NETWORK_ADDON, "sha256:1111"), (DNS_ADDON, f"{images} on {nodes}"))


def addon_deployments(key: str, digest: str) -> tuple[Deployment, ...]:
    """What an add-on runs: DNS on two instances, of the images that hold it."""
    if key != DNS_ADDON:
        return ()
    images, _, nodes = digest.partition(" on ")
    dns = Deployment("kube-system", "coredns", 2, tolerates=True, min_available=1, critical=True)
    return (replace(dns, images=frozenset(images.split(",")), spread=nodes != "1"),)


async def manifest(key: str, digest: str) -> Mapping[str, object]:
    """The smallest manifest of an add-on key `APIVERSION/KIND/NAMESPACE/NAME`."""
    version, kind, namespace, name = key.rsplit("/", 3)
    metadata = {"name": name, "namespace": namespace, "annotations": {"risen.dev/digest": digest}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
