"""Revise: turn a checked spec and baked images into the next revision in the store. Launches nothing.

What renders is imported where it renders: commands that only read a revision do not wait for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from risen.codec import records
from risen.core.names import ImageDigest, Role
from risen.core.spec import ClusterSpec, PoolRelease, PoolSpec, Revision
from risen.engine.record import read_newest, read_revision
from risen.instance.cluster_dns import COREDNS_VERSION
from risen.interfaces.builder import BakedImage
from risen.interfaces.errors import Conflict, NotFound
from risen.interfaces.store import IfAbsent, Store
from risen.services.releases import read_release, rendered, write_releases


@dataclass(frozen=True, slots=True)
class Baked:
    """Images by role, the SHA-256 of the recipe.lock that they were baked from, and the CoreDNS baked into them."""

    images: Mapping[Role, ImageDigest]
    lock: str
    coredns: str = COREDNS_VERSION


def coredns_in(images: Iterable[BakedImage]) -> str:
    """The version of CoreDNS that lies in images, which is the only one that their instances can run. Records that
    do not tell are older than any choice of it."""
    told = (version for image in images for name, version in image.components if name == "coredns")
    return next(told, COREDNS_VERSION)


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
    return Revision(last.number + 1, spec, releases, last.addons, last.lock, back_to=last.back_to)


async def revision_back_to(store: Store, number: int) -> Revision:
    """The revision after the newest with all that rolls of a former one: its settings, lock, releases and
    add-ons. Replicas, labels, taints, strategies, repair, disruption and gates stay those of the newest, and so
    does a pool that the former one had not. Not written yet.

    Raises NotFound for a revision that is not there, and where a release of it is lost.
    """
    newest = await read_newest(store)
    keys = await store.list(records.REVISIONS)
    if newest is None or records.revision_key(number) not in keys:
        there = f"there are 1 to {newest.number}" if newest is not None else "nothing was applied yet"
        raise NotFound(f"no revision {number}: {there}")
    former = await read_revision(store, records.revision_key(number))
    back = going_back(newest, former)
    for release in back.releases:
        await read_release(store, release.release)
    return back


def going_back(newest: Revision, former: Revision) -> Revision:
    """See `revision_back_to`. The undo of an undo goes forward."""
    spec, then = newest.spec, former.spec
    pools = tuple(_pool_of_then(pool, then.pool(pool.name)) for pool in spec.pools)
    spec = replace(
        spec,
        kubernetes_version=then.kubernetes_version,
        networking=replace(spec.networking, cni=then.networking.cni, kube_proxy=then.networking.kube_proxy),
        cert_sans=then.cert_sans,
        api_server_extra_args=then.api_server_extra_args,
        controller_manager_extra_args=then.controller_manager_extra_args,
        scheduler_extra_args=then.scheduler_extra_args,
        etcd_extra_args=then.etcd_extra_args,
        registries=then.registries,
        pools=pools,
    )
    releases = {release.pool: release for release in (*newest.releases, *former.releases)}
    return Revision(
        newest.number + 1,
        spec,
        tuple(releases[pool.name] for pool in pools),
        former.addons,
        former.lock,
        back_to=former.stands_for if former.stands_for < newest.stands_for else 0,
    )


def _pool_of_then(pool: PoolSpec, then: PoolSpec | None) -> PoolSpec:
    return pool if then is None else replace(pool, recipe=then.recipe, max_pods=then.max_pods)


def same_wish(one: Revision, other: Revision) -> bool:
    """Whether two revisions want the same, whoever applied them, when and why."""
    return replace(one, by="", reason="", applied_unix=0.0) == replace(
        other, by="", reason="", applied_unix=0.0
    )


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
    images = {release.image for release in releases}
    addons = tuple((addon.key, addon.digest) for addon in addon_bundle(spec, baked.coredns, images))
    return Revision(number, spec, releases, addons, baked.lock)


def _render(spec: ClusterSpec, pool: PoolSpec, baked: Baked) -> PoolRelease:
    release = rendered(spec, pool, baked.images[pool.role])
    return PoolRelease(pool.name, release.id, release.image)


async def write_revision(store: Store, revision: Revision, images: Iterable[BakedImage] = ()) -> None:
    """Create the releases and the manifests of add-ons that the store lacks, then `revisions/NUMBER`.

    `images` tell what is in them. Raises Conflict when somebody else applied meanwhile, NotFound for a release
    that is lost, Denied, NoCapacity.
    """
    from risen.instance.addons import addon_bundle

    held = tuple(images)
    await write_releases(store, revision, held)
    launched = {release.image for release in revision.releases}
    coredns = coredns_in(image for image in held if image.digest in launched)
    wanted = set(revision.addons)
    for addon in addon_bundle(revision.spec, coredns, launched):
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
