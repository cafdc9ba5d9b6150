"""Going back to a former revision, and which images stay for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builders import birth_of
from risen.adapters.store.directory import DirectoryStore
from risen.bootstrap import Cluster, Host, create_cluster
from risen.cli.bakery import KEPT_REVISIONS, pinned_images
from risen.codec import records
from risen.codec.cluster_changes import Effect, compare
from risen.core.events import Born, RevisionCompleted, SeenGone
from risen.core.names import ImageDigest, InstanceName, PoolName, ReleaseId, Role
from risen.core.spec import ClusterSpec, Gate, Networking, PoolRelease, PoolSpec, Repair, Revision, Taint
from risen.interfaces.errors import NotFound
from risen.services.revise import (
    Baked,
    first_revision,
    going_back,
    next_revision,
    read_newest,
    revision_back_to,
    rolled_revision,
    same_wish,
    write_revision,
)

IMAGES = {
    Role.CONTROL_PLANE: ImageDigest("sha256:" + "a" * 64),
    Role.WORKER: ImageDigest("sha256:" + "b" * 64),
}
OTHERS = {
    Role.CONTROL_PLANE: ImageDigest("sha256:" + "c" * 64),
    Role.WORKER: ImageDigest("sha256:" + "d" * 64),
}
PLANE = PoolSpec(PoolName("control-plane"), Role.CONTROL_PLANE, 3)
WORKER = PoolSpec(PoolName("worker"), Role.WORKER, 2)
THEN = ClusterSpec("dev", "1.36.3", (PLANE, WORKER))
NOW = replace(
    THEN,
    networking=Networking(cni="none", kube_proxy=False),
    cert_sans=("api.example.net",),
    api_server_extra_args=(("v", "4"),),
    controller_manager_extra_args=(("v", "4"),),
    scheduler_extra_args=(("v", "4"),),
    etcd_extra_args=(("v", "4"),),
    registries=("registry.example.com",),
    repair=Repair("observe"),
    gates=(Gate("web", "http://web"),),
    deletion_protection=True,
    pools=(
        replace(PLANE, max_pods=50, recipe="other.yaml"),
        replace(WORKER, replicas=7, max_pods=60, labels=(("a", "b"),), taints=(Taint("a", "", "NoExecute"),)),
        replace(WORKER, name=PoolName("more")),
    ),
)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore.create(tmp_path / "store")


def test_going_back_takes_all_that_rolls_from_then_and_all_else_from_the_newest() -> None:
    former = first_revision(THEN, Baked(IMAGES, "l" * 64))
    newest = replace(rolled_revision(former, NOW, Baked(OTHERS, "m" * 64)), number=7)
    back = going_back(newest, former)
    assert (back.number, back.lock, back.addons) == (8, former.lock, former.addons)
    assert [
        change.path for change in compare(former.spec, back.spec) if change.effect is not Effect.NOTHING
    ] == []
    assert {change.effect for change in compare(newest.spec, back.spec)} == {Effect.ROLLS}
    assert {release.pool: release.release for release in back.releases} == {
        "control-plane": former.releases[0].release,
        "worker": former.releases[1].release,
        "more": newest.releases[2].release,
    }


async def test_an_undo_is_written_like_any_revision_and_its_own_undo_is_the_newest_again(
    store: DirectoryStore,
) -> None:
    first = first_revision(THEN, Baked(IMAGES, "l" * 64))
    second = rolled_revision(first, NOW, Baked(OTHERS, "m" * 64))
    for one in (first, second):
        await write_revision(store, one)
    undone = await revision_back_to(store, 1)
    await write_revision(store, undone)
    again = await revision_back_to(store, 2)
    assert (again.number, again.releases, again.spec) == (4, second.releases, second.spec)
    assert (undone.back_to, again.back_to) == (1, 0), "the way is back, then forward again"
    assert await read_newest(store) == undone


def test_what_rolls_nothing_goes_on_in_the_direction_of_the_revision_before_and_what_rolls_goes_forward() -> (
    None
):
    first = first_revision(THEN, Baked(IMAGES, "l" * 64))
    undone = going_back(rolled_revision(first, NOW, Baked(OTHERS, "m" * 64)), first)
    assert next_revision(undone, undone.spec, IMAGES).back_to == 1
    assert rolled_revision(undone, NOW, Baked(OTHERS, "m" * 64)).back_to == 0


async def test_a_revision_or_a_release_that_is_not_there_is_named(store: DirectoryStore) -> None:
    with pytest.raises(NotFound, match="no revision 1: nothing was applied yet"):
        await revision_back_to(store, 1)
    first = first_revision(THEN, Baked(IMAGES, "l" * 64))
    await write_revision(store, first)
    with pytest.raises(NotFound, match="no revision 9: there are 1 to 1"):
        await revision_back_to(store, 9)
    await store.delete(records.release_key(first.releases[1].release))
    with pytest.raises(NotFound, match=f"releases/{first.releases[1].release}"):
        await revision_back_to(store, 1)


def test_a_wish_is_the_same_whoever_has_it() -> None:
    first = first_revision(THEN, Baked(IMAGES, "l" * 64))
    assert same_wish(first, replace(first, by="ci", reason="r", applied_unix=9.0))
    assert not same_wish(first, replace(first, number=2))


# --- which images stay ------------------------------------------------------------------------------------
def image(number: int) -> ImageDigest:
    return ImageDigest(f"sha256:{number:064d}")


async def revisions(cluster: Cluster, count: int) -> None:
    """Revision N launches image N."""
    for number in range(1, count + 1):
        baked = Baked({Role.CONTROL_PLANE: image(number), Role.WORKER: image(number)}, "l" * 64)
        made: Revision = replace(first_revision(THEN, baked), number=number)
        await write_revision(cluster.store, made)


async def test_images_stay_for_the_last_revisions_for_what_lives_and_for_what_is_gone_back_to(
    tmp_path: Path,
) -> None:
    host = Host(tmp_path / "home", tmp_path / "cache")
    cluster = await create_cluster(host, "lab")
    await revisions(cluster, 9)
    living, dead = replace(birth_of("w-a"), image=image(1)), replace(birth_of("w-b"), image=image(2))
    settled = (PoolRelease(PoolName("worker"), ReleaseId("r-3"), image(3)),)
    for event in (
        Born(1.0, living), Born(1.0, dead), SeenGone(2.0, InstanceName("w-b")), RevisionCompleted(3.0, 3, settled),
    ):  # fmt: skip
        await cluster.store.append(records.EVENTS, records.encode(event))
    newest = {image(number) for number in range(9 - KEPT_REVISIONS + 1, 10)}
    assert await pinned_images(host) == newest | {image(1), image(3)}


def test_a_revision_that_rolls_nothing_keeps_releases_addons_and_lock() -> None:
    first = first_revision(THEN, Baked(IMAGES, "l" * 64))
    kept = replace(first, addons=(("v1/ConfigMap//old", "digest"),))
    after = next_revision(
        kept, replace(THEN, pools=(*THEN.pools, replace(WORKER, name=PoolName("b")))), IMAGES
    )
    assert (after.releases[:2], after.addons, after.lock) == (first.releases, kept.addons, first.lock)
    assert after.releases[2] == replace(first.releases[1], pool=PoolName("b"))
