"""Where things lie on an instance, and what each role is given: certificates, authorities, files.

The one list that the join script, the units and the renderers share. Decides nothing.
"""

from __future__ import annotations

from risen.core.names import Role

KUBERNETES = "/etc/kubernetes"
PKI = f"{KUBERNETES}/pki"
ETCD = "/etc/etcd"
IDENTITY = "/etc/risen/identity"
LIBRARY = "/usr/lib/risen"
REGISTRY_CREDENTIALS = "/var/lib/kubelet/config.json"
"""Docker's config.json, which the kubelet reads from its root directory for every pull, whatever containerd it has."""
JOINED = "/var/lib/risen/joined"
"""Exists once join is done: what needs the cluster starts when it appears."""

_WORKER_PURPOSES = ("kubelet-client", "kubelet-server")
_CONTROL_PLANE_PURPOSES = (
    *_WORKER_PURPOSES,
    "apiserver-server",
    "apiserver-kubelet-client",
    "apiserver-etcd-client",
    "front-proxy-client",
    "controller-manager-client",
    "controller-manager-server",
    "scheduler-client",
    "scheduler-server",
    "etcd-server",
    "etcd-peer",
)
_NODE_FILES = (
    f"{KUBERNETES}/kubelet.flags",
    f"{KUBERNETES}/kubelet.yaml",
    f"{KUBERNETES}/kubelet.conf",
    f"{KUBERNETES}/kube-proxy.flags",
    f"{KUBERNETES}/kube-proxy.yaml",
    f"{KUBERNETES}/flannel.flags",
    f"{KUBERNETES}/flannel-net.json",
    REGISTRY_CREDENTIALS,
)
_CONTROL_PLANE_FILES = (
    f"{KUBERNETES}/kube-apiserver.flags",
    f"{KUBERNETES}/kube-controller-manager.flags",
    f"{KUBERNETES}/controller-manager.conf",
    f"{KUBERNETES}/kube-scheduler.flags",
    f"{KUBERNETES}/scheduler.conf",
    f"{KUBERNETES}/authentication.yaml",
    f"{KUBERNETES}/audit-policy.yaml",
    f"{KUBERNETES}/encryption.yaml",
    f"{ETCD}/etcd.flags",
    f"{PKI}/sa.key",
    f"{PKI}/sa.pub",
)


def purposes(role: Role) -> tuple[str, ...]:
    """Certificates an instance of this role asks for; each has a key made on the instance."""
    return _CONTROL_PLANE_PURPOSES if role is Role.CONTROL_PLANE else _WORKER_PURPOSES


def authorities(role: Role) -> tuple[str, ...]:
    """Authorities whose certificates an instance of this role needs to check others."""
    if role is Role.CONTROL_PLANE:
        return ("cluster", "etcd-client", "etcd-peer", "front-proxy")
    return ("cluster",)


def certificate(purpose: str) -> str:
    """Path of a certificate."""
    return f"{PKI}/{purpose}.crt"


def key(purpose: str) -> str:
    """Path of a certificate's key; never in an answer."""
    return f"{PKI}/{purpose}.key"


def authority(name: str) -> str:
    """Path of an authority's certificate."""
    return f"{PKI}/{name}-ca.crt"


def answer_paths(role: Role) -> tuple[str, ...]:
    """Every path that a join answer may hold for this role, sorted; the join script refuses any other."""
    paths = {*_NODE_FILES, *map(certificate, purposes(role)), *map(authority, authorities(role))}
    if role is Role.CONTROL_PLANE:
        paths.update(_CONTROL_PLANE_FILES)
    return tuple(sorted(paths))
