"""What a control-plane instance is given besides a node's files: etcd, apiserver, controller-manager, scheduler.

The controller-manager and scheduler reach only this instance's own apiserver, and it only this instance's own
etcd member: a newer controller must never reach an older apiserver, and a stop takes one chain down in order.
No file here carries a CA's key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from risen.core.spec import ClusterSpec
from risen.instance import layout
from risen.instance.settings import API_PORT, AnswerFile, Identity, flags_file, json_file, kubeconfig

CLIENT_PORT, PEER_PORT = 2379, 2380
CONTROLLER_MANAGER_PORT, SCHEDULER_PORT = 10257, 10259
QUOTA_BYTES = 2 * 1024**3
SHUTDOWN_DELAY_SECONDS = 5
"""Longer than the endpoint needs to see /readyz fail (1 s by default) and kube-proxy to drop an address (about 1 s)."""
WATCH_GRACE_SECONDS = 5
_OPEN_PATHS = ("/livez", "/readyz", "/healthz")


@dataclass(frozen=True, slots=True)
class EtcdJoin:
    """How a member starts. `state` is `new` only for the founder; `initial_cluster` is `NAME=PEER-URL,…`."""

    initial_cluster: str
    state: str
    token: str


@dataclass(frozen=True, slots=True)
class SharedSecrets:
    """What all control-plane instances share. Keys in PEM; `encryption_key` is 32 bytes in base64."""

    service_account_key: str = field(repr=False)
    service_account_public: str
    encryption_key_id: str
    encryption_key: str = field(repr=False)


def control_plane_files(spec: ClusterSpec, identity: Identity, etcd: EtcdJoin) -> tuple[AnswerFile, ...]:
    """Flags, kubeconfigs and policies; secrets are apart (`secret_files`)."""
    return (
        _etcd(spec, identity, etcd),
        _apiserver(spec, identity),
        _controller_manager(spec),
        kubeconfig("controller-manager.conf", identity.api_url, "controller-manager-client"),
        _scheduler(spec),
        kubeconfig("scheduler.conf", identity.api_url, "scheduler-client"),
        json_file("authentication.yaml", _authentication()),
        json_file("audit-policy.yaml", _audit_policy()),
    )


def secret_files(secrets: SharedSecrets) -> tuple[AnswerFile, ...]:
    """The service-account key pair and the encryption at rest. Secrets alone are sealed: nothing else in the API
    is one. The plain provider stands last, so that nothing is written by it."""
    encryption = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [
            {
                "resources": ["secrets"],
                "providers": [
                    {
                        "secretbox": {
                            "keys": [{"name": secrets.encryption_key_id, "secret": secrets.encryption_key}]
                        }
                    },
                    {"identity": {}},
                ],
            }
        ],
    }
    return (
        json_file("encryption.yaml", encryption, 0o600),
        AnswerFile(f"{layout.PKI}/sa.key", secrets.service_account_key.encode(), 0o600),
        AnswerFile(f"{layout.PKI}/sa.pub", secrets.service_account_public.encode()),
    )


def _etcd(spec: ClusterSpec, identity: Identity, etcd: EtcdJoin) -> AnswerFile:
    client, peer = f"https://{identity.address}:{CLIENT_PORT}", f"https://{identity.address}:{PEER_PORT}"
    return flags_file(
        "etcd",
        (
            ("name", identity.name),
            ("data-dir", "/var/lib/etcd"),
            ("listen-client-urls", f"{client},https://127.0.0.1:{CLIENT_PORT}"),
            ("advertise-client-urls", client),
            ("listen-peer-urls", peer),
            ("initial-advertise-peer-urls", peer),
            ("initial-cluster", etcd.initial_cluster),
            ("initial-cluster-state", etcd.state),
            ("initial-cluster-token", etcd.token),
            ("client-cert-auth", "true"),
            ("cert-file", layout.certificate("etcd-server")),
            ("key-file", layout.key("etcd-server")),
            ("trusted-ca-file", layout.authority("etcd-client")),
            ("peer-client-cert-auth", "true"),
            ("peer-cert-file", layout.certificate("etcd-peer")),
            ("peer-key-file", layout.key("etcd-peer")),
            ("peer-trusted-ca-file", layout.authority("etcd-peer")),
            ("quota-backend-bytes", str(QUOTA_BYTES)),
            ("auto-compaction-mode", "periodic"),
            ("auto-compaction-retention", "1h"),
            ("feature-gates", "InitialCorruptCheck=true"),
            *spec.etcd_extra_args,
        ),
    )


def _apiserver(spec: ClusterSpec, identity: Identity) -> AnswerFile:
    flags = (
        ("advertise-address", identity.address),
        ("secure-port", str(API_PORT)),
        ("tls-cert-file", layout.certificate("apiserver-server")),
        ("tls-private-key-file", layout.key("apiserver-server")),
        ("tls-min-version", "VersionTLS12"),
        ("client-ca-file", layout.authority("cluster")),
        ("authentication-config", f"{layout.KUBERNETES}/authentication.yaml"),
        ("authorization-mode", "Node,RBAC"),
        ("enable-admission-plugins", "NodeRestriction"),
        ("allow-privileged", "true"),
        ("profiling", "false"),
        ("service-cluster-ip-range", spec.networking.service_subnet),
        *_apiserver_to_etcd(),
        *_apiserver_to_kubelet(),
        *_service_accounts(spec),
        *_aggregation(),
        *_audit_and_shutdown(),
        *spec.api_server_extra_args,
    )
    return flags_file("kube-apiserver", flags)


def _apiserver_to_etcd() -> tuple[tuple[str, str], ...]:
    return (
        ("etcd-servers", f"https://127.0.0.1:{CLIENT_PORT}"),
        ("etcd-cafile", layout.authority("etcd-client")),
        ("etcd-certfile", layout.certificate("apiserver-etcd-client")),
        ("etcd-keyfile", layout.key("apiserver-etcd-client")),
        ("encryption-provider-config", f"{layout.KUBERNETES}/encryption.yaml"),
    )


def _apiserver_to_kubelet() -> tuple[tuple[str, str], ...]:
    return (
        ("kubelet-certificate-authority", layout.authority("cluster")),
        ("kubelet-client-certificate", layout.certificate("apiserver-kubelet-client")),
        ("kubelet-client-key", layout.key("apiserver-kubelet-client")),
        # No name service between instances: by name, `logs` and `exec` would hang.
        ("kubelet-preferred-address-types", "InternalIP"),
    )


def _service_accounts(spec: ClusterSpec) -> tuple[tuple[str, str], ...]:
    return (
        ("service-account-issuer", spec.service_account_issuer),
        ("service-account-key-file", f"{layout.PKI}/sa.pub"),
        ("service-account-signing-key-file", f"{layout.PKI}/sa.key"),
    )


def _aggregation() -> tuple[tuple[str, str], ...]:
    return (
        ("requestheader-client-ca-file", layout.authority("front-proxy")),
        ("requestheader-allowed-names", "front-proxy-client"),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        ("requestheader-group-headers", "X-Remote-Group"),
        ("requestheader-username-headers", "X-Remote-User"),
        ("proxy-client-cert-file", layout.certificate("front-proxy-client")),
        ("proxy-client-key-file", layout.key("front-proxy-client")),
    )


def _audit_and_shutdown() -> tuple[tuple[str, str], ...]:
    """At most 4 × 50 MB of audit log. HTTP/2 clients hold one connection for ever: one request in a thousand is
    told to connect anew, so that a replaced apiserver gets its share."""
    return (
        ("audit-policy-file", f"{layout.KUBERNETES}/audit-policy.yaml"),
        ("audit-log-path", "/var/log/kubernetes/audit.log"),
        ("audit-log-maxsize", "50"),
        ("audit-log-maxbackup", "3"),
        ("audit-log-maxage", "30"),
        ("goaway-chance", "0.001"),
        ("shutdown-delay-duration", f"{SHUTDOWN_DELAY_SECONDS}s"),
        ("shutdown-send-retry-after", "true"),
        ("shutdown-watch-termination-grace-period", f"{WATCH_GRACE_SECONDS}s"),
    )


def _controller_flags(name: str, port: int, more: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """What controller-manager and scheduler share: credentials, and a serving side checked by the cluster's CA."""
    config = f"{layout.KUBERNETES}/{name}.conf"
    return (
        ("kubeconfig", config),
        ("authentication-kubeconfig", config),
        ("authorization-kubeconfig", config),
        ("bind-address", "0.0.0.0"),
        ("secure-port", str(port)),
        ("client-ca-file", layout.authority("cluster")),
        ("tls-cert-file", layout.certificate(f"{name}-server")),
        ("tls-private-key-file", layout.key(f"{name}-server")),
        ("tls-min-version", "VersionTLS12"),
        ("profiling", "false"),
        *more,
    )


