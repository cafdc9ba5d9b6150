"""What etcd's members say of their own data: the hash of every key at one revision, each asked itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from host import HOME

from risen.bootstrap import Host, connect, open_cluster
from risen.interfaces.errors import Later, NotFound, Unreachable

CACHE = HOME / "no-cache-is-needed-here"


@dataclass(frozen=True)
class KeyHash:
    """A member's HashKV at a revision that all members have, and up to where it had compacted."""

    member: str
    revision: int
    compacted: int
    hash: int


def key_hashes(cluster: str, addresses: tuple[str, ...]) -> tuple[KeyHash, ...]:
    """Of every member of the cluster that answers here, all at one revision and all compacted equally far.

    Nothing while one cannot be asked, lags behind that revision or compacts meanwhile: ask again.
    """
    return asyncio.run(_key_hashes(cluster, addresses))


async def _key_hashes(cluster: str, addresses: tuple[str, ...]) -> tuple[KeyHash, ...]:
    clients = await connect(await open_cluster(Host(HOME, CACHE), cluster))
    try:
        members = (await clients.etcd.observe(addresses)).members
        revision = min(member.revision for member in members)
        found = []
        for member in members:
            hashed, compacted = await clients.etcd.hash_kv(member.id, revision)
            found.append(KeyHash(member.name, revision, compacted, hashed))
    except (Later, NotFound, Unreachable):
        return ()
    finally:
        await clients.close()
    return tuple(found) if len({one.compacted for one in found}) == 1 else ()
