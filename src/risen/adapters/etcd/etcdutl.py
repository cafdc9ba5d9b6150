"""etcdutl, run on a snapshot: restored into a data directory of its own. It reaches no etcd.

Source: etcd 3.6 etcdutl/README.md, `snapshot restore`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from risen.core.names import Role
from risen.interfaces.builder import Images
from risen.interfaces.errors import Corrupt, NotFound, OutcomeUnknown

RUN_SECONDS = 120.0
PROGRAMS = ("usr/bin/etcd", "usr/bin/etcdutl")
NAME, URL = "rehearsal", "http://127.0.0.1:1"
"""What the restored member is called, and where nobody listens for its peers."""


@dataclass(frozen=True, slots=True)
class Programs:
    """etcd's programs as they lie in an image on this host."""

    etcd: Path
    etcdutl: Path


def programs_of(images: Images) -> Programs:
    """The programs of the newest control-plane image on this host. Raises NotFound."""
    found = [
        layer
        for image in images.list()
        if image.role is not Role.WORKER
        for layer in image.layers
        if all((layer / program).is_file() for program in PROGRAMS)
    ]
    if not found:
        raise NotFound("no image on this host has etcd and etcdutl in it: a snapshot cannot be restored")
    newest = max(found, key=lambda layer: (layer / PROGRAMS[0]).stat().st_mtime)
    return Programs(newest / PROGRAMS[0], newest / PROGRAMS[1])


async def restore(program: Path, snapshot: Path, folder: Path) -> None:
    """Restore a snapshot into `folder`, which must not exist; its revisions stay as they are.

    Raises Corrupt when the snapshot's checksum is wrong, OutcomeUnknown.
    """
    await _run(
        program, "snapshot", "restore", str(snapshot), "--data-dir", str(folder), "--name", NAME,
        "--initial-cluster", f"{NAME}={URL}", "--initial-advertise-peer-urls", URL,
        "--initial-cluster-token", NAME,
    )  # fmt: skip


async def _run(program: Path, *arguments: str) -> bytes:
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(
        program, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env={}
    )
    try:
        async with asyncio.timeout(RUN_SECONDS):
            out, err = await running.communicate()
    except TimeoutError as error:
        raise OutcomeUnknown(f"etcdutl {arguments[0]}: no end within {RUN_SECONDS:.0f} s") from error
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    if running.returncode == 0:
        return out
    said = err.decode(errors="replace").strip()[-600:]
    kind = Corrupt if "sha256" in said or "corrupt" in said else OutcomeUnknown
    raise kind(f"etcdutl {' '.join(arguments[:2])}: exit {running.returncode}: {said}")
