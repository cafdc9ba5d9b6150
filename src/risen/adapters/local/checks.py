"""Whether this host can carry a local cluster, what one adds to it, and how to mend what is missing.

Looks only: the kernel's features are tried in a network namespace of their own that ends with the try, and
no module is loaded, no file written.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from risen.adapters.local.boot_unit import boot_unit_file
from risen.adapters.local.forwarding import check_forwarding
from risen.adapters.local.host import (
    BAKE_PACKAGES,
    DEBIAN_KEYRING,
    PACKAGES,
    PROGRAMS_PATH,
    is_systemd_host,
    mounts_under,
)
from risen.adapters.local.launcher import launcher_for
from risen.adapters.local.network import collisions, overlapping, widest
from risen.adapters.local.outside import FORWARD, LEAST, SHARED, USER_CHAINS, has_outside, user_chains
from risen.adapters.local.records import read_site
from risen.adapters.local.settings import LocalSettings
from risen.adapters.local.site import MODULES
from risen.core.names import ClusterUid
from risen.core.spec import ClusterSpec
from risen.interfaces.checks import Check, HostReport
from risen.interfaces.errors import Corrupt, InterfaceError, NotFound

GIB = 1 << 30
LEAST_MEMORY_GIB = 1.0
MEMORY_PER_INSTANCE_GIB = 0.4
"""Seen: 1.9 GB for three control-plane instances and two workers without load."""
LEAST_DISK_GIB = 6.0
CONTROLLERS_V1 = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
CONTROLLERS_V2 = ("cpu", "cpuset", "io", "memory", "pids")
TRIES = MappingProxyType(
    {
        "veth": "ip link add x type veth peer name y",
        "bridge": "ip link add x type bridge",
        "vxlan": "ip link add x type vxlan id 1 dstport 8472",
        "nf_tables": "nft add table ip x",
    }
)
"""Features that are tried in a scratch namespace: a module may be built in, so `modprobe` says little."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The cluster that the host is to carry. `cache` is where bakes keep what they fetch and compile; `bakes` says that
    no image is there yet."""

    settings: LocalSettings
    instances: int = 5
    cache: Path = Path("/var/cache/risen")
    bakes: bool = True


def wanted_for(spec: ClusterSpec | None, home: Path) -> Wanted:
    """From a cluster.yaml, or the one that `risen init` would write."""
    if spec is None:
        return Wanted(_known(LocalSettings("dev", ClusterUid(""), home)))
    local, networking = spec.provider, spec.networking
    settings = LocalSettings(
        spec.name, ClusterUid(""), home, local.subnet, local.disk_gib,
        pod_subnet=networking.pod_subnet, service_subnet=networking.service_subnet,
    )  # fmt: skip
    return Wanted(_known(settings), sum(pool.replicas for pool in spec.pools))


def _known(settings: LocalSettings) -> LocalSettings:
    """With the uid of the cluster of that name, if it lives here: its own network is no collision."""
    try:
        return replace(settings, uid=read_site(settings.home, settings.name).uid)
    except (NotFound, Corrupt):
        return settings


def examine(wanted: Wanted) -> HostReport:
    """Look at everything."""
    looks: tuple[Callable[[], Check], ...] = (
        check_system,
        check_root,
        check_programs,
        lambda: check_bake_programs(wanted.bakes),
        check_cgroups,
        check_kernel,
        check_bridge_rules,
        check_loop,
        check_machine_id,
        lambda: check_memory(wanted),
        lambda: check_disk(wanted),
        lambda: check_free(wanted),
        lambda: check_reach(wanted),
        lambda: check_forwarding(wanted.settings.host_link),
        check_sysctls,
    )
    return HostReport(tuple(_safely(look) for look in looks), neighbours(_chains_used()))


def _safely(look: Callable[[], Check]) -> Check:
    try:
        return look()
    except (InterfaceError, OSError, subprocess.SubprocessError) as error:
        return Check("look", False, f"cannot look: {error}", "mend the checks above first")


def check_system() -> Check:
    """Linux on amd64, and which."""
    if platform.system() != "Linux":
        return Check("system", False, platform.system(), "use a Linux host, or try `risen demo` here")
    name = os_name(Path("/etc/os-release"))
    ok = platform.machine() in ("x86_64", "amd64")
    return Check("system", ok, f"{name} {platform.machine()}", "images are built for amd64: use such a host")


def os_name(release: Path) -> str:
    """`Debian 12`, from os-release(5)."""
    try:
        lines = release.read_text().splitlines()
    except OSError:
        return "Linux"
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    name, number = values.get("NAME", "Linux").strip('"'), values.get("VERSION_ID", "").strip('"')
    return f"{name.removesuffix(' GNU/Linux')} {number}".strip()


def check_root() -> Check:
    """Machines, mounts and namespaces need it."""
    root = os.geteuid() == 0
    return Check("root", root, "root" if root else f"uid {os.geteuid()}", "run it with sudo")


def check_programs(path: str = PROGRAMS_PATH) -> Check:
    """Everything the local provider runs, looked for on `path`."""
    missing = sorted(name for name in PACKAGES if shutil.which(name, path=path) is None)
    packages = sorted({PACKAGES[name] for name in missing})
    found = f"missing: {', '.join(missing)}" if missing else f"{len(PACKAGES)} found"
    return Check("programs", not missing, found, f"apt-get install {' '.join(packages)}")


def check_bake_programs(bars: bool, path: str = PROGRAMS_PATH, keyring: Path = DEBIAN_KEYRING) -> Check:
    """Everything a bake runs. Where images are there already a cluster rises without."""
    missing = sorted(name for name in BAKE_PACKAGES if shutil.which(name, path=path) is None)
    packages = {BAKE_PACKAGES[name] for name in missing}
    if not keyring.exists():
        missing, packages = [*missing, str(keyring)], {*packages, "debian-archive-keyring"}
    found = f"missing: {', '.join(missing)}" if missing else f"{len(BAKE_PACKAGES)} found"
    return Check(
        "bake programs", not missing, found, f"apt-get install {' '.join(sorted(packages))}", bars=bars
    )


def check_cgroups() -> Check:
    """Version, and that each controller kubelet wants is there."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    if unified.exists():
        offered = unified.read_text().split()
        missing = [name for name in CONTROLLERS_V2 if name not in offered]
        return Check(
            "cgroup", not missing, _version(2, missing), "boot the kernel with these controllers enabled"
        )
    mounted = {
        option
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if line.split()[2] == "cgroup"
        for option in line.split()[3].split(",")
    }
    missing = [name for name in CONTROLLERS_V1 if name not in mounted]
    return Check("cgroup", not missing, _version(1, missing), "mount these controllers under /sys/fs/cgroup")


