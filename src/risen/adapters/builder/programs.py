"""Runs the programs a bake needs in a fixed surrounding, and tells what their failure means.

Locale, time zone, umask and SOURCE_DATE_EPOCH are the same for every child, whoever starts the bake. Decides
nothing about images.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from risen.interfaces.errors import InterfaceError, Invalid, NoCapacity, Unreachable

SOURCE_DATE_EPOCH = 1767225600
"""2026-01-01T00:00:00Z: the one moment at which everything in an image was made."""
_KEPT = (
    "HOME", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "GOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE",
    "GOMODCACHE", "GOCACHE", "GOPATH", "NETRC", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT",
    "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "PIP_DEFAULT_TIMEOUT", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX",
    "UV_CACHE_DIR", "XDG_CACHE_HOME", "TMPDIR",
)  # fmt: skip
"""What a host may say about proxies, indexes and caches; none of it reaches the bytes of an image."""
_FULL = "No space left on device"
_NO_ANSWER = (
    "Could not resolve", "Could not connect", "Connection refused", "Connection timed out",
    "Temporary failure", "dial tcp", "Network is unreachable", "Failed to fetch", "Connection failed",
)  # fmt: skip


def surrounding(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.environ.get("PATH", "")
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    fixed = {
        "PATH": f"{path}:{system}" if path else system,
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "DEBIAN_FRONTEND": "noninteractive",
        "DEBCONF_NONINTERACTIVE_SEEN": "true",
        "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
    }
    return {"HOME": "/root", **kept, **fixed, **(extra or {})}


def run(
    argv: Sequence[str | Path], *, cwd: Path | None = None, extra: Mapping[str, str] | None = None
) -> str:
    """Run to the end; what it printed on standard output. Raises NoCapacity on a full disk, Unreachable
    where the network did not answer, Invalid for every other failure, each with the last lines it said."""
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            cwd=cwd,
            env=surrounding(extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            umask=0o022,
            check=False,
        )
    except FileNotFoundError:
        raise Invalid(f"{argv[0]} is not installed: `risen doctor` says how to mend that") from None
    if done.returncode == 0:
        return done.stdout
    raise failure(str(argv[0]), done.returncode, done.stdout + done.stderr)


def alone(argv: Sequence[str]) -> list[str]:
    """The same command in process and mount namespaces of its own, which end with this process, even by
    SIGKILL: nothing of it goes on writing, and no mount of it is ever seen from here. Unmounts here reach it: else
    it would pin the disks of all instances that ran when it started, and none of them could be deleted."""
    guard = ["setpriv", "--pdeathsig", "KILL", "--"]
    apart = ["unshare", "--mount-proc", "--propagation=slave", "--pid", "--fork", "--kill-child=KILL", "--"]
    return [*guard, *apart, *argv]


def failure(program: str, status: int, said: str) -> InterfaceError:
    """What a failed program's words mean."""
    last = "\n  ".join([line for line in said.splitlines() if line.strip()][-12:])
    text = f"{Path(program).name} failed ({status}):\n  {last}"
    if _FULL in said:
        return NoCapacity(f"disk full: {text}")
    if any(words in said for words in _NO_ANSWER):
        return Unreachable(text)
    return Invalid(text)


def installed(program: str) -> str | None:
    """Path of a program of this host, or None."""
    return shutil.which(program, path=surrounding()["PATH"])
