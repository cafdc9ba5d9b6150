"""etcdutl, run on a snapshot: restored into a data directory of its own, and hashed. It reaches no etcd.

Source: etcd 3.6 etcdutl/README.md, `snapshot restore` and `hashkv`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from risen.core.names import Role
from risen.interfaces.builder import Images
from risen.interfaces.errors import Corrupt, NotFound, OutcomeUnknown

RUN_SECONDS = 120.0
PROGRAM = "usr/bin/etcdutl"


class KvHash(msgspec.Struct, frozen=True, rename="camel"):
    """What `hashkv` prints: the hash of all keys up to a revision, above what is compacted."""

    hash: int
    hash_revision: int
    compact_revision: int


def etcdutl_of(images: Images) -> Path:
    """The program of the newest control-plane image on this host. Raises NotFound."""
    found = [
        layer / PROGRAM
        for image in images.list()
        if image.role is not Role.WORKER
        for layer in image.layers
        if (layer / PROGRAM).is_file()
    ]
    if not found:
        raise NotFound("no image on this host has etcdutl in it: a snapshot cannot be restored")
    return max(found, key=lambda path: path.stat().st_mtime)


async def restore(program: Path, snapshot: Path, folder: Path) -> Path:
    """Restore a snapshot into `folder`, which must not exist; its revisions stay as they are. Gives the database.

    Raises Corrupt when the snapshot's checksum is wrong, OutcomeUnknown.
    """
    name, url = "rehearsal", "http://127.0.0.1:1"
    await _run(
        program, "snapshot", "restore", str(snapshot), "--data-dir", str(folder), "--name", name,
        "--initial-cluster", f"{name}={url}", "--initial-advertise-peer-urls", url,
        "--initial-cluster-token", name,
    )  # fmt: skip
    return folder / "member" / "snap" / "db"


async def hash_kv(program: Path, database: Path, revision: int) -> KvHash:
    """The hash of a restored database at a revision, comparable with the members'. Raises Corrupt, OutcomeUnknown."""
    printed = await _run(program, "hashkv", str(database), "--rev", str(revision), "--write-out", "json")
    try:
        return msgspec.json.decode(printed, type=KvHash)
    except msgspec.DecodeError as error:
        raise Corrupt(f"etcdutl hashkv printed {printed[:200]!r}: {error}") from error


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
