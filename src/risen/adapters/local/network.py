"""The cluster's network namespace, its bridge, and the veth pair that joins it to the host.

Nothing here touches a rule of the host's firewall; `outside.py` does, and only where the host has an outside.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from risen.adapters.local.host import in_netns, ip_json, run
from risen.adapters.local.settings import UPLINK, LocalSettings
from risen.interfaces.errors import Conflict, OutcomeUnknown

BRIDGE, LOOPBACK = "br0", "lo"
UNLABELLED = "unlabelled"
"""A link is made under this name inside the namespace, labelled, and only then gets its own: the kernel takes
no alias when a link is made, and a crash in between must leave nothing that looks like somebody else's."""
SYSCTLS = MappingProxyType(
    {
        "net/ipv4/ip_forward": "1",
        "net/bridge/bridge-nf-call-iptables": "0",
        "net/bridge/bridge-nf-call-ip6tables": "0",
        "net/bridge/bridge-nf-call-arptables": "0",
    }
)
"""Set inside the cluster's namespace only. Bridged traffic passes no rules there; instances keep their own 1."""


def links(settings: LocalSettings | None) -> dict[str, dict[str, object]]:
    """Links by name, in the cluster's namespace, or (None) on the host."""
    where = ["-n", settings.netns] if settings is not None else []
    return {str(link["ifname"]): link for link in ip_json(*where, "link", "show")}


def collisions(settings: LocalSettings) -> tuple[str, ...]:
    """What of the host stands in the way, each with what to do about it."""
    found = []
    host_links = links(None)
    link = host_links.get(settings.host_link)
    if link is not None and link.get("ifalias") != settings.label:
        found.append(
            f"network link {settings.host_link} belongs to something else: choose another cluster name"
        )
    owner = namespace_owner(settings)
    if owner not in (None, "", settings.label):
        found.append(
            f"network namespace {settings.netns} belongs to something else ({owner}): choose another cluster name"
        )
    found += [
        f"subnet {settings.subnet} overlaps {route.words}: choose another provider.local.subnet"
        for route in widest(overlapping(settings, settings.network))
    ]
    return tuple(found)


def namespace_owner(settings: LocalSettings) -> str | None:
    """The label on the namespace's bridge; "" for a half-made one (loopback only), None for no namespace."""
    if not settings.netns_path.exists():
        return None
    try:
        inside = links(settings)
    except OutcomeUnknown:
        return ""  # a name without a namespace: left by a reboot or a crash of `ip netns add`
    bridge = inside.get(BRIDGE)
    if bridge is not None:
        return str(bridge.get("ifalias", "")) or "a bridge without label"
    others = [
        name
        for name, link in inside.items()
        if "LOOPBACK" not in str(link.get("flags")) and name != UNLABELLED
    ]
    real = [name for name in others if not _is_fallback_tunnel(inside[name])]
    return f"links {', '.join(real)}" if real else ""


def _is_fallback_tunnel(link: dict[str, object]) -> bool:
    """tunl0, sit0, …: the kernel makes them in every new namespace where those modules are loaded."""
    return link.get("link_type") in (
        "ipip",
        "sit",
        "gre",
        "ip6gre",
        "tunnel6",
        "vti",
        "ip6_vti",
        "ipgre",
        "gre6",
    ) or (str(link.get("ifname")) in ("erspan0", "gretap0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0"))


@dataclass(frozen=True, slots=True)
class HostRoute:
    """A route of the host. `connected` says that it leads to one of its own addresses, or onto one of its links."""

    network: ipaddress.IPv4Network
    words: str
    connected: bool


def overlapping(settings: LocalSettings, network: ipaddress.IPv4Network) -> tuple[HostRoute, ...]:
    """Routes of the host, default aside, that overlap `network` and are not our own link's, by their words."""
    found: set[HostRoute] = set()
    devices = links(None)
    for route in ip_json("-4", "route", "show", "table", "all"):
        device = str(route.get("dev", ""))
        destination = str(route.get("dst", "default"))
        if device == settings.host_link or destination == "default":
            continue
        if device and device not in devices:
            continue  # a link on its way out: its namespace was deleted a moment ago
        leads_to = ipaddress.IPv4Network(destination, strict=False)
        if leads_to.prefixlen > 0 and leads_to.overlaps(network):
            words = f"the host's route {destination} on {device or route.get('type', '?')}"
            found.add(HostRoute(leads_to, words, route.get("protocol") == "kernel"))
    return tuple(sorted(found, key=lambda one: one.words))


def widest(routes: Collection[HostRoute]) -> tuple[HostRoute, ...]:
    """Those that lie in no other of them."""
    return tuple(
        one
        for one in routes
        if not any(one.network != other.network and one.network.subnet_of(other.network) for other in routes)
    )


def make_network(settings: LocalSettings) -> None:
    """Bring up namespace, bridge and veth pair; each only where it is missing. Raises Conflict."""
    trouble = collisions(settings)
    if trouble:
        raise Conflict("; ".join(trouble))
    if namespace_owner(settings) != settings.label:
        _make_namespace(settings)
    _make_uplink(settings)
    in_netns(settings.netns_path, _set_sysctls)