def _version(number: int, missing: list[str]) -> str:
    return f"cgroup v{number}" + (f" without {', '.join(missing)}" if missing else "")


def check_kernel() -> Check:
    """Features that machines and the cluster's network are made of."""
    known = Path("/proc/filesystems").read_text().split()
    missing = [name for name in ("overlay", "ext4") if name not in known and not _loadable(name)]
    if os.geteuid() == 0:
        missing += [name for name, command in TRIES.items() if not _works(command)]
    found = f"kernel {platform.release().split('-')[0]}" + (
        f" without {', '.join(missing)}" if missing else ""
    )
    return Check(
        "kernel", not missing, found, f"load or build in: {', '.join(missing)} (linux-image-amd64 has all)"
    )


def check_bridge_rules() -> Check:
    """flannel refuses to run without br_netfilter."""
    ok = Path("/proc/sys/net/bridge").exists() or _loadable("br_netfilter")
    coming = [name for name in MODULES if _is_loaded_first(name)]
    off = " (br_netfilter's rules are off on the host itself)" if "br_netfilter" in coming else ""
    adds = f"kernel modules {' '.join(coming)}, which stay{off}" if coming else ""
    return Check("br_netfilter", ok, "there" if ok else "missing", "modprobe br_netfilter", adds)


def check_loop() -> Check:
    """Each instance's disk is a file."""
    ok = Path("/dev/loop-control").exists() or _loadable("loop")
    return Check("loop devices", ok, "there" if ok else "no /dev/loop-control", "modprobe loop")


def check_machine_id() -> Check:
    """nspawn derives the machines' network addresses from it."""
    file = Path("/etc/machine-id")
    ok = file.exists() and len(file.read_text().strip()) == 32
    return Check(
        "machine id", ok, "there" if ok else "/etc/machine-id is missing", "systemd-machine-id-setup"
    )


def check_memory(wanted: Wanted) -> Check:
    """What is available now against what the instances need without load."""
    meminfo = dict(
        line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines() if ":" in line
    )
    available = int(meminfo["MemAvailable"].split()[0]) * 1024 / GIB
    total = int(meminfo["MemTotal"].split()[0]) * 1024 / GIB
    coming = max(0, wanted.instances - len(_running(wanted.settings)))
    need = LEAST_MEMORY_GIB + MEMORY_PER_INSTANCE_GIB * coming if coming else 0.0
    found = f"{total:.1f} GiB"
    if available < need:
        found = (
            f"{available:.1f} GiB available of {total:.1f}, {need:.1f} are needed for {coming} more instances"
        )
    mend = f"end other programs or add memory ({need - available:.1f} GiB more), or lower replicas in cluster.yaml"
    return Check("memory", available >= need, found, mend)


def examine_surge(wanted: Wanted, more: int) -> HostReport:
    """Whether memory is there for so many more beside those that run."""
    there = max(wanted.instances, len(_running(wanted.settings)))
    return HostReport((_safely(lambda: check_memory(replace(wanted, instances=there + more))),))


def _running(settings: LocalSettings) -> frozenset[str]:
    """Instances that are up already and have what they need."""
    return frozenset(unit for unit in launcher_for(settings.name).units() if not unit.startswith("_"))


