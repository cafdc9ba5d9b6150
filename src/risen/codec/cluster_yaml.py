"""cluster.yaml: its fields, their words for people, and the way from its text to a `ClusterSpec`.

Fields of what is not built are refused by name. Opens no file; looks at no host, image or store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from risen.codec import cluster_checks as must
from risen.codec import rollout_checks as rolling
from risen.codec.registry_yaml import RegistryWritten, check_registries
from risen.codec.rollout_yaml import DisruptionWritten, GateWritten, StrategyWritten
from risen.codec.written import Written, parse
from risen.codec.yaml_nodes import Document, Problem
from risen.core.names import PoolName, Role
from risen.core.spec import ClusterSpec, LocalProvider, Networking, PoolSpec, Repair, Taint

API_VERSION = "risen/v1alpha1"
_NETWORKS = Networking()
_LOCAL = LocalProvider()
_KUBELET_LATER = (
    "clusterDNS",
    "cpuManagerPolicy",
    "evictionHard",
    "evictionSoft",
    "featureGates",
    "imageGCHighThresholdPercent",
    "imageGCLowThresholdPercent",
    "imageMaximumGCAge",
    "kubeReserved",
    "maxParallelImagePulls",
    "podPidsLimit",
    "registryPullQPS",
    "serializeImagePulls",
    "shutdownGracePeriod",
    "systemReserved",
    "topologyManagerPolicy",
)

Name = Annotated[str, AfterValidator(must.name)]
LabelKey = Annotated[str, AfterValidator(must.label_key)]
LabelValue = Annotated[str, AfterValidator(must.label_value)]
CertSan = Annotated[str, AfterValidator(must.cert_san)]
ApiServerFlag = Annotated[str, AfterValidator(must.flag_of("kube-apiserver"))]
ControllerManagerFlag = Annotated[str, AfterValidator(must.flag_of("kube-controller-manager"))]
SchedulerFlag = Annotated[str, AfterValidator(must.flag_of("kube-scheduler"))]
EtcdFlag = Annotated[str, AfterValidator(must.flag_of("etcd"))]
FlagValue = Annotated[str, AfterValidator(must.one_line)]
NotBuilt: TypeAlias = Mapping[str, str]


class MetadataWritten(Written):
    """Who the cluster is."""

    name: Name = Field(description="the cluster's name, a DNS label of at most 20 characters")


class ApiServerWritten(Written):
    """kube-apiserver."""

    cert_sans: list[CertSan] = Field(
        default_factory=list,
        alias="certSANs",
        description="further DNS names and addresses in the API server's certificate",
    )
    extra_args: dict[ApiServerFlag, FlagValue] = Field(
        default_factory=dict, description="further flags of kube-apiserver, without dashes"
    )


class ControllerManagerWritten(Written):
    """kube-controller-manager."""

    extra_args: dict[ControllerManagerFlag, FlagValue] = Field(
        default_factory=dict, description="further flags of kube-controller-manager, without dashes"
    )


class SchedulerWritten(Written):
    """kube-scheduler."""

    extra_args: dict[SchedulerFlag, FlagValue] = Field(
        default_factory=dict, description="further flags of kube-scheduler, without dashes"
    )


class KubernetesWritten(Written):
    """Which Kubernetes."""

    not_built: ClassVar[NotBuilt] = MappingProxyType(
        {
            "cloudProvider": "none (instances on this host need none)",
            "featureGates": 'apiServer.extraArgs with "feature-gates"',
        }
    )
    version: Annotated[str, AfterValidator(must.kubernetes_version)] = Field(
        description=f"the version, in quotes: {' or '.join(must.KUBERNETES_VERSIONS)}"
    )
    api_server: ApiServerWritten = Field(default_factory=ApiServerWritten, description="kube-apiserver")
    controller_manager: ControllerManagerWritten = Field(
        default_factory=ControllerManagerWritten, description="kube-controller-manager"
    )
    scheduler: SchedulerWritten = Field(default_factory=SchedulerWritten, description="kube-scheduler")
    service_account_issuer: Annotated[str, AfterValidator(must.issuer)] = Field(
        default="https://kubernetes.default.svc", description="issuer in service accounts' tokens"
    )


class EtcdWritten(Written):
    """etcd, a member on each control-plane instance."""

    not_built: ClassVar[NotBuilt] = MappingProxyType(
        {
            "external": "a member on each control-plane instance",
            "snapshots": "none on a schedule; one before each planned replacement of the control plane, three kept",
        }
    )
    extra_args: dict[EtcdFlag, FlagValue] = Field(
        default_factory=dict, description="further flags of etcd, without dashes, equal for all members"
    )


class KeysWritten(Written):
    """What seals the store's secrets."""

    not_built: ClassVar[NotBuilt] = MappingProxyType(
        dict.fromkeys(("kms", "age", "file"), "a key file of its own at RISEN_HOME/keys/NAME.key")
    )


