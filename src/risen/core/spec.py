"""What the user wants, already checked: the value that `codec/cluster_yaml.py` produces."""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.names import ImageDigest, PoolName, ReleaseId, Role


@dataclass(frozen=True, slots=True, order=True)
class Taint:
    """A Node taint of a pool; `effect` is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Share:
    """A number of instances: `least` of them, or `percent` of a pool where that is more.

    The absolute floor is for small pools, the percentage for large ones.
    """

    least: int
    percent: int = 0

    def of(self, replicas: int) -> int:
        """How many of a pool of `replicas`."""
        return max(self.least, self.percent * replicas // 100)


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a pool is rolled: how many more, how many fewer, and for how long one must have served to count."""

    max_surge: Share = Share(1)
    max_unavailable: Share = Share(0)
    min_ready_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """Instances of one role. `labels` and `taints` are Node objects' and roll nothing.

    Where `max_replicas` is not None an autoscaler owns the number: `replicas` is then the least.
    """

    name: PoolName
    role: Role
    replicas: int
    recipe: str = "recipe.yaml"
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[Taint, ...] = ()
    max_pods: int = 110
    strategy: Strategy = Strategy()
    expire_after_seconds: float | None = None
    max_replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Networking:
    """Subnets in CIDR notation."""

    pod_subnet: str = "10.244.0.0/16"
    service_subnet: str = "10.96.0.0/16"
    dns_domain: str = "cluster.local"
    cni: str = "flannel"
    kube_proxy: bool = True

    @property
    def dns_address(self) -> str:
        """Cluster IP of the DNS Service: the tenth address of the service subnet."""
        head, _, _ = self.service_subnet.partition("/")
        return head.rsplit(".", 1)[0] + ".10"

    @property
    def api_service_address(self) -> str:
        """Cluster IP of the `kubernetes` Service: the first address of the service subnet."""
        head, _, _ = self.service_subnet.partition("/")
        return head.rsplit(".", 1)[0] + ".1"


@dataclass(frozen=True, slots=True)
class LocalProvider:
    """One Linux host: systemd machines on `subnet`; `disk_gib` bounds each instance's file system, `memory_gib` is
    what an instance counts as its memory (0: its share of the host's), and the API endpoint asks each API server
    every `endpoint_check_seconds`."""

    subnet: str = "10.77.0.0/24"
    disk_gib: int = 8
    endpoint_check_seconds: float = 0.5
    memory_gib: int = 0


@dataclass(frozen=True, slots=True)
class Repair:
    """`mode` is `observe` or `repair`; `max_unhealthy` a share of a pool in percent."""

    mode: str = "repair"
    max_unhealthy_percent: int = 40


@dataclass(frozen=True, slots=True)
class Disruption:
    """`on_drain_timeout` is `stop` (say so and wait), `skip` (let it live until the next revision) or `force`.
    An emptied instance goes on passing connections on for `load_balancer_seconds` after it was marked."""

    drain_timeout_seconds: float = 1800.0
    on_drain_timeout: str = "stop"
    load_balancer_seconds: float = 0.0


@dataclass(frozen=True, slots=True, order=True)
class Gate:
    """A check of the user's that a release must pass: GET of `url` answered by `status`, or a Job that succeeds.

    `job` is the Job's manifest as JSON text, empty for an HTTP check.
    """

    name: str
    url: str = ""
    status: int = 200
    job: str = ""
    timeout_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """A whole cluster.yaml."""

    name: str
    kubernetes_version: str
    pools: tuple[PoolSpec, ...]
    networking: Networking = Networking()
    provider: LocalProvider = LocalProvider()
    repair: Repair = Repair()
    disruption: Disruption = Disruption()
    gates: tuple[Gate, ...] = ()
    store: str = ""
    deletion_protection: bool = False
    cert_sans: tuple[str, ...] = ()
    api_server_extra_args: tuple[tuple[str, str], ...] = ()
    controller_manager_extra_args: tuple[tuple[str, str], ...] = ()
    scheduler_extra_args: tuple[tuple[str, str], ...] = ()
    etcd_extra_args: tuple[tuple[str, str], ...] = ()
    service_account_issuer: str = "https://kubernetes.default.svc"
    registries: tuple[str, ...] = ()
    """Image registries, `HOST` or `HOST:PORT`, that instances have credentials for. Those are not in a spec: they
    lie sealed in the store."""

    def pool(self, name: PoolName) -> PoolSpec | None:
        """The pool of that name."""
        return next((pool for pool in self.pools if pool.name == name), None)

    @property
    def control_plane(self) -> PoolSpec:
        """The one pool whose role is control-plane."""
        return next(pool for pool in self.pools if pool.role is Role.CONTROL_PLANE)


@dataclass(frozen=True, slots=True)
class PoolRelease:
    """What a pool's instances are launched from."""

    pool: PoolName
    release: ReleaseId
    image: ImageDigest


@dataclass(frozen=True, slots=True)
class Revision:
    """A spec that was applied, with the release of each pool: what the engine heads for."""

    number: int
    spec: ClusterSpec
    releases: tuple[PoolRelease, ...]
    addons: tuple[tuple[str, str], ...] = ()
    """Add-on objects wanted: (`APIVERSION/KIND/NAMESPACE/NAME`, digest of the manifest), in apply order."""
    lock: str = ""
    """SHA-256 in hex of the recipe.lock that the images were baked from."""
    by: str = ""
    """Who applied it: `USER`, or what CI calls itself."""
    reason: str = ""
    applied_unix: float = 0.0
    back_to: int = 0
    """The earlier revision that an `undo` goes back to; 0 where the way is forward."""

    @property
    def stands_for(self) -> int:
        """The revision whose settings and images these are: its own number, or the one that is gone back to."""
        return self.back_to or self.number

    def release_of(self, pool: PoolName) -> PoolRelease:
        """The release of a pool of this revision. Raises KeyError if there is none."""
        for release in self.releases:
            if release.pool == pool:
                return release
        raise KeyError(pool)
