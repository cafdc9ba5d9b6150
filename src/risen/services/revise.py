"""Revise: turn a checked spec and baked images into the next revision in the store. Launches nothing."""

from __future__ import annotations

from collections.abc import Mapping

from risen.codec import records
from risen.core.names import ImageDigest, Role
from risen.core.spec import ClusterSpec, PoolRelease, Revision
from risen.engine.record import newest_revision_key, read_revision
from risen.instance.addons import addon_bundle
from risen.instance.answer import release_id, render_release
from risen.interfaces.store import IfAbsent, Store


def next_revision(spec: ClusterSpec, images: Mapping[Role, ImageDigest], last: Revision | None) -> Revision:
    """The revision that `spec` asks for; equal to `last` but for its number when nothing changed."""
    releases = tuple(
        PoolRelease(pool.name, release_id(render_release(spec, pool), images[pool.role]), images[pool.role])
        for pool in spec.pools
    )
    addons = tuple((addon.key, addon.digest) for addon in addon_bundle(spec))
    number = 1 if last is None else last.number + 1
    return Revision(number, spec, releases, addons)


def is_same(one: Revision, other: Revision) -> bool:
    """Whether two revisions ask for the same."""
    return (one.spec, one.releases, one.addons) == (other.spec, other.releases, other.addons)


async def read_newest(store: Store) -> Revision | None:
    """The revision in force; None before the first."""
    key = await newest_revision_key(store)
    return None if key is None else await read_revision(store, key)


async def write_revision(store: Store, revision: Revision) -> None:
    """Create `revisions/NUMBER`. Raises Conflict when somebody else applied meanwhile, Denied, NoCapacity."""
    await store.put(records.revision_key(revision.number), records.encode(revision), IfAbsent())