def _controller_manager(spec: ClusterSpec) -> AnswerFile:
    more: tuple[tuple[str, str], ...] = (
        ("leader-elect", "true"),
        ("allocate-node-cidrs", "true"),
        ("cluster-cidr", spec.networking.pod_subnet),
        ("service-cluster-ip-range", spec.networking.service_subnet),
        ("root-ca-file", layout.authority("cluster")),
        ("service-account-private-key-file", f"{layout.PKI}/sa.key"),
        ("use-service-account-credentials", "true"),
        ("flex-volume-plugin-dir", "/var/lib/kubelet/volume-plugins"),
        # A start makes about 100 requests, one service account for each controller: at the default of 20 a
        # second no node gets its subnet for 4 s, after every change of leader.
        ("kube-api-qps", "100"),
        ("kube-api-burst", "200"),
    )
    if minor_of(spec.kubernetes_version) >= 36:
        # Else the lease of a stopped leader is held for 15 s, in which no EndpointSlice changes.
        more = (*more, ("feature-gates", "ControllerManagerReleaseLeaderElectionLockOnExit=true"))
    flags = _controller_flags("controller-manager", CONTROLLER_MANAGER_PORT, more)
    return flags_file("kube-controller-manager", (*flags, *spec.controller_manager_extra_args))


