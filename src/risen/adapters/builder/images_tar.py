"""Container images for tests, made from Debian's static busybox. No image of ours carries them unasked.

Fetches one Debian package at most.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from risen.adapters.builder.apt import Apt
from risen.adapters.builder.programs import run
from risen.adapters.builder.shelf import only_one
from risen.bakery.archive import busybox_image, render_archive
from risen.interfaces.errors import NotFound

_PACKAGE = "busybox-static"


def busybox_archive(
    cache: Path = Path("/var/cache/risen"), suite: str = "bookworm", architecture: str = "amd64"
) -> bytes:
    """A docker-archive tar with reference `risen.local/busybox:1`. Needs no root, but a writable cache.

    Raises Unreachable, NotFound."""
    return render_archive(busybox_image(static_busybox(cache, suite, architecture), architecture))


def static_busybox(cache: Path, suite: str, architecture: str) -> bytes:
    """The program itself, from Debian's package, which is kept in the cache."""
    kept = cache / "programs" / f"busybox-{suite}-{architecture}"
    if kept.is_file():
        return kept.read_bytes()
    with only_one(cache / "lock", print):
        data = _fetched_busybox(cache, suite, architecture)
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_name(f".{kept.name}.partial")
    partial.write_bytes(data)
    partial.replace(kept)
    return data


def _fetched_busybox(cache: Path, suite: str, architecture: str) -> bytes:
    apt = Apt(cache / "apt" / f"{suite}-{architecture}", suite, architecture)
    package = next((one for one in apt.resolve([_PACKAGE]) if one.name == _PACKAGE), None)
    if package is None:
        raise NotFound(f"Debian {suite} has no {_PACKAGE}")
    apt.fetch([package], cache / "debs")
    with tempfile.TemporaryDirectory(prefix="risen-busybox-") as name:
        run(["dpkg-deb", "-x", cache / "debs" / f"{package.sha256}.deb", name])
        found = next(
            path for path in (Path(name) / "bin/busybox", Path(name) / "usr/bin/busybox") if path.is_file()
        )
        return found.read_bytes()
