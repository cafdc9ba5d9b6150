"""Service ports of each role: the table that probes and port scans are made from, and firewalls will be.

Peers are named by what they are, never by address: nothing changes on a living instance.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from risen.core.names import InstanceName, Role
from risen.core.spec import ClusterSpec


class Peer(StrEnum):
    """Who may come to a port."""

    INSTANCES = "instances"
    CONTROL_PLANE = "control-plane"
    MEMBERS = "members"
    """Instances with an etcd member."""
    ENDPOINT = "endpoint"
    CONTROLLER = "controller"
    """Risen's controller and its watchers."""
    PODS = "pods"
    ANYONE = "anyone"


@dataclass(frozen=True, slots=True, order=True)
class ServicePort:
    """A port, or with `last` a range of ports, that an instance answers on."""

    port: int
    protocol: str
    """TCP or UDP."""
    program: str
    peers: tuple[Peer, ...]
    last: int | None = None


_FROM_APISERVER = (Peer.CONTROL_PLANE, Peer.CONTROLLER)
_NODE = (
    ServicePort(10250, "TCP", "kubelet", _FROM_APISERVER),
    ServicePort(10256, "TCP", "kube-proxy", _FROM_APISERVER),
    ServicePort(8472, "UDP", "flannel", (Peer.INSTANCES,)),
    ServicePort(30000, "TCP", "node-ports", (Peer.ANYONE,), last=32767),
    ServicePort(30000, "UDP", "node-ports", (Peer.ANYONE,), last=32767),
)
_CONTROL_PLANE = (
    ServicePort(6443, "TCP", "kube-apiserver", (Peer.ENDPOINT, Peer.INSTANCES, Peer.PODS, Peer.CONTROLLER)),
    ServicePort(2379, "TCP", "etcd", (Peer.CONTROL_PLANE, Peer.CONTROLLER)),
    ServicePort(2380, "TCP", "etcd", (Peer.MEMBERS,)),
    ServicePort(10257, "TCP", "kube-controller-manager", _FROM_APISERVER),
    ServicePort(10259, "TCP", "kube-scheduler", _FROM_APISERVER),
)


def service_ports(spec: ClusterSpec, role: Role) -> tuple[ServicePort, ...]:
    """Every port an instance of this role listens on for others, sorted. Ports on loopback are not in it."""
    ports = _NODE + (_CONTROL_PLANE if role is Role.CONTROL_PLANE else ())
    absent = set()
    if spec.networking.cni != "flannel":
        absent.add("flannel")
    if not spec.networking.kube_proxy:
        absent |= {"kube-proxy", "node-ports"}
    return tuple(sorted(port for port in ports if port.program not in absent))


TOLD_BY_PORT = frozenset({"kubelet", "kube-proxy", "kube-controller-manager", "kube-scheduler"})
"""Programs that are no pods, and of which nothing else tells: etcd and the apiserver have sections of their own."""


@dataclass(frozen=True, slots=True, order=True)
class Door:
    """A port of one instance that is asked whether a program is behind it."""

    instance: InstanceName
    address: str
    program: str
    port: int


def doors_of(instance: InstanceName, role: Role, address: str) -> tuple[Door, ...]:
    """Those of an instance, whatever of it a cluster's settings leave out."""
    ports = _NODE + (_CONTROL_PLANE if role is Role.CONTROL_PLANE else ())
    return tuple(
        Door(instance, address, port.program, port.port)
        for port in sorted(ports)
        if port.program in TOLD_BY_PORT
    )


def programs_told(spec: ClusterSpec, role: Role) -> tuple[str, ...]:
    """Programs of a role that have to answer, by what the spec has of them."""
    return tuple(port.program for port in service_ports(spec, role) if port.program in TOLD_BY_PORT)