def _scheduler(spec: ClusterSpec) -> AnswerFile:
    flags = _controller_flags("scheduler", SCHEDULER_PORT, (("leader-elect", "true"),))
    return flags_file("kube-scheduler", (*flags, *spec.scheduler_extra_args))


def minor_of(version: str) -> int:
    """`1.36.3` → 36."""
    return int(version.split(".")[1])


def _authentication() -> dict[str, object]:
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": True, "conditions": [{"path": path} for path in _OPEN_PATHS]},
    }


def _audit_policy() -> dict[str, object]:
    """Who did what to which object, never its content. Reads by the cluster's own parts are left out."""
    own = [
        "system:kube-scheduler", "system:kube-controller-manager", "system:apiserver", "system:kube-proxy",
    ]  # fmt: skip
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {
                "level": "None",
                "nonResourceURLs": ["/livez*", "/readyz*", "/healthz*", "/version", "/metrics"],
            },
            {"level": "None", "resources": [{"group": "", "resources": ["events"]}]},
            {"level": "None", "resources": [{"group": "events.k8s.io", "resources": ["events"]}]},
            {
                "level": "None",
                "verbs": ["get", "list", "watch", "update"],
                "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
            },
            {"level": "None", "users": own, "verbs": ["get", "list", "watch"]},
            {
                "level": "None",
                "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"],
                "verbs": ["get", "list", "watch"],
            },
            {"level": "Metadata"},
        ],
    }
