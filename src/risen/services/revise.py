"""Revise: turn a checked spec and baked images into the next revision in the store. Launches nothing.

What renders is imported where it renders: commands that only read a revision do not wait for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from risen.codec import records
from risen.core.names import ImageDigest, Role
from risen.core.spec import ClusterSpec, PoolRelease, PoolSpec, Revision
from risen.engine.record import newest_revision_key, read_revision
from risen.interfaces.errors import Conflict, NotFound
from risen.interfaces.store import IfAbsent, Store


@dataclass(frozen=True, slots=True)
class Baked:
    """Images by role, and the SHA-256 of the recipe.lock that they were baked from."""

    images: Mapping[Role, ImageDigest]
    lock: str


def first_revision(spec: ClusterSpec, baked: Baked) -> Revision:
    """Everything rendered by this Risen."""
    from risen.instance.addons import addon_bundle

    releases = tuple(_render(spec, pool, baked) for pool in spec.pools)
    addons = tuple((addon.key, addon.digest) for addon in addon_bundle(spec))
    return Revision(1, spec, releases, addons, baked.lock)


def next_revision(last: Revision, spec: ClusterSpec, images: Mapping[Role, ImageDigest]) -> Revision:
    """The revision after `last` for a spec that rolls nothing: stored releases and add-ons are kept.

    A pool that is new takes the image of its role. Upgrading Risen therefore changes nothing here.
    """
    kept = {release.pool: release for release in last.releases}
    baked = Baked(images, last.lock)
    releases = tuple(kept.get(pool.name) or _render(spec, pool, baked) for pool in spec.pools)
    return Revision(last.number + 1, spec, releases, last.addons, last.lock)


def images_of_revision(revision: Revision) -> Mapping[Role, ImageDigest]:
    """The image of each role that a revision launches."""
    found: dict[Role, ImageDigest] = {}
    for release in revision.releases:
        pool = revision.spec.pool(release.pool)
        if pool is not None:
            found.setdefault(pool.role, release.image)
    return found


def _render(spec: ClusterSpec, pool: PoolSpec, baked: Baked) -> PoolRelease:
    from risen.instance.answer import release_id, render_release

    image = baked.images[pool.role]
    return PoolRelease(pool.name, release_id(render_release(spec, pool), image), image)


async def read_newest(store: Store) -> Revision | None:
    """The revision in force; None before the first."""
    key = await newest_revision_key(store)
    return None if key is None else await read_revision(store, key)


async def write_revision(store: Store, revision: Revision) -> None:
    """Create the manifests of its add-ons, then `revisions/NUMBER`.

    Raises Conflict when somebody else applied meanwhile, Denied, NoCapacity.
    """
    from risen.instance.addons import addon_bundle

    wanted = set(revision.addons)
    for addon in addon_bundle(revision.spec):
        if (addon.key, addon.digest) in wanted:
            value = records.AddonManifest(addon.key, dict(addon.manifest))
            with contextlib.suppress(Conflict):
                await store.put(records.addon_key(addon.digest), records.encode(value), IfAbsent())
    await store.put(records.revision_key(revision.number), records.encode(revision), IfAbsent())


async def read_manifests(store: Store, revision: Revision) -> Mapping[str, Mapping[str, object]]:
    """The manifests of a revision's add-ons by key. Raises NotFound, Corrupt."""
    found: dict[str, Mapping[str, object]] = {}
    for key, digest in revision.addons:
        stored = await store.get(records.addon_key(digest))
        if stored is None:
            raise NotFound(f"{records.addon_key(digest)}: the manifest of {key} is not in the store")
        found[key] = records.decode(stored.data, records.AddonManifest, records.addon_key(digest)).manifest
    return found
