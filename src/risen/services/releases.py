"""Stored releases: read by join and by people, written before the revision that names them, never changed.

What renders is imported where it renders: commands that only read do not wait for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from risen.codec import records
from risen.core.names import ImageDigest, ReleaseId
from risen.core.spec import ClusterSpec, PoolRelease, PoolSpec, Revision
from risen.instance.release import Release
from risen.interfaces.builder import BakedImage
from risen.interfaces.errors import Conflict, NotFound
from risen.interfaces.store import IfAbsent, Store


def rendered(spec: ClusterSpec, pool: PoolSpec, image: ImageDigest) -> Release:
    """A pool's release by this Risen's renderers. Raises ValueError for settings that hold a mark."""
    from risen.instance.answer import render_release

    return render_release(spec, pool, image)


async def read_release(store: Store, release: ReleaseId) -> Release:
    """A stored release. Raises NotFound, Corrupt, TooNew."""
    key = records.release_key(release)
    found = await store.get(key)
    if found is None:
        raise NotFound(f"{key}: no such release in the store")
    return records.decode(found.data, Release, key)


async def stored_releases(store: Store) -> tuple[ReleaseId, ...]:
    """Ids of all releases in the store, sorted."""
    return tuple(ReleaseId(key.removeprefix(records.RELEASES)) for key in await store.list(records.RELEASES))


async def write_releases(store: Store, revision: Revision, images: Iterable[BakedImage] = ()) -> None:
    """Write each release of a revision that the store lacks; `images` tell what is in them.

    Raises NotFound for one that this Risen would render differently: nothing stands in for what was lost.
    """
    there, held = set(await stored_releases(store)), {image.digest: image for image in images}
    for pool, wanted in _pools(revision):
        if wanted.release not in there:
            release = rendered(revision.spec, pool, wanted.image)
            if release.id != wanted.release:
                raise NotFound(
                    f"release {wanted.release} of pool {pool.name} is not in the store, and this Risen renders "
                    f"{release.id} instead: `risen apply` with a change makes that one"
                )
            await _write(store, _told(release, held))


async def adopt_releases(store: Store, revision: Revision, images: Iterable[BakedImage] = ()) -> None:
    """In a store that holds no release at all (its revisions are older than release records), write those of
    the revision in force, under the ids that its instances carry."""
    if await stored_releases(store):
        return
    held = {image.digest: image for image in images}
    for pool, wanted in _pools(revision):
        release = replace(rendered(revision.spec, pool, wanted.image), id=wanted.release)
        await _write(store, _told(release, held))


def _pools(revision: Revision) -> Iterable[tuple[PoolSpec, PoolRelease]]:
    for wanted in revision.releases:
        pool = revision.spec.pool(wanted.pool)
        if pool is not None:
            yield pool, wanted


def _told(release: Release, held: Mapping[ImageDigest, BakedImage]) -> Release:
    """With what its image holds, where that is known."""
    image = held.get(release.image)
    return (
        release if image is None else replace(release, components=image.components, packages=image.packages)
    )


async def _write(store: Store, release: Release) -> None:
    """Create-only: two that write the same release write the same files."""
    with contextlib.suppress(Conflict):
        await store.put(records.release_key(release.id), records.encode(release), IfAbsent())