class KubeProxyWritten(Written):
    """kube-proxy."""

    enabled: bool = Field(default=True, description="whether instances run kube-proxy")


class NetworkingWritten(Written):
    """The cluster's own networks."""

    cni: Literal["flannel", "none"] = Field(default="flannel", description="the network plugin")
    kube_proxy: KubeProxyWritten = Field(default_factory=KubeProxyWritten, description="kube-proxy")
    pod_subnet: Annotated[str, AfterValidator(must.pod_subnet)] = Field(
        default=_NETWORKS.pod_subnet, description="network of pods; each instance takes a /24 of it"
    )
    service_subnet: Annotated[str, AfterValidator(must.service_subnet)] = Field(
        default=_NETWORKS.service_subnet, description="network of Services' cluster IPs"
    )
    dns_domain: Annotated[str, AfterValidator(must.dns_domain)] = Field(
        default=_NETWORKS.dns_domain, description="domain of Services' names"
    )


class EndpointWritten(Written):
    """The one address of all API servers, HAProxy on this host."""

    check_every: Annotated[str, BeforeValidator(rolling.duration("100ms", "10s"))] = Field(
        default=rolling.duration_text(_LOCAL.endpoint_check_seconds),
        description="how often each API server is asked whether it is ready, and how long a connection to it may "
        "take; longer on a slow host",
    )


class LocalWritten(Written):
    """Instances as systemd machines on this host."""

    subnet: Annotated[str, AfterValidator(must.local_subnet)] = Field(
        default=_LOCAL.subnet, description="network of the instances, a /24 that nothing on this host uses"
    )
    disk: Annotated[str, AfterValidator(must.disk)] = Field(
        default=f"{_LOCAL.disk_gib}Gi", description="bound of each instance's own file system"
    )
    memory: Annotated[str, AfterValidator(must.memory)] | None = Field(
        default=None,
        description="what each instance counts as its memory; if left out, the host's divided by all instances that "
        "may be up",
    )
    endpoint: EndpointWritten = Field(default_factory=EndpointWritten, description="the API endpoint")


class ProviderWritten(Written):
    """Where instances run."""

    not_built: ClassVar[NotBuilt] = MappingProxyType(dict.fromkeys(("aws", "qemu"), "local"))
    local: LocalWritten = Field(description="systemd machines on this host: {} for the defaults")


class RepairWritten(Written):
    """What happens to instances that are gone or sick."""

    mode: Literal["observe", "repair"] = Field(
        default="repair", description="repair replaces; observe only says what it would do"
    )
    max_unhealthy: Annotated[str, AfterValidator(must.percent)] = Field(
        default=f"{Repair().max_unhealthy_percent}%",
        description="repair stops while more than this share of a pool, and more than one, is unhealthy",
    )


class ImageWritten(Written):
    """What a pool's instances are made of."""

    not_built: ClassVar[NotBuilt] = MappingProxyType(dict.fromkeys(("channel", "digest"), "recipe"))
    recipe: Annotated[str, AfterValidator(must.recipe_path)] = Field(
        default="./recipe.yaml", description="the recipe its image is baked from"
    )


