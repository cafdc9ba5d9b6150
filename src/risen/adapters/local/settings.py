"""Names, paths and addresses of one local cluster, all derived from its name, home and subnet. No I/O."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from risen.core.names import ClusterUid, InstanceName, ProviderId
from risen.core.spec import LocalProvider, Networking
from risen.interfaces.errors import Invalid

SCHEME = "risen-local://"
DEFAULTS = LocalProvider()
NETWORKS = Networking()
IFNAME_MAX = 15
"""Longest name of a network interface (IFNAMSIZ less its NUL)."""
FIRST_HOST = 10
LAST_HOST = 250
API_PORT = 6443
UPLINK = "uplink"
"""The inner end of the veth pair to the host."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What distinguishes one local cluster. `cluster_ca` is the PEM that apiservers' certificates chain to;
    None takes the one that an earlier `prepare` kept (a start without the store)."""

    name: str
    uid: ClusterUid
    home: Path
    subnet: str = DEFAULTS.subnet
    disk_gib: int = DEFAULTS.disk_gib
    cluster_ca: bytes | None = None
    boot_command: tuple[str, ...] = ()
    """How `risen` is called on this host: a systemd host starts the cluster with it at boot; empty for not."""
    endpoint_check_seconds: float = DEFAULTS.endpoint_check_seconds
    """How often the endpoint asks each API server, and how long its connection may take."""
    memory_gib: int = DEFAULTS.memory_gib
    """What each instance counts as its memory; 0 for a share of the host's."""
    most_instances: int = 1
    """That may be up at once, a rollout's surge included: into so many shares the host's memory is divided."""
    pod_subnet: str = NETWORKS.pod_subnet
    service_subnet: str = NETWORKS.service_subnet

    @property
    def folder(self) -> Path:
        """`HOME/clusters/NAME`."""
        return self.home / "clusters" / self.name

    @property
    def instances(self) -> Path:
        """One folder per instance."""
        return self.folder / "instances"

    @property
    def dead(self) -> Path:
        """Consoles of destroyed instances."""
        return self.folder / "dead"

    @property
    def runtime(self) -> Path:
        """Sockets; short, because a unix socket's path has at most 107 bytes."""
        return Path("/run/risen") / self.name

    @property
    def admin_socket(self) -> Path:
        """HAProxy's admin socket."""
        return self.runtime / "haproxy.sock"

    @property
    def netns(self) -> str:
        """Name of the cluster's network namespace."""
        return f"risen-{self.name}"

    @property
    def netns_path(self) -> Path:
        """Where `ip netns` keeps it."""
        return Path("/run/netns") / self.netns

    @property
    def host_link(self) -> str:
        """The host's end of the veth pair."""
        return link_name("risen-", self.name)

    @property
    def table(self) -> str:
        """Name of the nft tables that are ours on the host."""
        return f"risen_{self.name}"

    @property
    def label(self) -> str:
        """What marks a link as this cluster's (its `ifalias`)."""
        return f"risen:{self.uid}"

    @property
    def network(self) -> ipaddress.IPv4Network:
        """The subnet. Raises Invalid unless it is an IPv4 network of /16 to /24."""
        try:
            network = ipaddress.IPv4Network(self.subnet)
        except ValueError as error:
            raise Invalid(f"subnet {self.subnet}: {error}") from error
        if not 16 <= network.prefixlen <= 24:
            raise Invalid(f"subnet {self.subnet}: want a prefix of /16 to /24")
        return network

    @property
    def inner_networks(self) -> tuple[tuple[str, ipaddress.IPv4Network], ...]:
        """Networks that instances alone know the way to, each after its field of cluster.yaml. Raises Invalid."""
        named = (("podSubnet", self.pod_subnet), ("serviceSubnet", self.service_subnet))
        try:
            return tuple((field, ipaddress.IPv4Network(subnet)) for field, subnet in named)
        except ValueError as error:
            raise Invalid(f"podSubnet or serviceSubnet: {error}") from error

    @property
    def gateway(self) -> str:
        """The bridge's address: the instances' gateway, and where the API endpoint and join listen."""
        return str(self.network[1])

    @property
    def host_address(self) -> str:
        """The host's address on the subnet: the last but one of its addresses (.254 of a /24)."""
        return str(self.network[-2])

    @property
    def addresses(self) -> tuple[str, ...]:
        """What instances may get: the 10th to the 250th address."""
        return tuple(str(self.network[number]) for number in range(FIRST_HOST, LAST_HOST + 1))


def memory_share(settings: LocalSettings, host_mib: int, instances: int) -> int:
    """MiB that a new instance counts as its own, beside others to make `instances` with it. After the cluster was
    scaled up, older ones keep the larger share that they were launched with."""
    if settings.memory_gib:
        return min(settings.memory_gib * 1024, host_mib)
    return host_mib // max(settings.most_instances, instances)


def link_name(prefix: str, name: str) -> str:
    """PREFIX + NAME where the kernel allows it, else a digest of the name that fits."""
    if len(prefix + name) <= IFNAME_MAX:
        return prefix + name
    return prefix + hashlib.sha256(name.encode()).hexdigest()[: IFNAME_MAX - len(prefix)]


def machine_name(cluster: str, instance: str) -> str:
    """nspawn's name of an instance: 12 characters, so that `vb-` + name is a whole interface name."""
    return "r" + hashlib.sha256(f"{cluster}/{instance}".encode()).hexdigest()[:11]


def bridge_port(cluster: str, instance: str) -> str:
    """The bridge's end of an instance's veth pair."""
    return f"vb-{machine_name(cluster, instance)}"


def provider_id(cluster: str, instance: InstanceName, nonce: str) -> ProviderId:
    """`risen-local://CLUSTER/INSTANCE/NONCE`."""
    return ProviderId(f"{SCHEME}{cluster}/{instance}/{nonce}")


def instance_of(cluster: str, wanted: ProviderId) -> InstanceName:
    """The instance a provider id of this cluster names. Raises Invalid for any other id."""
    parts = wanted.removeprefix(SCHEME).split("/")
    if not wanted.startswith(SCHEME) or len(parts) != 3 or parts[0] != cluster:
        raise Invalid(f"{wanted} is no provider id of cluster {cluster}")
    return InstanceName(parts[1])
