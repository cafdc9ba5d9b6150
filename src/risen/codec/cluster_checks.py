"""What cluster.yaml's values must be: the rules of single fields and the rules across fields.

Rules of one field raise ValueError and are called by pydantic; rules across fields read the plain data, bear
whatever stands there, and leave to the field's own rule what is already wrong by itself.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from risen.codec.dns_label import name as name
from risen.codec.rollout_checks import pools_of
from risen.codec.written import did_you_mean
from risen.codec.yaml_nodes import Document, Path, Problem
from risen.instance.release import MARK

KUBERNETES_VERSIONS = ("1.36.3", "1.35.4")
"""Versions that this Risen carries a pinned set of modules for, newest first."""
MAX_INSTANCES = 200
"""A /24 gives instances .10 to .250; the rest is kept for replacements."""
_CONTROLLER_FLAGS = frozenset(
    {
        "authentication-kubeconfig", "authorization-kubeconfig", "bind-address", "client-ca-file", "config",
        "kubeconfig", "leader-elect", "secure-port", "tls-cert-file", "tls-private-key-file",
    }
)  # fmt: skip
FLAGS_TAKEN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "kube-apiserver": frozenset(
            {
                "advertise-address", "allow-privileged", "anonymous-auth", "authentication-config", "authorization-config",
                "authorization-mode", "bind-address", "client-ca-file", "enable-admission-plugins",
                "encryption-provider-config", "etcd-cafile", "etcd-certfile", "etcd-keyfile", "etcd-servers",
                "kubelet-certificate-authority", "kubelet-client-certificate", "kubelet-client-key",
                "kubelet-preferred-address-types", "proxy-client-cert-file", "proxy-client-key-file",
                "requestheader-allowed-names", "requestheader-client-ca-file", "requestheader-extra-headers-prefix",
                "requestheader-group-headers", "requestheader-username-headers", "secure-port", "service-account-issuer",
                "service-account-key-file", "service-account-signing-key-file", "service-cluster-ip-range",
                "shutdown-delay-duration", "shutdown-send-retry-after", "shutdown-watch-termination-grace-period",
                "tls-cert-file", "tls-private-key-file",
            }
        ),
        "kube-controller-manager": _CONTROLLER_FLAGS
        | {
            "allocate-node-cidrs", "cluster-cidr", "feature-gates", "root-ca-file", "service-account-private-key-file",
            "service-cluster-ip-range", "use-service-account-credentials",
        },
        "kube-scheduler": _CONTROLLER_FLAGS,
        "etcd": frozenset(
            {
                "advertise-client-urls", "cert-file", "client-cert-auth", "config-file", "data-dir", "feature-gates",
                "force-new-cluster", "initial-advertise-peer-urls", "initial-cluster", "initial-cluster-state",
                "initial-cluster-token", "key-file", "listen-client-urls", "listen-peer-urls", "name",
                "peer-cert-file", "peer-client-cert-auth", "peer-key-file", "peer-trusted-ca-file",
                "trusted-ca-file", "wal-dir",
            }
        ),
    }
)  # fmt: skip
"""Flags that hold the cluster together: identity, trust, and the order of a graceful stop."""
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_USERS_OWN = frozenset({"node-restriction.kubernetes.io", "topology.kubernetes.io"})
_REPLICAS_WHY: Mapping[int, str] = MappingProxyType(
    {
        0: "without a control plane there is no cluster",
        2: "losing 1 of 2 stops it, so 2 bear no loss and fail twice as often as 1",
        4: "4 bear the loss of 1, like 3, and have one more that can fail",
    }
)


def kubernetes_version(value: str) -> str:
    """A version whose modules this Risen has pinned."""
    if value not in KUBERNETES_VERSIONS:
        bare = value.removeprefix("v")
        near = f' (did you mean "{bare}"?)' if bare in KUBERNETES_VERSIONS else ""
        raise ValueError(f'"{value}" is not in this Risen, which has {", ".join(KUBERNETES_VERSIONS)}{near}')
    return value


def role(value: str) -> str:
    """The roles that can be raised."""
    if value == "etcd":
        raise ValueError("role etcd is not built yet; this Risen has: control-plane (with etcd), worker")
    if value not in ("control-plane", "worker"):
        near = did_you_mean(value, ("control-plane", "worker"))
        raise ValueError(f'must be control-plane or worker, not "{value}"{near}')
    return value


def recipe_path(value: str) -> str:
    """A path relative to cluster.yaml, in its shortest form."""
    if not value.strip():
        raise ValueError("must name a recipe file, such as ./recipe.yaml")
    return posixpath.normpath(value)


def percent(value: str) -> str:
    """A share such as 40%."""
    if not re.fullmatch(r"\d{1,3}%", value) or int(value[:-1]) > 100:
        raise ValueError(f'must be a share from 0% to 100%, not "{value}"')
    return value


def disk(value: str) -> str:
    """A size in GiB such as 8Gi, from 4Gi (images and logs) to 1024Gi."""
    if not re.fullmatch(r"\d{1,4}Gi", value) or not 4 <= int(value[:-2]) <= 1024:
        raise ValueError(f'must be a size from 4Gi to 1024Gi, such as 8Gi, not "{value}"')
    return value


def memory(value: str) -> str:
    """A size in GiB such as 4Gi: a control-plane instance's own programs take one."""
    if not re.fullmatch(r"\d{1,4}Gi", value) or not 2 <= int(value[:-2]) <= 1024:
        raise ValueError(f'must be a size from 2Gi to 1024Gi, such as 4Gi, not "{value}"')
    return value


