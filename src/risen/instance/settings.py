"""What every instance is given for its node: kubelet, kube-proxy, flannel and their credentials.

Files are rendered as JSON, which their readers take as YAML. Knows no certificate's bytes and no other instance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from risen.core.names import ClusterUid, InstanceName, PoolName, ProviderId, Role
from risen.core.spec import ClusterSpec, PoolSpec
from risen.instance import layout

API_PORT = 6443
UNINITIALIZED = "risen/uninitialized"
"""Taint a node registers with; the engine drops it once role and pool labels are set."""
KUBELET_DROP_INS = "/run/risen/kubelet.conf.d"
"""What only the instance knows, written by its own units at each start of the kubelet (KEP-3983)."""
SHUTDOWN_SECONDS, SHUTDOWN_CRITICAL_SECONDS = 30, 10
"""kubelet's graceful shutdown; logind is told to hold a power-off for 60 s (image content)."""


class Form(StrEnum):
    """How a value is written into a file."""

    TEXT = "text"
    """As it is."""
    JSON = "json"
    """Inside a JSON string."""
    FLAGS = "flags"
    """Inside one line."""


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """A file of the join answer: absolute path, bytes, permission bits."""

    path: str
    data: bytes = field(repr=False)
    mode: int = 0o644
    form: Form = Form.TEXT


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an instance is. `endpoint_address` is where workers reach the API."""

    name: InstanceName
    role: Role
    pool: PoolName
    cluster: ClusterUid
    address: str
    provider_id: ProviderId
    endpoint_address: str

    @property
    def api_url(self) -> str:
        """The API server that this instance's own programs use: its own on a control-plane instance, because
        a newer kubelet or controller must never reach an older apiserver; the endpoint elsewhere."""
        if self.role is Role.CONTROL_PLANE:
            return f"https://{self.address}:{API_PORT}"
        return f"https://{self.endpoint_address}:{API_PORT}"


def flags_file(program: str, flags: tuple[tuple[str, str], ...]) -> AnswerFile:
    """One `--name=value` a line. A line break in a value would become an argument of its own: ValueError."""
    folder = layout.ETCD if program == "etcd" else layout.KUBERNETES
    text = "".join(f"--{one_line(f'{name}={value}', f'{program}: flag {name}')}\n" for name, value in flags)
    return AnswerFile(f"{folder}/{program}.flags", text.encode(), form=Form.FLAGS)


def one_line(value: str, what: str) -> str:
    """The value, which must be one line of a flags file. Raises ValueError that says `what` it is."""
    if any(character in value for character in "\n\r\0"):
        raise ValueError(f"{what} holds a line break")
    return value


def json_file(name: str, value: object, mode: int = 0o644) -> AnswerFile:
    """A file of /etc/kubernetes, one key a line, so that a reader's line number helps."""
    return AnswerFile(f"{layout.KUBERNETES}/{name}", _json(value), mode, Form.JSON)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def kubeconfig(name: str, server: str, purpose: str) -> AnswerFile:
    """A kubeconfig that names key and certificate of one purpose by path."""
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "risen",
                "cluster": {"server": server, "certificate-authority": layout.authority("cluster")},
            }
        ],
        "users": [
            {
                "name": purpose,
                "user": {
                    "client-certificate": layout.certificate(purpose),
                    "client-key": layout.key(purpose),
                },
            }
        ],
        "contexts": [{"name": "risen", "context": {"cluster": "risen", "user": purpose}}],
        "current-context": "risen",
    }
    return json_file(name, value, 0o600)


def registry_file(auths: Mapping[str, str]) -> AnswerFile:
    """What the kubelet pulls with: `auths` are by registry, each `USER:PASSWORD` in base64. Docker Hub goes by the
    key that the kubelet and Docker know it by."""
    value = {"auths": {_docker_key(host): {"auth": auth} for host, auth in sorted(auths.items())}}
    return AnswerFile(layout.REGISTRY_CREDENTIALS, _json(value), 0o600, Form.JSON)


