"""A Debian tree by mmdebstrap from exactly the locked packages, cleaned of all that differs from bake to bake.

Cleaning also takes away what no instance needs: setuid bits beyond a short list, documentation, device nodes.
Fetches nothing: the packages lie in the cache already.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from risen.adapters.builder.apt import flat_repository
from risen.adapters.builder.programs import SOURCE_DATE_EPOCH, alone, run
from risen.adapters.builder.trees import remove
from risen.bakery.steps import BaseStep
from risen.interfaces.errors import Invalid

SETUID_ALLOWED = frozenset({"usr/lib/dbus-1.0/dbus-daemon-launch-helper", "usr/sbin/unix_chkpwd"})
"""The bus starts system services through the first; PAM checks passwords of non-root services by the second."""
_SETUID_STRIPPED = frozenset(
    f"usr/bin/{name}"
    for name in (
        "chage", "chfn", "chsh", "expiry", "gpasswd", "mount", "newgrp", "passwd", "su", "umount", "wall",
        "write.ul", "bsd-write", "ntfs-3g", "fusermount3", "pkexec", "sudo",
    )
)  # fmt: skip
"""Debian's setuid and setgid programs that lose the bit: an instance has no user but root."""
_FORBIDDEN = ("usr/sbin/sshd", "usr/sbin/dropbear", "usr/sbin/in.telnetd")
_EXCLUDED = (
    "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/doc/*",
    "/usr/share/lintian/*", "/usr/share/bash-completion/*", "/usr/share/zsh/*",
)  # fmt: skip
_INCLUDED = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")
_EMPTIED_FOLDERS = ("dev", "proc", "sys", "run", "tmp", "var/tmp", "var/cache", "var/lib/apt", "var/lib/ucf")
_REMOVED = (
    "etc/.pwd.lock", "etc/apt", "etc/fstab", "etc/group-", "etc/gshadow-", "etc/hostname", "etc/hosts",
    "etc/passwd-", "etc/resolv.conf", "etc/shadow-", "etc/subgid-", "etc/subuid-", "etc/debian_chroot",
    "usr/share/bug", "usr/share/i18n", "var/lib/dbus/machine-id", "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock", "var/lib/dpkg/status-old", "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old", "var/lib/dpkg/available-old", "var/lib/systemd/random-seed",
    "var/lib/systemd/catalog/database", "var/lib/systemd/timers", "var/lib/chrony/chrony.drift",
)  # fmt: skip
_HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
"""Go's resolver asks no other place for localhost."""
_MERGED = ("bin", "lib", "lib64", "sbin")


def make_base(step: BaseStep, debs: Path, tree: Path, scratch: Path) -> None:
    """Make the tree of a base step at `tree`, which must not exist; `scratch` is a folder to work in.

    Raises NoCapacity, Corrupt, Invalid."""
    repository = scratch / "repository"
    flat_repository(step.packages, debs, repository, step.suite)
    links = "; ".join(f'mkdir -p "$1"/usr/{name} && ln -s usr/{name} "$1"/{name}' for name in _MERGED)
    argv = [
        "mmdebstrap", "--mode=root", "--variant=essential", "--format=directory",
        f"--architectures={step.architecture}",
        "--include=" + ",".join(step.requested),
        f"--setup-hook={links}",
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=APT::Sandbox::User "root"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED),
        *(f"--dpkgopt=path-include={pattern}" for pattern in _INCLUDED),
        "--dpkgopt=force-unsafe-io",
        step.suite, str(tree), f"deb [trusted=yes] copy:{repository} ./",
    ]  # fmt: skip
    run(alone(argv), extra={"TMPDIR": str(scratch)})
    shutil.rmtree(repository)
    clean(tree)


def clean(tree: Path) -> None:
    """Take away or make equal what differs from bake to bake, and what no instance needs. Raises Invalid when
    a setuid program, or a login service, is not on our list."""
    for name in _EMPTIED_FOLDERS:
        _empty(tree / name)
    for name in _REMOVED:
        remove(tree / name)
    _bytecode(tree)
    _logs(tree / "var/log")
    for name, text in (("etc/machine-id", ""), ("etc/hosts", _HOSTS)):
        (tree / name).write_text(text)
        (tree / name).chmod(0o644)
    _shadow(tree / "etc/shadow")
    _strip_setuid(tree)
    for name in _FORBIDDEN:
        if (tree / name).exists():
            raise Invalid(f"an image must not carry {name}: take its package out of the recipe")


def setuid_programs(tree: Path) -> Iterator[str]:
    """Relative paths of files that have the setuid or setgid bit."""
    for folder, _, names in os.walk(tree):
        for name in names:
            path = Path(folder) / name
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                yield str(path.relative_to(tree))


def _strip_setuid(tree: Path) -> None:
    unlisted = []
    for name in sorted(setuid_programs(tree)):
        if name in SETUID_ALLOWED:
            continue
        if name not in _SETUID_STRIPPED:
            unlisted.append(name)
        path = tree / name
        path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~(stat.S_ISUID | stat.S_ISGID))
    if unlisted:
        raise Invalid(f"setuid programs that are not on the list: {', '.join(unlisted)}")


def _bytecode(tree: Path) -> None:
    """Python's compiled files, made again in one fixed way: by hash and not by time, in one job. cloud-init
    starts about a second sooner with them."""
    library = tree / "usr/lib"
    for folder in sorted(library.glob("python3*/**/__pycache__")):
        shutil.rmtree(folder)
    folders = [f"/usr/lib/{one.name}" for one in sorted(library.glob("python3*"))]
    if not folders or not (tree / "usr/bin/python3").exists():
        return
    skip = r"/(test|tests|idlelib|lib2to3|ensurepip|turtledemo|tkinter|unittest|pydoc_data)/"
    compileall = ["/usr/bin/python3", "-m", "compileall", "-q", "-j1", "-x", skip]
    inside = ["chroot", str(tree), *compileall, "--invalidation-mode", "unchecked-hash", *folders]
    run(alone(inside), extra={"PYTHONHASHSEED": "0"})


def _logs(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if not path.is_dir() or path.is_symlink():
            path.unlink()


def _shadow(path: Path) -> None:
    """The day a password was last changed is the day of the bake otherwise."""
    day = SOURCE_DATE_EPOCH // 86400
    text = re.sub(r"^([^:]*:[^:]*):\d*:", rf"\1:{day}:", path.read_text(), flags=re.MULTILINE)
    path.write_text(text)


def _empty(folder: Path) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            remove(path)