class TaintWritten(Written):
    """A taint on each Node of a pool."""

    key: LabelKey = Field(description="such as example.com/dedicated")
    value: LabelValue = Field(default="", description="may be empty")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        description="NoSchedule, PreferNoSchedule or NoExecute"
    )


class KubeletWritten(Written):
    """Settings of the kubelet."""

    not_built: ClassVar[NotBuilt] = MappingProxyType(dict.fromkeys(_KUBELET_LATER, "maxPods"))
    max_pods: int = Field(
        default=110, ge=10, le=250, description="pods an instance takes, its /24 allows 250"
    )


class PoolWritten(Written):
    """Instances of one role."""

    not_built: ClassVar[NotBuilt] = MappingProxyType(
        {
            "instanceTypes": "instances that share this host's CPU and memory",
        }
    )
    name: Name = Field(description="begins each instance's name; a DNS label of at most 20 characters")
    role: Annotated[str, AfterValidator(must.role)] = Field(description="control-plane or worker")
    replicas: int | None = Field(
        default=None, ge=0, description="how many instances; 1, 3 or 5 for the control plane"
    )
    min_replicas: int | None = Field(
        default=None, ge=0, description="instead of replicas: the least that an autoscaler may ask for"
    )
    max_replicas: int | None = Field(
        default=None, ge=0, description="instead of replicas: the most that an autoscaler may ask for"
    )
    image: ImageWritten = Field(default_factory=ImageWritten, description="what its instances are made of")
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, description="labels of its Nodes")
    taints: list[TaintWritten] = Field(default_factory=list, description="taints of its Nodes")
    kubelet: KubeletWritten = Field(default_factory=KubeletWritten, description="settings of its kubelets")
    strategy: StrategyWritten = Field(default_factory=StrategyWritten, description="how it is rolled")
    expire_after: Annotated[str, BeforeValidator(rolling.duration("1m", "87600h"))] | None = Field(
        default=None, description="age at which an instance is replaced, such as 720h; never if left out"
    )


class SpecWritten(Written):
    """What is wanted."""

    not_built: ClassVar[NotBuilt] = MappingProxyType(
        {
            "store": "the folder RISEN_HOME/clusters/NAME/store",
            "addons": "CoreDNS and what the cluster itself needs; apply others by kubectl",
        }
    )
    deletion_protection: bool = Field(
        default=False, description="whether `risen down` asks for the cluster's name"
    )
    keys: KeysWritten = Field(default_factory=KeysWritten, description="what seals the store's secrets")
    kubernetes: KubernetesWritten = Field(description="which Kubernetes")
    etcd: EtcdWritten = Field(default_factory=EtcdWritten, description="etcd")
    networking: NetworkingWritten = Field(default_factory=NetworkingWritten, description="networks")
    registries: list[RegistryWritten] = Field(
        default_factory=list, description="image registries that want credentials, for every pod"
    )
    provider: ProviderWritten = Field(description="where instances run")
    repair: RepairWritten = Field(default_factory=RepairWritten, description="replacing what is gone")
    disruption: DisruptionWritten = Field(
        default_factory=DisruptionWritten, description="taking instances out"
    )
    gates: list[GateWritten] = Field(
        default_factory=list,
        description="checks that a release must pass before more than one instance has it",
    )
    pools: list[PoolWritten] = Field(min_length=1, description="the instances, by role")


class ClusterWritten(Written):
    """A whole cluster.yaml."""

    api_version: Literal["risen/v1alpha1"] = Field(description=API_VERSION)
    kind: Literal["Cluster"] = Field(description="Cluster")
    metadata: MetadataWritten = Field(description="who the cluster is")
    spec: SpecWritten = Field(description="what is wanted")


@dataclass(frozen=True, slots=True)
class ClusterFile:
    """What a cluster.yaml says, and apart from it what it only points at and no release may hold: credentials of
    image registries, `USER:PASSWORD` in base64 by host."""

    spec: ClusterSpec
    registry_auths: Mapping[str, str] = field(repr=False)