def _make_namespace(settings: LocalSettings) -> None:
    if settings.netns_path.exists():
        run(["ip", "netns", "del", settings.netns])
    run(["ip", "netns", "add", settings.netns])
    prefix = settings.network.prefixlen
    _batch(
        settings.netns,
        "link set lo up",
        f"link add {UNLABELLED} type bridge stp_state 0 forward_delay 0",
        f"link set {UNLABELLED} alias {settings.label}",
        f"link set {UNLABELLED} name {BRIDGE}",
    )
    _batch(settings.netns, f"addr add {settings.gateway}/{prefix} dev {BRIDGE}", f"link set {BRIDGE} up")


def _make_uplink(settings: LocalSettings) -> None:
    inside, outside = links(settings), links(None)
    _keep_bridge(settings, inside[BRIDGE])
    if settings.host_link in outside and UPLINK not in inside:
        _delete_link(settings.host_link)
        outside = {}
    if settings.host_link not in outside:
        commands = [f"link del {UPLINK}"] if UPLINK in inside else []
        commands += [
            f"link add {UNLABELLED} type veth peer name {UPLINK}",
            f"link set {UNLABELLED} alias {settings.label}",
            f"link set {UNLABELLED} netns {os.getpid()} name {settings.host_link}",
        ]
        _batch(settings.netns, *commands)
    prefix = settings.network.prefixlen
    _batch(settings.netns, f"link set {UPLINK} master {BRIDGE}", f"link set {UPLINK} up")
    _batch(
        None,
        *([f"link set {settings.host_link} addrgenmode none"] if Path("/proc/sys/net/ipv6").exists() else []),
        f"link set {settings.host_link} up",
        f"addr replace {settings.host_address}/{prefix} dev {settings.host_link} noprefixroute",
        f"route replace {settings.network} dev {settings.host_link} src {settings.host_address}",
    )


def _keep_bridge(settings: LocalSettings, bridge: dict[str, object]) -> None:
    """Its hardware address is set to what it has: one that was never set is the lowest of its ports', and changes as
    instances come and go. Whoever has learned the one before then speaks to nobody until its neighbour entry has run
    out: 20 to 90 s without the endpoint (arp(7), bridge(8))."""
    commands = [f"link set {BRIDGE} address {bridge['address']}"]
    if "UP" not in str(bridge.get("flags")) or settings.gateway not in _addresses(settings.netns, BRIDGE):
        commands += [
            f"addr replace {settings.gateway}/{settings.network.prefixlen} dev {BRIDGE}",
            f"link set {BRIDGE} up",
        ]
    _batch(settings.netns, *commands)


def names_inside(settings: LocalSettings) -> frozenset[str]:
    """Names of all links in the cluster's namespace, none where there is none. Runs no program: it is asked in
    every look. Raises OutcomeUnknown."""
    try:
        return in_netns(settings.netns_path, lambda: frozenset(name for _, name in socket.if_nameindex()))
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise OutcomeUnknown(f"namespace {settings.netns}: {error}") from error


def _delete_link(name: str) -> None:
    """Delete a link of the host; one that goes by itself, with its peer's namespace, is as good."""
    try:
        run(["ip", "link", "del", name])
    except OutcomeUnknown:
        if name in links(None):
            raise


def _addresses(netns: str, device: str) -> frozenset[str]:
    found = ip_json("-n", netns, "-4", "addr", "show", "dev", device)
    return frozenset(str(item["local"]) for link in found for item in link.get("addr_info", []))


def _batch(netns: str | None, *commands: str) -> None:
    where = ["-n", netns] if netns else []
    run(["ip", *where, "-batch", "-"], stdin="\n".join(commands) + "\n")


def _set_sysctls() -> None:
    for name, value in SYSCTLS.items():
        file = Path("/proc/sys") / name
        if file.exists() and file.read_text().strip() != value:
            file.write_text(value)


def set_routes(settings: LocalSettings, outside: bool) -> None:
    """Where the namespace sends what instances have no way for: nowhere if it is for pods or Services, and else to the
    host if there is an outside.

    Pods and Services are reached inside of instances. A packet for one of them comes here only where an instance knows
    no such pod or Service, as after a Node was deleted, and by the default route it would go on to the host and to
    whoever has that address there. `unreachable`, not `blackhole`: what carries an instance's own address (its
    programs, and pods that ask a Service, which flannel masquerades) is told at once. A packet with a pod's address is
    dropped alike, but the namespace knows no way back to pods to tell them."""
    routes = ip_json("-n", settings.netns, "-4", "route", "show")
    closed = {str(route["dst"]) for route in routes if route.get("type") == "unreachable"}
    has_default = any(route["dst"] == "default" for route in routes)
    networks = [str(network) for _, network in settings.inner_networks]
    commands = [f"route replace unreachable {network}" for network in networks if network not in closed]
    if outside and not has_default:
        commands.append(f"route add default via {settings.host_address}")
    if not outside and has_default:
        commands.append("route del default")
    if commands:
        _batch(settings.netns, *commands)


def clear_network(settings: LocalSettings) -> None:
    """Remove what `make_network` added: only what carries our label, whole or half made."""
    link = links(None).get(settings.host_link)
    if link is not None and link.get("ifalias") == settings.label:
        _delete_link(settings.host_link)
    owner = namespace_owner(settings)
    if owner == settings.label:
        run(["ip", "-n", settings.netns, "link", "del", BRIDGE])
    if owner in ("", settings.label) and settings.netns_path.exists():
        run(["ip", "netns", "del", settings.netns])
