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
class PoolSpec:
    """Instances of one role. `labels` and `taints` are Node objects' and roll nothing."""

    name: PoolName
    role: Role
    replicas: int
    recipe: str = "recipe.yaml"
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[Taint, ...] = ()
    max_pods: int = 110


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
    """One Linux host: systemd machines on `subnet`; `disk_gib` bounds each instance's file system."""

    subnet: str = "10.77.0.0/24"
    disk_gib: int = 8


@dataclass(frozen=True, slots=True)
class Repair:
    """`mode` is `observe` or `repair`; `max_unhealthy` a share of a pool in percent."""

    mode: str = "repair"
    max_unhealthy_percent: int = 40


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """A whole cluster.yaml."""

    name: str
    kubernetes_version: str
    pools: tuple[PoolSpec, ...]
    networking: Networking = Networking()
    provider: LocalProvider = LocalProvider()
    repair: Repair = Repair()
    store: str = ""
    deletion_protection: bool = False
    cert_sans: tuple[str, ...] = ()
    api_server_extra_args: tuple[tuple[str, str], ...] = ()
    service_account_issuer: str = "https://kubernetes.default.svc"

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

    def release_of(self, pool: PoolName) -> PoolRelease:
        """The release of a pool of this revision. Raises KeyError if there is none."""
        for release in self.releases:
            if release.pool == pool:
                return release
        raise KeyError(pool)
