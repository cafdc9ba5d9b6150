"""What the host shows of a cluster: the tests' own look, not the product's."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

HOME = Path(os.environ.get("RISEN_HOME", "/var/lib/risen"))
SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/bridge/bridge-nf-call-iptables",
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
)


def run(*words: str) -> str:
    """Standard output of a program, empty when it fails."""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def processes_of(cluster: str, instance: str = "") -> list[int]:
    """Processes whose command line or cgroup names the cluster's folder (or one instance of it)."""
    mark = f"clusters/{cluster}/" + (f"instances/{instance}/" if instance else "")
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            groups = (entry / "cgroup").read_text()
        except OSError:
            continue
        named = f"risen-{cluster}" if not instance else instance
        if mark in command or named in groups:
            found.append(int(entry.name))
    return found


def end_hard(cluster: str, instance: str) -> None:
    """SIGKILL for every process of an instance, its init among them."""
    for process in processes_of(cluster, instance):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def host_facts() -> dict[str, str]:
    """What must be the same before `up` and after `down`."""
    facts = {
        name: Path("/proc/sys", name).read_text() for name in SYSCTLS if Path("/proc/sys", name).exists()
    }
    facts["rules"] = run("nft", "list", "ruleset")
    facts["routes"] = run("ip", "route", "show", "table", "all")
    facts["addresses"] = run("ip", "-brief", "address")
    facts["namespaces"] = run("ip", "netns", "list")
    facts["loops"] = run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE")
    return facts


def leftovers(cluster: str) -> list[str]:
    """Everything of a cluster that this host still shows."""
    left = [f"process {process}" for process in processes_of(cluster)]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    left += [f"mount {line.split()[4]}" for line in mounts if f"clusters/{cluster}/" in line]
    left += [
        f"namespace {line}"
        for line in run("ip", "netns", "list").splitlines()
        if f"risen-{cluster}" in line.split()
    ]
    left += [
        f"loop {line}"
        for line in run("losetup", "--list", "--noheadings").splitlines()
        if f"clusters/{cluster}/" in line
    ]
    left += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/risen-{cluster}*")]
    folder = HOME / "clusters" / cluster
    return left + ([str(folder)] if folder.exists() else [])
