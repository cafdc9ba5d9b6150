"""Revise: turn a checked spec and baked images into the next revision in the store. Launches nothing.

What renders is imported where it renders: commands that only read a revision do not wait for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from risen.codec import records
from risen.core.names import ImageDigest, Role
from risen.core.spec import ClusterSpec, PoolRelease, PoolSpec, Revision
from risen.engine.record import newest_revision_key, read_revision
from risen.interfaces.builder import BakedImage
from risen.interfaces.errors import Conflict, NotFound
from risen.interfaces.store import IfAbsent, Store
from risen.services.releases import rendered, write_releases


@dataclass(frozen=True, slots=True)
class Baked:
    """Images by role, and the SHA-256 of the recipe.lock that they were baked from."""

    images: Mapping[Role, ImageDigest]
    lock: str


def first_revision(spec: ClusterSpec, baked: Baked) -> Revision:
    """Everything rendered by this Risen."""
    return _rendered_revision(1, spec, baked)


def rolled_revision(last: Revision, spec: ClusterSpec, baked: Baked) -> Revision:
    """The revision after `last`, everything rendered by this Risen. A pool whose release comes out the same
    keeps its id, and so rolls nothing."""
    return _rendered_revision(last.number + 1, spec, baked)


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


def _rendered_revision(number: int, spec: ClusterSpec, baked: Baked) -> Revision:
    from risen.instance.addons import addon_bundle

    releases = tuple(_render(spec, pool, baked) for pool in spec.pools)
    addons = tuple((addon.key, addon.digest) for addon in addon_bundle(spec))
    return Revision(number, spec, releases, addons, baked.lock)


def _render(spec: ClusterSpec, pool: PoolSpec, baked: Baked) -> PoolRelease:
    release = rendered(spec, pool, baked.images[pool.role])
    return PoolRelease(pool.name, release.id, release.image)


async def read_newest(store: Store) -> Revision | None:
    """The revision in force; None before the first."""
    key = await newest_revision_key(store)
    return None if key is None else await read_revision(store, key)


async def write_revision(store: Store, revision: Revision, images: Iterable[BakedImage] = ()) -> None:
    """Create the releases and the manifests of add-ons that the store lacks, then `revisions/NUMBER`.

    `images` tell what is in them. Raises Conflict when somebody else applied meanwhile, NotFound for a release
    that is lost, Denied, NoCapacity.
    """
    from risen.instance.addons import addon_bundle

    await write_releases(store, revision, images)
    wanted = set(revision.addons)
    for addon in addon_bundle(revision.spec):
        if (addon.key, addon.digest) in wanted:
            value = records.AddonManifest(addon.key, dict(addon.manifest))
            with contextlib.suppress(Conflict):
                await store.put(records.addon_key(addon.digest), records.encode(value), IfAbsent())
    await store.put(records.revision_key(revision.number), records.encode(revision), IfAbsent())


async def read_manifest(store: Store, key: str, digest: str) -> Mapping[str, object]:
    """The manifest of an add-on of any revision. Raises NotFound, Corrupt."""
    name = records.addon_key(digest)
    stored = await store.get(name)
    if stored is None:
        raise NotFound(f"{name}: the manifest of {key} is not in the store")
    return records.decode(stored.data, records.AddonManifest, name).manifest