def _docker_key(host: str) -> str:
    return "https://index.docker.io/v1/" if host == "docker.io" else host


def node_files(spec: ClusterSpec, pool: PoolSpec, identity: Identity) -> tuple[AnswerFile, ...]:
    """Everything the node programs of an instance need, whatever its role."""
    files = [
        json_file("kubelet.yaml", _kubelet(spec, pool, identity)),
        flags_file(
            "kubelet",
            (
                ("config", f"{layout.KUBERNETES}/kubelet.yaml"),
                ("config-dir", KUBELET_DROP_INS),
                ("kubeconfig", f"{layout.KUBERNETES}/kubelet.conf"),
                ("hostname-override", identity.name),
                ("node-ip", identity.address),
            ),
        ),
        kubeconfig("kubelet.conf", identity.api_url, "kubelet-client"),
    ]
    if spec.networking.kube_proxy:
        files += [
            json_file("kube-proxy.yaml", _kube_proxy(spec, identity)),
            flags_file("kube-proxy", (("config", f"{layout.KUBERNETES}/kube-proxy.yaml"),)),
        ]
    if spec.networking.cni == "flannel":
        files += [json_file("flannel-net.json", _flannel_network(spec)), _flannel_flags(identity)]
    return tuple(files)


def _kubelet(spec: ClusterSpec, pool: PoolSpec, identity: Identity) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": layout.authority("cluster")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": layout.certificate("kubelet-server"),
        "tlsPrivateKeyFile": layout.key("kubelet-server"),
        "tlsMinVersion": "VersionTLS12",
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "rotateCertificates": False,
        "serverTLSBootstrap": False,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [spec.networking.dns_address],
        "clusterDomain": spec.networking.dns_domain,
        "resolvConf": "/run/risen/resolv.conf",
        "providerID": identity.provider_id,
        "registerWithTaints": [{"key": UNINITIALIZED, "effect": "NoSchedule"}],
        "maxPods": pool.max_pods,
        "systemReserved": _reserved(identity.role),
        "shutdownGracePeriod": f"{SHUTDOWN_SECONDS}s",
        "shutdownGracePeriodCriticalPods": f"{SHUTDOWN_CRITICAL_SECONDS}s",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "serializeImagePulls": False,
        "maxParallelImagePulls": 4,
        # Baked images are pinned, but containerd 1.6 knows no pins: no collection by a full disk's share. What
        # is left is the kubelet's eviction at 10 % free.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 3,
    }


def _reserved(role: Role) -> dict[str, str]:
    """What the instance's own programs take, measured idle: 0.9 GB resident with apiserver and etcd, 0.3 GB without.
    Memory is in MiB, and the only `memory` of the file: `reserve-memory` adds the host's rest to it."""
    if role is Role.CONTROL_PLANE:
        return {"cpu": "250m", "memory": "1024Mi", "ephemeral-storage": "1Gi"}
    return {"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "512Mi"}


def _kube_proxy(spec: ClusterSpec, identity: Identity) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{layout.KUBERNETES}/kubelet.conf"},
        "clusterCIDR": spec.networking.pod_subnet,
        "hostnameOverride": identity.name,
        "mode": "nftables",
        "healthzBindAddress": "0.0.0.0:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # The kernel's own values: a container may not write them, and they are the host's to choose.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def _flannel_network(spec: ClusterSpec) -> dict[str, object]:
    return {
        "Network": spec.networking.pod_subnet,
        "EnableIPv4": True,
        "EnableNFTables": True,
        "Backend": {"Type": "vxlan"},
    }


def _flannel_flags(identity: Identity) -> AnswerFile:
    return flags_file(
        "flannel",
        (
            ("kube-subnet-mgr", "true"),
            ("kubeconfig-file", f"{layout.KUBERNETES}/kubelet.conf"),
            ("net-config-path", f"{layout.KUBERNETES}/flannel-net.json"),
            ("iface", identity.address),
            ("ip-masq", "true"),
        ),
    )
