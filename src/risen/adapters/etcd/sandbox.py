"""A restored snapshot, served by an etcd of its own: on sockets in a folder that only root enters, and nowhere else.

etcd's own `etcdutl hashkv` cannot be used on what Kubernetes writes: it ends in a panic at the first key that has a
lease (etcdutl 3.6.16, `no lessor to attach lease`). An etcd that starts on the data proves more besides.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from risen.adapters.etcd.etcdutl import NAME, URL
from risen.interfaces.errors import Corrupt, OutcomeUnknown

START_SECONDS = 60.0
LOOK_SECONDS = 0.05
SOCKET = "client.sock"
DATA = "data"
"""In the sandbox's folder: what was restored."""


class KvHash(msgspec.Struct, frozen=True):
    """The hash of all keys up to a revision, above what is compacted (below 0: nothing is)."""

    hash: int
    hash_revision: int
    compact_revision: int = 0


class _Answer(msgspec.Struct, frozen=True):
    hash: int = 0
    compact_revision: str = "0"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """An etcd that answers on a socket."""

    socket: str

    async def hash_kv(self, revision: int) -> KvHash:
        """The hash at a revision, comparable with the members'. Raises OutcomeUnknown, Corrupt."""
        from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector

        limit = ClientTimeout(total=START_SECONDS)
        url = "http://localhost/v3/maintenance/hashkv"
        try:
            async with (
                ClientSession(connector=UnixConnector(self.socket), timeout=limit) as session,
                session.post(url, json={"revision": str(revision)}) as answer,
            ):
                said, status = await answer.read(), answer.status
        except (ClientError, OSError, TimeoutError) as error:
            raise OutcomeUnknown(f"the sandbox's etcd: {type(error).__name__}: {error}") from error
        if status != 200:
            raise Corrupt(f"the restored etcd has no hash at revision {revision}: {said[:300]!r}")
        told = msgspec.json.decode(said, type=_Answer)
        return KvHash(told.hash, revision, int(told.compact_revision))


@contextlib.asynccontextmanager
async def sandboxed(program: Path, folder: Path) -> AsyncIterator[Sandbox]:
    """An etcd on `folder/data`, which ends with this block, and with this process. Raises OutcomeUnknown.

    `program` is etcd's. The socket is reached through the folder's descriptor: a socket's path holds 107 bytes.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with (folder / "etcd.log").open("wb") as log:
            running = await asyncio.create_subprocess_exec(
                *_command(program),
                cwd=folder,
                env={},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            await _wait_for_socket(running, folder)
            yield Sandbox(f"/proc/self/fd/{descriptor}/{SOCKET}")
        finally:
            if running.returncode is None:
                running.kill()
            await running.wait()
    finally:
        os.close(descriptor)


def _command(program: Path) -> tuple[str, ...]:
    """`setpriv` lets the kernel end it when this process ends, however that comes about."""
    return (
        "/usr/bin/setpriv", "--pdeathsig", "KILL", "--", str(program), "--name", NAME, "--data-dir", DATA,
        "--listen-client-urls", f"unix://{SOCKET}", "--advertise-client-urls", URL,
        "--listen-peer-urls", "unix://peer.sock", "--initial-advertise-peer-urls", URL,
        "--initial-cluster", f"{NAME}={URL}", "--initial-cluster-token", NAME, "--unsafe-no-fsync",
    )  # fmt: skip


async def _wait_for_socket(running: asyncio.subprocess.Process, folder: Path) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not (folder / SOCKET).exists():
                if running.returncode is not None:
                    raise OutcomeUnknown(f"etcd did not start on the restored data: {_last_words(folder)}")
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError as error:
        raise OutcomeUnknown(f"etcd was not up on the restored data within {START_SECONDS:.0f} s") from error


def _last_words(folder: Path) -> str:
    lines = (folder / "etcd.log").read_text(errors="replace").strip().splitlines()
    return lines[-1][-400:] if lines else "it said nothing"