def issuer(value: str) -> str:
    """An OIDC issuer. Source: OpenID Connect Discovery 1.0, section 3."""
    if not re.fullmatch(r"https://[^\s?#]+", value):
        raise ValueError(f'must be an https:// URL without query, not "{value}"')
    return unmarked(value)


def dns_domain(value: str) -> str:
    """The cluster's DNS domain."""
    if not _SUBDOMAIN.fullmatch(value) or len(value) > 63:
        raise ValueError(f'must be a DNS domain such as cluster.local, not "{value}"')
    return value


def cert_san(value: str) -> str:
    """A DNS name or an address that clients reach the API server by."""
    if not _SUBDOMAIN.fullmatch(value.removeprefix("*.")) and _address(value) is None:
        raise ValueError(f'must be a DNS name or an IP address, not "{value}"')
    return value


def flag_of(program: str) -> Callable[[str], str]:
    """A check of flags of a program, written without dashes, that Risen does not set itself."""

    def check(value: str) -> str:
        if value.startswith("-"):
            raise ValueError(f'write the flag without dashes: "{value.lstrip("-")}"')
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", value):
            raise ValueError(f'"{value}" is no flag of {program}')
        if value in FLAGS_TAKEN[program]:
            raise ValueError(f'Risen sets "{value}" itself; it cannot be overridden')
        return value

    return check


def one_line(value: str) -> str:
    """Text that fits on one line of a flags file, and holds nothing that would be filled in."""
    if "\n" in value or "\0" in value:
        raise ValueError("must be one line")
    return unmarked(value)


def unmarked(value: str) -> str:
    """Text without what begins a mark in a release."""
    if MARK in value:
        raise ValueError(f'"{MARK}" marks what is an instance\'s own: it may not stand here')
    return value


def pod_subnet(value: str) -> str:
    """An IPv4 network that gives each instance a /24."""
    return _subnet(value, 8, 22, "each instance takes a /24 of it")


def service_subnet(value: str) -> str:
    """An IPv4 network for Services. kube-apiserver takes at most 20 bits of hosts."""
    return _subnet(value, 12, 24, "kube-apiserver takes no larger one than /12")


def local_subnet(value: str) -> str:
    """An IPv4 network for instances, of which .1 and .254 are taken."""
    return _subnet(value, 24, 24, "instances get .10 to .250 of it")


def label_key(value: str) -> str:
    """A label's or taint's key that is the user's to set. Source: Kubernetes, "Labels and Selectors", Syntax."""
    prefix, slash, tail = value.rpartition("/")
    if slash and (not _SUBDOMAIN.fullmatch(prefix) or len(prefix) > 253):
        raise ValueError(f'"{prefix}" before the "/" must be a DNS domain of at most 253 characters')
    if not _QUALIFIED.fullmatch(tail) or len(tail) > 63:
        raise ValueError(
            f'"{tail}" must be 1 to 63 letters, digits, "-", "_" or ".", with a letter or digit at both ends'
        )
    if prefix in ("risen", "risen.dev") or prefix.endswith(".risen.dev"):
        raise ValueError(f"{prefix}/ is kept for Risen: choose another prefix")
    if prefix == "node-role.kubernetes.io":
        raise ValueError("Risen sets node-role.kubernetes.io/ by the pool's role: leave it out")
    reserved = re.fullmatch(r"(.*\.)?(kubernetes|k8s)\.io", prefix)
    if reserved and prefix not in _USERS_OWN:
        raise ValueError(
            f"{prefix}/ is kept for Kubernetes: choose another prefix ({'/, '.join(sorted(_USERS_OWN))}/ may be set)"
        )
    return value


