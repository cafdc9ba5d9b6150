"""What the host shows of a cluster: the tests' own look, not the product's."""

from __future__ import annotations

import os
import shutil
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
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
)


def run(*words: str) -> str:
    """Standard output of a program, empty when it fails."""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def processes_of(cluster: str, instance: str = "") -> list[int]:
    """Processes in the cgroups of a cluster or of one of its instances; of a cluster also its controller, first."""
    groups = [f"/risen/{cluster}/{instance}", f"/risen.slice/risen-{cluster}.{instance}"]
    serve = ("serve", "-c", cluster)
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = tuple((entry / "cmdline").read_bytes().decode(errors="replace").split("\0"))
            lines = (entry / "cgroup").read_text()
            if (entry / "stat").read_text().rpartition(") ")[2].startswith("Z"):
                continue  # ended; only its parent has not asked how yet
        except OSError:
            continue
        if not instance and words[-4:-1] == serve:
            found.insert(0, int(entry.name))
        elif any(group in lines for group in groups):
            found.append(int(entry.name))
    return found


def end_hard(cluster: str, instance: str = "") -> None:
    """SIGKILL for every process of an instance, its init among them, or of a whole cluster: its controller first, or it
    would power on again what is ended a moment before it."""
    for process in processes_of(cluster, instance):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def forget_what_a_boot_forgets(cluster: str) -> None:
    """Mounts, the network namespace with its bridge, what lies in /run, and the cgroups of a cluster whose processes
    have ended: only its disks are left, as after a power cut."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed([one for one in mounts if f"clusters/{cluster}/" in one]):
        subprocess.run(["umount", point], check=True)
    subprocess.run(["ip", "netns", "del", f"risen-{cluster}"], check=True)
    shutil.rmtree(f"/run/risen/{cluster}")
    for folder, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
        if folder.endswith(f"/risen/{cluster}") or f"/risen/{cluster}/" in folder:
            os.rmdir(folder)


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
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        ours = (
            cluster in names
            if folder.endswith("/risen")
            else any(n.startswith(f"risen-{cluster}.") for n in names)
        )
        left += [f"cgroup in {folder}"] if ours else []
    folder = HOME / "clusters" / cluster
    return left + ([str(folder)] if folder.exists() else [])
