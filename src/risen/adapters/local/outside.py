"""The way out of the cluster, for pulling images: NAT and forwarding, only where the host has a default route.

Everything is added by name (own nft table, commented rules in Docker's and ufw's own user chains) and removed
by name; nothing is flushed. Host sysctls are recorded before their first change and put back.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from risen.adapters.local.host import PROGRAMS_PATH, boot_id, file_lock, ip_json, run, write_file
from risen.adapters.local.settings import LocalSettings
from risen.interfaces.errors import OutcomeUnknown

SHARED = Path("/run/risen")
"""What several clusters of one host share; gone with a reboot, as the sysctls it records are."""
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
LEAST = MappingProxyType(
    {
        Path("/proc/sys/fs/inotify/max_user_instances"): 4096,
        Path("/proc/sys/fs/inotify/max_user_watches"): 524288,
    }
)
"""Host limits raised to at least this: a bare machine takes 8 inotify instances, the default is 128 in all."""
USER_CHAINS = MappingProxyType({"DOCKER-USER": "docker0", "ufw-user-forward": "ufw"})
"""Chains that Docker and ufw keep for rules of others, passed before their own drop, each with what people know its
owner by."""


def has_outside() -> bool:
    """Whether the host has an IPv4 default route."""
    return bool(ip_json("-4", "route", "show", "default"))


def nat_rules(settings: LocalSettings) -> str:
    """Our table: masquerade what leaves, let in only answers. Priorities as nft(8) names them."""
    table, link = settings.table, settings.host_link
    return (
        f"table ip {table} {{\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat; policy accept;\n"
        f'    ip saddr {settings.network} oifname != "{link}" masquerade\n'
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy accept;\n"
        f'    oifname "{link}" ct state established,related accept\n'
        f'    oifname "{link}" drop\n'
        "  }\n"
        "}\n"
    )


def open_outside(settings: LocalSettings) -> tuple[str, ...]:
    """Add what is missing of NAT and forwarding, and tell what that was: repeated, it changes nothing. Others of this
    host take it away without asking: `nft flush ruleset`, `ufw reload`, a restarted Docker, `sysctl --system`."""
    laid = []
    if settings.table not in _tables():
        run(["nft", "-f", "-"], stdin=nat_rules(settings))
        laid.append(f"nft table {settings.table}")
    listed = _listed_rules()
    for rule in user_rules(settings, listed):
        if f"-A {' '.join(rule)}" not in listed and not _has_rule(rule):
            run(["iptables", "-w", "-I", *rule])
            laid.append(f"a rule in {rule[0]}")
    with file_lock(SHARED / "host.lock"):
        if FORWARD.read_text().strip() != "1":
            record_sysctl(FORWARD)
            FORWARD.write_text("1")
            laid.append(f"sysctl {FORWARD.name}")
    return tuple(laid)


def raise_limits() -> None:
    """Raise what all machines of a host share: as root without user namespaces they count as one user."""
    with file_lock(SHARED / "host.lock"):
        for file, least in LEAST.items():
            if int(file.read_text()) < least:
                record_sysctl(file)
                file.write_text(str(least))


def close_outside(settings: LocalSettings) -> None:
    """Remove our table and rules; put sysctls back when no other cluster is left on this host."""
    for rule in user_rules(settings, _listed_rules()):
        if _has_rule(rule):
            run(["iptables", "-w", "-D", *rule])
    if shutil.which("nft", path=PROGRAMS_PATH) and settings.table in _tables():
        run(["nft", "delete", "table", "ip", settings.table])
    with file_lock(SHARED / "host.lock"):
        if not other_clusters(settings):
            restore_sysctls()


def other_clusters(settings: LocalSettings) -> tuple[str, ...]:
    """Network namespaces of other clusters: what they need stays."""
    folder = settings.netns_path.parent
    names = sorted(path.name for path in folder.glob("risen-*")) if folder.is_dir() else []
    return tuple(name for name in names if name != settings.netns)


def _tables() -> frozenset[str]:
    listed = json.loads(run(["nft", "-j", "list", "tables"]))
    tables = (item["table"] for item in listed["nftables"] if "table" in item)
    return frozenset(str(table["name"]) for table in tables if table["family"] == "ip")


def _listed_rules() -> tuple[str, ...]:
    """The filter table as `iptables -S` prints it, a line a chain and rule; nothing where there is no iptables."""
    if not shutil.which("iptables", path=PROGRAMS_PATH):
        return ()
    try:
        return tuple(run(["iptables", "-w", "-S"]).splitlines())
    except OutcomeUnknown:  # a kernel without that table: nobody's chains are there
        return ()


def user_chains() -> tuple[str, ...]:
    """Those of USER_CHAINS that exist on this host."""
    listed = _listed_rules()
    return tuple(chain for chain in USER_CHAINS if f"-N {chain}" in listed)


def user_rules(settings: LocalSettings, listed: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Our rules for the user chains among the `listed` ones, as words of `iptables -A`."""
    comment = ("-m", "comment", "--comment", settings.table, "-j", "ACCEPT")
    answers = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
    rules: list[tuple[str, ...]] = []
    for chain in (chain for chain in USER_CHAINS if f"-N {chain}" in listed):
        rules.append((chain, "-i", settings.host_link, *comment))
        rules.append((chain, "-o", settings.host_link, *answers, *comment))
    return tuple(rules)


def _has_rule(rule: tuple[str, ...]) -> bool:
    try:
        run(["iptables", "-w", "-C", *rule])
    except OutcomeUnknown:  # exit 1: not there
        return False
    return True


def record_sysctl(file: Path) -> None:
    """Remember a value of the host before its first change in this boot."""
    kept = _recorded()
    if str(file) not in kept:
        kept[str(file)] = file.read_text().strip()
        value = {"boot": boot_id(), "sysctls": kept}
        write_file(SHARED / "host.json", json.dumps(value, sort_keys=True).encode())


def restore_sysctls() -> None:
    """Put back what was recorded in this boot, and forget the record."""
    for name, value in _recorded().items():
        file = Path(name)
        if file.exists() and file.read_text().strip() != value:
            file.write_text(value)
    (SHARED / "host.json").unlink(missing_ok=True)


def _recorded() -> dict[str, str]:
    try:
        value = json.loads((SHARED / "host.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return dict(value["sysctls"]) if value.get("boot") == boot_id() else {}