def label_value(value: str) -> str:
    """A label's or taint's value: empty, or like the name of a key."""
    if value and (not _QUALIFIED.fullmatch(value) or len(value) > 63):
        raise ValueError(
            f'"{value}" must be at most 63 letters, digits, "-", "_" or ".", with a letter or digit at both ends'
        )
    return value


def _subnet(value: str, least: int, most: int, why: str) -> str:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f'must be an IPv4 network such as 10.77.0.0/24, not "{value}"') from None
    if network.version == 6:
        raise ValueError("IPv6 is not built yet; this Risen has: IPv4")
    if "/" not in value or ipaddress.ip_interface(value).ip != network.network_address:
        raise ValueError(f'"{value}" must be a network\'s own address: write {network}')
    if network.is_loopback or network.is_multicast or network.is_link_local or network.is_unspecified:
        raise ValueError(f"{network} is kept for other uses: take a private one such as 10.77.0.0/24")
    if not least <= network.prefixlen <= most:
        size = f"/{least}" if least == most else f"/{least} to /{most}"
        raise ValueError(f"/{network.prefixlen} must be {size}: {why}")
    return value


def _address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


# --- across fields ----------------------------------------------------------------------------------------
def check_subnets(document: Document, defaults: Sequence[tuple[Path, str]]) -> Iterator[Problem]:
    """No two networks overlap. `defaults` holds each network's path and its value where none is written."""
    seen: list[tuple[Path, ipaddress.IPv4Network]] = []
    for path, default in defaults:
        value = document.at(path)
        try:
            network = ipaddress.IPv4Network(default if value is None else str(value))
        except ValueError:
            continue
        for other_path, other in seen:
            if network.overlaps(other):
                at = path if value is not None else other_path
                message = f"{network} overlaps {'.'.join(map(str, other_path))} {other}: take another network"
                if at == other_path:
                    message = f"{other} overlaps {'.'.join(map(str, path))} {network}: take another network"
                yield document.problem(at, message)
        seen.append((path, network))


def check_pools(document: Document) -> Iterator[Problem]:
    """Exactly one control-plane pool of 1, 3 or 5; each pool's name once; no more instances than addresses."""
    pools = pools_of(document)
    yield from _check_pool_names(document, pools)
    control_planes = [(path, pool) for path, pool in pools if pool.get("role") == "control-plane"]
    if pools and not control_planes:
        message = "one pool must have role control-plane"
        yield document.problem(("spec", "pools"), message)
    for path, _ in control_planes[1:]:
        yield document.problem((*path, "role"), "a second control-plane pool: a cluster has exactly one")
    for path, pool in control_planes[:1]:
        yield from _check_control_plane_replicas(document, (*path, "replicas"), pool.get("replicas"))
    total = sum(n for _, pool in pools if isinstance(n := _most_of(pool), int) and n > 0)
    if total > MAX_INSTANCES:
        message = f"{total} instances: a /24 has addresses for {MAX_INSTANCES} and their replacements"
        yield document.problem(("spec", "pools"), message)


def _most_of(pool: Mapping[str, object]) -> object:
    return pool.get("maxReplicas", pool.get("replicas"))


def check_taints(document: Document) -> Iterator[Problem]:
    """No taint twice: Kubernetes tells taints apart by key and effect."""
    for path, pool in pools_of(document):
        taints = pool.get("taints")
        seen: set[tuple[object, object]] = set()
        for index, taint in enumerate(taints if isinstance(taints, list) else ()):
            if not isinstance(taint, dict) or not isinstance(taint.get("key"), str):
                continue
            pair = (taint["key"], str(taint.get("effect")))
            if pair in seen:
                yield document.problem(
                    (*path, "taints", index), f"{pair[0]}:{pair[1]} stands already in this pool"
                )
            seen.add(pair)


def _check_pool_names(
    document: Document, pools: Sequence[tuple[Path, Mapping[str, object]]]
) -> Iterator[Problem]:
    seen: set[str] = set()
    for path, pool in pools:
        pool_name = pool.get("name")
        if isinstance(pool_name, str) and pool_name in seen:
            yield document.problem((*path, "name"), f'a second pool named "{pool_name}": choose another name')
        seen.add(str(pool_name))


def _check_control_plane_replicas(document: Document, path: Path, replicas: object) -> Iterator[Problem]:
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas in (1, 3, 5) or replicas < 0:
        return
    why = _REPLICAS_WHY.get(replicas)
    if why is None:
        why = (
            "even numbers bear no more losses than one less"
            if replicas % 2 == 0
            else "more only slows writes"
        )
    yield document.problem(path, f"must be 1, 3 or 5 (etcd members), not {replicas}: {why}")
