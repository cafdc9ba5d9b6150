"""What a test puts around a cluster: a strict firewall like Docker's and ufw's, a stranger on the bridge, a closed port.

Each is a context that takes away exactly what it added.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

UFW = """
table inet e2e_ufw {
  chain input {
    type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established,related accept
    icmp type echo-request accept
  }
}
"""
DOCKER = """
table ip filter {
  chain DOCKER-USER { return; }
  chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }
}
"""
CLOSED = """
table inet e2e_closed {
  chain input { type filter hook input priority filter; policy accept; tcp dport 9443 reject; }
}
"""


def program(*argv: str, stdin: str = "") -> str:
    """Standard output of a program that must end well."""
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=True).stdout


@contextmanager
def strict_firewall() -> Iterator[None]:
    """Forwarding and input dropped by default, as a host with Docker and ufw has it; established passes."""
    tables = program("nft", "list", "tables").splitlines()
    added = [("inet", "e2e_ufw", UFW)]
    if "table ip filter" not in tables:
        added.append(("ip", "filter", DOCKER))
    try:
        for _, _, text in added:
            program("nft", "-f", "-", stdin=text)
        yield
    finally:
        for family, name, _ in added:
            subprocess.run(("nft", "delete", "table", family, name), capture_output=True, check=False)


@contextmanager
def stranger(netns: str, link: str, address: str) -> Iterator[None]:
    """A network namespace of somebody else's, plugged into the cluster's bridge by a veth pair."""
    other = "e2e-stranger"
    program("ip", "netns", "add", other)
    try:
        program("ip", "-n", netns, "link", "add", link, "type", "veth", "peer", "name", "far")
        program("ip", "-n", netns, "link", "set", "far", "netns", other)
        program("ip", "-n", netns, "link", "set", link, "master", "br0", "up")
        program("ip", "-n", other, "addr", "add", f"{address}/24", "dev", "far")
        program("ip", "-n", other, "link", "set", "far", "up")
        yield
    finally:
        subprocess.run(("ip", "-n", netns, "link", "del", link), capture_output=True, check=False)
        program("ip", "netns", "del", other)


def reaches(address: str) -> bool:
    """Whether the stranger still has its network: the API endpoint answers it."""
    asked = ("ip", "netns", "exec", "e2e-stranger", "curl", "-sk", "-m", "3", f"https://{address}:6443/livez")
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout == "ok"


@contextmanager
def join_closed(netns: str) -> Iterator[None]:
    """The join port refuses everybody."""
    program("nsenter", f"--net=/run/netns/{netns}", "nft", "-f", "-", stdin=CLOSED)
    try:
        yield
    finally:
        program("nsenter", f"--net=/run/netns/{netns}", "nft", "delete", "table", "inet", "e2e_closed")
