"""An instance's disk: a sparse ext4 file of bounded size, and the overlay root on it. Starts nothing.

The disk holds the overlay's upper and work folders and the folders bound over /var/lib/containerd,
/var/lib/kubelet and /var/lib/etcd (an overlay cannot lie on an overlay). It keeps its journal: it must
survive a power cut.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from risen.adapters.local.host import forget_writes, is_shared_mount, loops_of, mounts_under, run, wait_until
from risen.interfaces.errors import NoCapacity, NotFound, OutcomeUnknown

BOUND = ("containerd", "kubelet", "etcd")
GIB = 1 << 30
LEAST_FREE_BYTES = 1 * GIB
UNMOUNT_TIMEOUT_SECONDS = 5.0


def disk_file(folder: Path) -> Path:
    """The disk. Once it exists under this name it is a whole file system."""
    return folder / "disk.ext4"


def make_disk(folder: Path, size_gib: int) -> None:
    """Create the disk unless it exists. Raises NoCapacity."""
    disk = disk_file(folder)
    if disk.exists():
        return
    if shutil.disk_usage(folder).free < LEAST_FREE_BYTES:
        raise NoCapacity(f"{folder}: less than 1 GiB is free")
    partial = disk.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with partial.open("wb") as file:
        file.truncate(size_gib * GIB)
    run(["mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard,lazy_itable_init=1", str(partial)])
    os.replace(partial, disk)


def share_mounts(instances: Path) -> None:
    """Let unmounts here reach the mount namespaces of machines that were started meanwhile.

    nspawn copies the host's mounts and makes its copy a slave of shared ones; without this, where / is private
    (no systemd as process 1), each machine pins the disks of all that ran when it started.
    """
    if is_shared_mount(instances) or mounts_under(instances):
        return
    run(["mount", "--bind", "--make-shared", str(instances), str(instances)])


def mount_root(folder: Path, layers: tuple[str, ...]) -> Path:
    """Mount disk and overlay unless they are; returns the root. Raises NotFound when a layer is missing."""
    gone = [layer for layer in layers if not Path(layer).is_dir()]
    if gone:
        raise NotFound(f"image layer {gone[0]} is not on this host any more: bake it again")
    disk, root = folder / "disk", folder / "root"
    mounted = mounts_under(folder)
    if str(disk) not in mounted:
        disk.mkdir(exist_ok=True)
        run(["mount", "-t", "ext4", "-o", "loop,noatime", str(disk_file(folder)), str(disk)])
    for name in ("upper", "work", *BOUND):
        (disk / name).mkdir(exist_ok=True)
    if str(root) not in mounted:
        root.mkdir(exist_ok=True)
        lower = ":".join(reversed(layers))
        options = f"lowerdir={lower},upperdir={disk / 'upper'},workdir={disk / 'work'}"
        run(["mount", "-t", "overlay", "-o", options, "risen", str(root)])
    return root


def unmount(folder: Path, keep_writes: bool = True) -> None:
    """Unmount everything below and see the loop device gone. Raises OutcomeUnknown when it stays in use.

    Without `keep_writes` dirty pages are dropped, for a disk that is about to be deleted.
    """
    if not keep_writes and str(folder / "disk") in mounts_under(folder):
        forget_writes(folder / "disk")
    wait_until(lambda: _unmounted(folder), UNMOUNT_TIMEOUT_SECONDS, 0.05)
    left = mounts_under(folder)
    if left:
        raise OutcomeUnknown(f"still mounted: {', '.join(left)}")
    if not wait_until(lambda: not loops_of(disk_file(folder)), UNMOUNT_TIMEOUT_SECONDS):
        raise OutcomeUnknown(f"{disk_file(folder)} is still attached to {loops_of(disk_file(folder))}")


def _unmounted(folder: Path) -> bool:
    for point in mounts_under(folder):
        try:
            run(["umount", point])
        except OutcomeUnknown:  # busy: what runs in it ends soon, and the caller looks at what is left
            return False
    return not mounts_under(folder)
