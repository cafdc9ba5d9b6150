"""Whether firewalls of this host let through what instances send to the outside, and how to mend that where they do not.

Only image pulls stand on it: the cluster's own traffic never leaves its namespace, and Docker's and ufw's chains for
rules of others are used (see `outside`). Looks only, and asks for root: nobody else is told the rules.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from risen.adapters.local.host import run
from risen.adapters.local.outside import USER_CHAINS, has_outside
from risen.interfaces.checks import Check
from risen.interfaces.errors import Invalid, OutcomeUnknown

Ask = Callable[[Sequence[str]], str]
"""Runs a program and returns what it prints. Raises Invalid where there is none, OutcomeUnknown where it failed."""
FIREWALLD_TABLE = "firewalld"


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What drops what is forwarded, and the commands that let a cluster's link through."""

    found: str
    mend: str


def check_forwarding(link: str) -> Check:
    """Images can be pulled. A cluster rises without: what it needs itself is baked in."""
    name = "image pulls"
    if not has_outside():
        return Check(name, True, "no default route: nothing is pulled", bars=False)
    if os.geteuid() != 0:
        return Check(name, True, "only root sees the firewall", bars=False)
    found = hindrances(link, run)
    told = "; ".join(one.found for one in found) or "let through"
    return Check(name, not found, told, " && ".join(one.mend for one in found), bars=False)


def hindrances(link: str, ask: Ask) -> tuple[Hindrance, ...]:
    """Everything that drops what comes from `link`, the host's end of a cluster's veth pair."""
    return (*_in_iptables(link, ask), *_in_nftables(link, ask), *_in_firewalld(link, ask))


def _in_iptables(link: str, ask: Ask) -> Iterator[Hindrance]:
    """A drop behind nobody's user chain, where no rule above it names the link."""
    lines = _said(ask, "iptables", "-w", "-S").splitlines()
    ends = ("-A FORWARD -j DROP", "-A FORWARD -j REJECT")
    drops = "-P FORWARD DROP" in lines or any(line.startswith(ends) for line in lines)
    ours = any(f"-N {chain}" in lines for chain in USER_CHAINS)
    let_through = any(line.startswith(f"-A FORWARD -i {link} ") and "ACCEPT" in line for line in lines)
    if drops and not ours and not let_through:
        yield Hindrance(
            "iptables drops what is forwarded",
            f"iptables -I FORWARD -i {link} -j ACCEPT && iptables -I FORWARD -o {link} -m conntrack --ctstate "
            "RELATED,ESTABLISHED -j ACCEPT",
        )


def _in_nftables(link: str, ask: Ask) -> Iterator[Hindrance]:
    """Chains of other tables than iptables' and firewalld's, which are asked by their own programs."""
    listed = json.loads(_said(ask, "nft", "-j", "list", "chains") or '{"nftables": []}')
    chains = [item["chain"] for item in listed["nftables"] if "chain" in item]
    for chain in chains:
        family, table, name = chain["family"], chain["table"], chain["name"]
        drops = chain.get("hook") == "forward" and chain.get("policy") == "drop"
        asked_elsewhere = (family, table, name) == ("ip", "filter", "FORWARD") or table == FIREWALLD_TABLE
        if not drops or asked_elsewhere or family not in ("ip", "inet"):
            continue
        if f'iifname "{link}"' in _said(ask, "nft", "list", "chain", family, table, name):
            continue
        insert = f"nft insert rule {family} {table} {name}"
        yield Hindrance(
            f"nftables drops what is forwarded in {family} {table} {name}",
            f"{insert} iifname {link} accept && {insert} oifname {link} ct state established,related accept",
        )


def _in_firewalld(link: str, ask: Ask) -> Iterator[Hindrance]:
    """Zones other than those that accept all reject what is forwarded."""
    if _said(ask, "firewall-cmd", "--state").strip() != "running":
        return
    zone = _said(ask, "firewall-cmd", f"--get-zone-of-interface={link}").strip()
    zone = zone or _said(ask, "firewall-cmd", "--get-default-zone").strip()
    target = _said(ask, "firewall-cmd", "--permanent", f"--zone={zone}", "--get-target").strip()
    if target != "ACCEPT":
        add = f"--zone=trusted --add-interface={link}"
        yield Hindrance(
            f"firewalld's zone {zone} rejects what is forwarded",
            f"firewall-cmd {add} && firewall-cmd --permanent {add}",
        )


def _said(ask: Ask, *words: str) -> str:
    """What a program prints; nothing where it is not here, or has no answer."""
    try:
        return ask(words)
    except (Invalid, OutcomeUnknown):
        return ""