def check_disk(wanted: Wanted) -> Check:
    """Room for images and for what the instances write."""
    folder = wanted.settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / GIB
    need = LEAST_DISK_GIB if not _running(wanted.settings) else 1.0
    adds = (
        f"{wanted.settings.home} ({LEAST_DISK_GIB:.0f} GiB, at most {wanted.settings.disk_gib} per instance; images "
        f"stay), {wanted.cache} (what bakes fetch and compile; stays), {SHARED}"
    )
    mend = f"free {need:.0f} GiB there, or set RISEN_HOME to a folder with room"
    return Check("disk", free >= need, f"{free:.0f} GiB free at {folder}", mend, adds)


def check_free(wanted: Wanted) -> Check:
    """Names and subnet that nobody else on this host uses."""
    settings = wanted.settings
    found = collisions(settings)
    adds = ", ".join(
        [
            f"network namespace {settings.netns} ({settings.network}), link {settings.host_link}",
            *_mount_of_ip_netns(settings.netns_path.parent),
            *([f"NAT by nft table {settings.table}"] if has_outside() else []),
            *(f"rules in {chain}" for chain in _chains_used()),
            *([f"{boot_unit_file(settings)} (enabled)"] if is_systemd_host() else []),
            f"cgroup {launcher_for(settings.name).group('').partition('/')[0]}",
        ]
    )
    text = "; ".join(found) if found else "free"
    return Check("names and subnet", not found, text, "choose another name or subnet in cluster.yaml", adds)


def _mount_of_ip_netns(folder: Path) -> tuple[str, ...]:
    """`ip netns add` mounts its folder onto itself, once (ip-netns(8)). Others may add a namespace at any moment, so it is
    not taken away under them."""
    there = str(folder) in mounts_under(folder)
    return () if there else (f"mount {folder} (of `ip netns`; stays until a reboot)",)


def check_reach(wanted: Wanted) -> Check:
    """Networks of the host that pods could not reach, because the cluster gives their addresses to pods or Services.

    The host and the cluster do not mind. What is connected to the host bars a new cluster, which may still have another
    network; what is further away may be none that pods call, and one that lives must start again whatever its host
    was given since."""
    settings = wanted.settings
    told, fields, bars = [], [], False
    for field, network in settings.inner_networks:
        routes = overlapping(settings, network)
        near = [route for route in routes if route.connected]
        bars = bars or bool(near)
        for route in widest(near or routes):
            told.append(f"{field} {network} overlaps {route.words}, which pods could not reach")
            fields.append(f"spec.networking.{field}")
    mend = f"choose another {' and '.join(dict.fromkeys(fields))} in cluster.yaml"
    if settings.uid:
        mend = "the cluster's cannot be changed any more: give the host's other addresses if pods need it"
    elif not bars:
        mend += ", or leave it if pods need nothing there"
    return Check("pod networks", not told, "; ".join(told) or "free", mend, bars=bars and not settings.uid)


def check_sysctls() -> Check:
    """What is raised while a cluster is up, and put back by `down`."""
    changes = [file.name for file, least in LEAST.items() if int(file.read_text()) < least]
    if has_outside() and FORWARD.read_text().strip() != "1":
        changes.append(FORWARD.name)
    writable = all(os.access(file, os.W_OK) for file in LEAST)
    adds = f"sysctl {' '.join(changes)} (put back by `risen down`)" if changes else ""
    return Check(
        "sysctls", writable or not changes, "writable" if writable else "read-only", "run it with sudo", adds
    )


def _chains_used() -> tuple[str, ...]:
    """Chains of others that get rules of ours. Who is not root cannot see which of them are there, and without the
    programs that show them (a check of its own) nobody can."""
    try:
        if not has_outside():
            return ()
        return user_chains() if os.geteuid() == 0 else tuple(USER_CHAINS)
    except InterfaceError:
        return ()


def _works(command: str) -> bool:
    argv = ["unshare", "--net", "sh", "-c", command]
    return subprocess.run(argv, capture_output=True, timeout=10, check=False).returncode == 0


def _loadable(module: str) -> bool:
    if Path("/sys/module", module).exists():
        return True
    modprobe = shutil.which("modprobe", path=PROGRAMS_PATH)
    if modprobe is None:
        return False
    return (
        subprocess.run([modprobe, "-n", module], capture_output=True, timeout=10, check=False).returncode == 0
    )


def _is_loaded_first(module: str) -> bool:
    """Whether a cluster loads it: what is built in, or there, is not."""
    modprobe = shutil.which("modprobe", path=PROGRAMS_PATH)
    if modprobe is None or Path("/sys/module", module).exists():
        return False
    argv = [modprobe, "--show-depends", "-q", module]
    shown = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False).stdout
    return any(line.startswith("insmod") for line in shown.splitlines())


def neighbours(used: Sequence[str] = ()) -> tuple[str, ...]:
    """What lives on this host and is left alone, but for rules of ours in the chains that are `used`."""
    found = [
        name for name in ("docker0", "cni0", "virbr0", "lxcbr0") if Path("/sys/class/net", name).exists()
    ]
    found += [
        name for name in ("ufw", "firewalld", "NetworkManager") if shutil.which(name, path=PROGRAMS_PATH)
    ]
    ours = {USER_CHAINS[chain]: chain for chain in used}
    told = (f"{name} (but for {ours[name]})" if name in ours else name for name in found)
    return (*told, "/etc", "your kubeconfig")
