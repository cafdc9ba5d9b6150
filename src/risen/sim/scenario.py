"""What is simulated: the cluster wanted, what happens to it, and when it counts as arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from risen.core.names import ImageDigest, PoolName, ReleaseId, Role
from risen.core.spec import ClusterSpec, PoolRelease, PoolSpec, Revision
from risen.sim.workloads import Deployment

NETWORK_ADDON = "rbac.authorization.k8s.io/v1/ClusterRoleBinding//risen:network"
DNS_ADDON = "apps/v1/Deployment/kube-system/coredns"
ADDONS = ((NETWORK_ADDON, "sha256:1111"), (DNS_ADDON, "sha256:2222"))
CONTROL_PLANE = PoolName("control-plane")
WORKER = PoolName("worker")


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


@dataclass(frozen=True, slots=True)
class Scenario:
    """`name` is `CONTROLPLANE+WORKERS[:HAPPENING]`, as the soak's command line takes it."""

    control_plane: int
    workers: int
    happening: Happening = Happening.NOTHING
    replicas: int = 2
    """Pods of the deployment `default/web`."""
    foreign: bool = True
    give_up_seconds: float = 900.0

    @property
    def name(self) -> str:
        """As `parse` reads it."""
        base = f"{self.control_plane}+{self.workers}"
        return base if self.happening is Happening.NOTHING else f"{base}:{self.happening.value}"

    @classmethod
    def parse(cls, name: str) -> Scenario:
        """Raises ValueError."""
        base, _, happening = name.partition(":")
        control_plane, plus, workers = base.partition("+")
        if not plus:
            raise ValueError(f"{name}: want CONTROLPLANE+WORKERS[:HAPPENING]")
        what = Happening(happening) if happening else Happening.NOTHING
        return cls(int(control_plane), int(workers), what)

    def deployments(self) -> tuple[Deployment, ...]:
        """What users run: nothing where there is no worker to run it."""
        if not self.workers or not self.replicas:
            return ()
        return (Deployment("default", "web", self.replicas, min_available=self.replicas - 1),)

    def addon_deployments(self) -> Mapping[str, tuple[Deployment, ...]]:
        """The pods an add-on brings."""
        return {DNS_ADDON: (Deployment("kube-system", "coredns", 2, tolerates=True, min_available=1),)}

    def revision(self, workers: int | None = None, number: int = 1) -> Revision:
        """What is wanted; `workers` overrides the scenario's own count."""
        count = self.workers if workers is None else workers
        pools = [PoolSpec(CONTROL_PLANE, Role.CONTROL_PLANE, self.control_plane)]
        if self.workers:
            pools.append(PoolSpec(WORKER, Role.WORKER, count, labels=(("tier", "general"),)))
        spec = ClusterSpec("sim", "1.36.3", tuple(pools))
        releases = tuple(
            PoolRelease(pool.name, ReleaseId(f"r-{pool.name}"), ImageDigest(f"sha256:{pool.name}"))
            for pool in pools
        )
        return Revision(number, spec, releases, ADDONS)


async def manifest(key: str, digest: str) -> Mapping[str, object]:
    """The smallest manifest of an add-on key `APIVERSION/KIND/NAMESPACE/NAME`."""
    version, kind, namespace, name = key.rsplit("/", 3)
    metadata = {"name": name, "namespace": namespace, "annotations": {"risen.dev/digest": digest}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