def _no_file(path: str) -> str:
    raise FileNotFoundError(f"no file is looked for beside this text: {path}")


def parse_cluster(text: str, filename: str, beside: rolling.Beside = _no_file) -> ClusterSpec:
    """The spec in a cluster.yaml, see `read_cluster`."""
    return read_cluster(text, filename, beside).spec


def read_cluster(
    text: str, filename: str, beside: rolling.Beside = _no_file, with_credentials: bool = True
) -> ClusterFile:
    """Read a cluster.yaml; `beside` gives the text of a file that it names, by its path as written. Without its
    credentials where they are not needed: a CI that locks a recipe has no passwords.

    Raises Problems with everything that is wrong, each with its place."""
    jobs: dict[str, str] = {}
    auths: dict[str, str] = {}
    checks = (
        _check_networks, must.check_pools, must.check_taints, rolling.check_strategies, rolling.check_scaling,
        rolling.check_gates, rolling.check_jobs(beside, jobs), check_registries(beside if with_credentials else None, auths),
    )  # fmt: skip
    written, _ = parse(text, filename, ClusterWritten, checks)
    return ClusterFile(_cluster(written, jobs), auths)


def _check_networks(document: Document) -> Iterator[Problem]:
    return must.check_subnets(
        document,
        (
            (("spec", "networking", "podSubnet"), _NETWORKS.pod_subnet),
            (("spec", "networking", "serviceSubnet"), _NETWORKS.service_subnet),
            (("spec", "provider", "local", "subnet"), _LOCAL.subnet),
        ),
    )


def _cluster(written: ClusterWritten, jobs: Mapping[str, str]) -> ClusterSpec:
    spec = written.spec
    networking, local, repair = spec.networking, spec.provider.local, spec.repair
    return ClusterSpec(
        name=written.metadata.name,
        kubernetes_version=spec.kubernetes.version,
        pools=tuple(_pool(pool) for pool in spec.pools),
        networking=Networking(
            pod_subnet=networking.pod_subnet,
            service_subnet=networking.service_subnet,
            dns_domain=networking.dns_domain,
            cni=networking.cni,
            kube_proxy=networking.kube_proxy.enabled,
        ),
        provider=_local(local),
        repair=Repair(repair.mode, int(repair.max_unhealthy.removesuffix("%"))),
        disruption=spec.disruption.value(),
        gates=tuple(gate.value(jobs) for gate in spec.gates),
        deletion_protection=spec.deletion_protection,
        cert_sans=tuple(spec.kubernetes.api_server.cert_sans),
        api_server_extra_args=_pairs(spec.kubernetes.api_server.extra_args),
        controller_manager_extra_args=_pairs(spec.kubernetes.controller_manager.extra_args),
        scheduler_extra_args=_pairs(spec.kubernetes.scheduler.extra_args),
        etcd_extra_args=_pairs(spec.etcd.extra_args),
        service_account_issuer=spec.kubernetes.service_account_issuer,
        registries=tuple(sorted(registry.host for registry in spec.registries)),
    )


def _pairs(written: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(written.items()))


def _local(written: LocalWritten) -> LocalProvider:
    every = rolling.seconds_of(written.endpoint.check_every) or 0.0
    disk, memory = (int((size or "0").removesuffix("Gi")) for size in (written.disk, written.memory))
    return LocalProvider(written.subnet, disk, every, memory)


def _pool(written: PoolWritten) -> PoolSpec:
    expire_after = rolling.seconds_of(written.expire_after) if written.expire_after else None
    return PoolSpec(
        name=PoolName(written.name),
        role=Role(written.role),
        replicas=written.replicas if written.replicas is not None else written.min_replicas or 0,
        recipe=must.recipe_path(written.image.recipe),
        labels=_pairs(written.labels),
        taints=tuple(sorted(Taint(taint.key, taint.value, taint.effect) for taint in written.taints)),
        max_pods=written.kubelet.max_pods,
        strategy=written.strategy.value(),
        expire_after_seconds=expire_after,
        max_replicas=written.max_replicas,
    )
