"""`risen apply` of what rolls: baked, rendered, recorded, stamped; what may not be is refused before a byte is written."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baking_ground import lay_recipe
from cli_ground import Answer, Ground, ground_in
from risen.adapters.builder.shelf import Shelf
from risen.bootstrap import Cluster, Host, create_cluster, open_cluster
from risen.codec import records
from risen.core.events import Event, ReleaseRevoked, RevisionCompleted
from risen.core.history import LiftIntent
from risen.core.names import ImageDigest, PoolName, ReleaseId
from risen.core.spec import PoolRelease, Revision
from risen.engine.record import read_newest
from risen.services.releases import read_release
from risen.services.revise import read_manifest, write_revision


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ground:
    """A cluster of one control-plane instance and one worker, baked and applied, but not up."""
    found = ground_in(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("RISEN_BY", "jane")
    lay_recipe(found.folder, found.home)
    asyncio.run(create_cluster(Host(found.home, found.home / "cache"), "lab"))
    found.file(found.yaml())
    told = found.risen("apply", "--yes", "--reason", "the first")
    assert (told.code, "apply   revision 1 of lab" in told.out) == (0, True), told.both
    return found


def newest(ground: Ground) -> Revision:
    found = asyncio.run(read_newest(opened(ground).store))
    assert found is not None
    return found


def opened(ground: Ground) -> Cluster:
    return asyncio.run(open_cluster(Host(ground.home, ground.home / "cache"), "lab"))


def tell(ground: Ground, *happened: Event) -> None:
    async def append() -> None:
        for event in happened:
            await opened_store.append(records.EVENTS, records.encode(event))

    opened_store = opened(ground).store
    asyncio.run(append())


def more_pods(ground: Ground, pods: int = 60) -> None:
    text = ground.yaml().replace("# kubelet: {maxPods: 110}", f"kubelet: {{maxPods: {pods}}}")
    assert f"maxPods: {pods}" in text
    ground.file(text)


def keys(ground: Ground) -> list[str]:
    """Every object in the store."""
    root = ground.home / "clusters" / "lab" / "store" / "objects"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.OBJECT"))


def release_of(revision: Revision, pool: str) -> ReleaseId:
    return revision.release_of(PoolName(pool)).release


def test_a_change_that_rolls_gives_its_pool_another_release_and_leaves_the_other(ground: Ground) -> None:
    first = newest(ground)
    more_pods(ground)
    told = ground.risen("apply", "--yes", "--reason", "fewer pods")
    second = newest(ground)
    assert (told.code, second.number) == (0, 2), told.both
    assert release_of(second, "control-plane") == release_of(first, "control-plane")
    old, new = release_of(first, "worker"), release_of(second, "worker")
    assert f"  worker: {old} → {new}  (risen release diff {old} {new})" in told.out
    assert "control-plane: r-" not in told.out
    assert (second.by, second.reason, second.applied_unix > 0) == ("jane", "fewer pods", True)
    assert {f"releases/{one}.OBJECT" for one in (old, new)} <= set(keys(ground))


def test_a_changed_lock_bakes_and_rolls_every_pool(ground: Ground) -> None:
    first = newest(ground)
    lay_recipe(ground.folder, ground.home, openssl="3.0.18")
    told = ground.risen("apply", "--yes")
    second = newest(ground)
    assert (told.code, second.lock != first.lock) == (0, True), told.both
    assert "~ recipe.lock: another than that of revision 1 (rolls instances)" in told.out
    assert not {one.image for one in first.releases} & {one.image for one in second.releases}
    diff = ground.risen("release", "diff", release_of(first, "worker"), release_of(second, "worker"))
    assert "PACKAGES    openssl: 3.0.17 → 3.0.18" in diff.out


def test_dns_runs_the_coredns_that_the_recipe_bakes_also_from_a_kept_plan(ground: Ground) -> None:
    """It is pulled from nowhere: a Deployment of another version than the one in the images never starts."""
    assert dns_image(ground, newest(ground)) == "risen.local/coredns:1.15.0"
    lay_recipe(ground.folder, ground.home, coredns="1.16.2")
    told = ground.risen("apply", "--yes")
    assert told.code == 0, told.both
    assert dns_image(ground, newest(ground)) == "risen.local/coredns:1.16.2"
    lay_recipe(ground.folder, ground.home)
    kept = ground.risen("plan", "--out", "kept.plan")
    assert (kept.code, ground.risen("apply", "kept.plan").code) == (0, 0), kept.both
    assert dns_image(ground, newest(ground)) == "risen.local/coredns:1.15.0"


def dns_image(ground: Ground, revision: Revision) -> str:
    """What the Deployment of the cluster's DNS runs, as the controller will apply it."""
    key = "apps/v1/Deployment/kube-system/coredns"
    manifest: Any = asyncio.run(read_manifest(opened(ground).store, key, dict(revision.addons)[key]))
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    return str(container["image"])


def test_a_plan_names_the_releases_when_their_images_are_there_and_writes_nothing(ground: Ground) -> None:
    before = keys(ground)
    more_pods(ground)
    told = ground.risen("plan")
    assert "spec.pools[worker].kubelet.maxPods: 110 → 60 (rolls instances)" in told.out
    lay_recipe(ground.folder, ground.home, sysctls='{vm.swappiness: "1"}')
    unbaked = ground.risen("plan", "--detailed-exitcode")
    assert (unbaked.code, "releases are known once their images are baked" in unbaked.out) == (2, True)
    assert keys(ground) == before
    lay_recipe(ground.folder, ground.home)
    ground.risen("apply", "--yes")
    (line,) = [one for one in told.out.splitlines() if one.startswith("  worker: r-")]
    assert f"→ {release_of(newest(ground), 'worker')} " in line


def test_upgrading_risen_plans_no_replacement(ground: Ground) -> None:
    """The revision in force names a release that this Risen would render differently, and the add-ons of then."""
    first = newest(ground)
    older = replace(asyncio.run(read_release(opened(ground).store, release_of(first, "worker"))), files=())
    plane, worker = first.releases
    made = replace(
        first,
        number=2,
        releases=(plane, replace(worker, release=ReleaseId("r-older"))),
        addons=first.addons[:1],
    )

    store = opened(ground).store

    async def put() -> None:
        await store.put("releases/r-older", records.encode(replace(older, id=ReleaseId("r-older"))))
        await write_revision(store, made)

    asyncio.run(put())
    told = ground.risen("plan", "--detailed-exitcode")
    assert (told.code, "nothing would change" in told.out) == (0, True), told.both
    assert "nothing changed" in ground.risen("apply", "--yes").out
    ground.file(ground.yaml(workers=4))
    assert ground.risen("apply", "--yes").code == 0
    after = newest(ground)
    assert (after.number, after.releases, after.addons) == (3, made.releases, made.addons)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("subnet: 10.83.0.0/24", "subnet: 10.84.0.0/24", "spec.provider.local.subnet"),
        ('version: "1.36.3"', 'version: "1.35.4"', "spec.kubernetes.version"),
        ("disk: 8Gi", "disk: 9Gi", "spec.provider.local.disk"),
    ],
)
def test_what_is_fixed_is_refused_by_name_and_nothing_is_written(
    ground: Ground, old: str, new: str, path: str
) -> None:
    before = keys(ground)
    text = ground.yaml()
    assert old in text
    ground.file(text.replace(old, new))
    plan = ground.risen("plan")
    assert (plan.code, f"REFUSED  {path}: cannot be changed" in plan.out) == (0, True), plan.both
    told = ground.risen("apply", "--yes")
    assert (told.code, f"{path}: cannot be changed on a cluster that is up" in told.err) == (1, True), (
        told.both
    )
    assert keys(ground) == before


def test_a_recipe_that_left_its_lock_behind_is_told_and_changes_nothing(ground: Ground) -> None:
    before = keys(ground)
    recipe = ground.folder / "recipe.yaml"
    recipe.write_text(recipe.read_text() + "# another line\n")
    told = ground.risen("plan")
    assert (told.code, "recipe.yaml has changed since recipe.lock was made" in told.err) == (1, True), (
        told.both
    )
    assert ground.risen("apply", "--yes").code == 1
    assert keys(ground) == before


def test_without_a_lock_what_rolls_is_refused_and_what_does_not_is_done(ground: Ground) -> None:
    (ground.folder / "recipe.lock").unlink()
    more_pods(ground)
    told = ground.risen("apply", "--yes")
    assert (told.code, "put back the one that revision 1 was baked from" in told.err) == (1, True), told.both
    ground.file(ground.yaml(workers=3))
    assert ground.risen("apply", "--yes").code == 0
    assert newest(ground).number == 2


def test_a_revoked_release_is_refused_until_somebody_takes_it_upon_themselves(ground: Ground) -> None:
    more_pods(ground)
    ground.risen("apply", "--yes")
    bad = newest(ground)
    worker = release_of(bad, "worker")
    tell(ground, ReleaseRevoked(1.0, worker, PoolName("worker"), 2, ("never Ready",)))

    again = ground.risen("apply", "--yes")
    assert (again.code, f"its release {worker} is revoked (never Ready)" in again.out) == (0, True), (
        again.both
    )
    more_pods(ground, 61)
    assert ground.risen("apply", "--yes").code == 0, "another value is another release"
    more_pods(ground)
    before = keys(ground)
    told = ground.risen("apply", "--yes")
    assert (told.code, f"revoked, so launched by nothing ({worker}: never Ready)" in told.err) == (1, True)
    assert keys(ground) == before
    taken = ground.risen("apply", "--yes", "--override-revocation", "the registry was down")
    assert (taken.code, newest(ground).number) == (0, 4), taken.both
    (lift,) = [key for key in keys(ground) if key.startswith("intents/")]
    stored = asyncio.run(opened(ground).store.get(lift.removesuffix(".OBJECT")))
    assert stored is not None
    intent = records.decode_intent(stored.data, "intents/x")
    assert isinstance(intent, LiftIntent)
    assert (intent.release, intent.by, intent.reason) == (worker, "jane", "the registry was down")


def test_an_override_alone_is_another_revision_of_the_same(ground: Ground) -> None:
    before = newest(ground)
    worker = release_of(before, "worker")
    tell(ground, ReleaseRevoked(1.0, worker, PoolName("worker"), 1, ("never Ready",)))
    told = ground.risen("apply", "--yes", "--override-revocation", "mended the network")
    assert (told.code, f"lift    {worker} is taken nevertheless: mended the network" in told.out) == (0, True)
    again = newest(ground)
    assert (again.number, again.releases, again.reason) == (2, before.releases, "mended the network")


def test_who_applies_the_same_at_once_is_done_and_who_applies_something_else_is_told(ground: Ground) -> None:
    """The other's revision is written after this one has read the newest: while it asks."""
    more_pods(ground)
    assert ground.risen("apply", "--yes").code == 0
    theirs = newest(ground)
    store = opened(ground).store
    path = ground.stored("lab", "revisions/00000002")
    path.unlink()
    data = records.encode(replace(theirs, by="ci", reason="other words"))

    def apply_while(theirs: bytes) -> Answer:
        """This one stands at the write when the other's revision is there."""
        import risen.cli.revising as revising

        original = revising.write_revision

        async def late(*arguments: object) -> None:
            await store.put("revisions/00000002", theirs)
            await original(*arguments)  # type: ignore[arg-type]

        ground.patch.setattr(revising, "write_revision", late)
        told = ground.risen("apply", "--yes")
        ground.patch.setattr(revising, "write_revision", original)
        return told

    told = apply_while(data)
    assert (told.code, "(somebody else applied the same)" in told.out) == (0, True), told.both
    path.unlink()
    other = replace(theirs, spec=replace(theirs.spec, deletion_protection=True))
    told = apply_while(records.encode(other))
    assert (told.code, "somebody else applied meanwhile, and something else" in told.err) == (1, True), (
        told.both
    )


def test_an_image_that_is_gone_is_baked_again_to_the_same_digest(ground: Ground) -> None:
    images = {one.image for one in newest(ground).releases}
    Shelf(ground.home).prune(images, set)
    lay_recipe(ground.folder, ground.home)
    ground.file(ground.yaml(workers=2))
    assert ground.risen("apply", "--yes").code == 0
    assert {one.digest for one in Shelf(ground.home).list()} == images


def test_an_image_that_cannot_be_baked_again_is_refused_by_name_before_anything_is_written(
    ground: Ground,
) -> None:
    before, images = keys(ground), {one.image for one in newest(ground).releases}
    Shelf(ground.home).prune(images, set)
    lay_recipe(ground.folder, ground.home)
    (ground.folder / "vendor" / "etcd-3.6.16" / "etcd").write_bytes(b"other bytes")
    ground.file(ground.yaml(workers=2))
    told = ground.risen("apply", "--yes")
    assert (told.code, "etcd has sha256" in told.err) == (1, True), told.both
    assert keys(ground) == before


def test_an_image_to_go_back_to_that_is_gone_is_told(ground: Ground) -> None:
    gone = PoolRelease(PoolName("worker"), ReleaseId("r-gone"), ImageDigest("sha256:" + "e" * 64))
    tell(ground, RevisionCompleted(1.0, 1, (gone,)))
    ground.file(ground.yaml(workers=2))
    told = ground.risen("apply", "--yes")
    assert (told.code, "pool worker cannot go back to it" in told.err) == (0, True), told.both


def test_a_pool_of_a_role_that_is_new_gets_an_image_baked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = ground_in(tmp_path, monkeypatch, capsys)
    lay_recipe(found.folder, found.home)
    asyncio.run(create_cluster(Host(found.home, found.home / "cache"), "lab"))
    head, _, _ = found.yaml().partition("  - name: worker")
    found.file(head)
    assert found.risen("apply", "--yes").code == 0
    found.file(found.yaml())
    told = found.risen("apply", "--yes")
    assert (told.code, [one.pool for one in newest(found).releases]) == (0, ["control-plane", "worker"]), (
        told.both
    )


# --- releases ---------------------------------------------------------------------------------------------
def test_releases_are_listed_with_where_they_are_and_what_became_of_them(ground: Ground) -> None:
    first = newest(ground)
    more_pods(ground)
    ground.risen("apply", "--yes")
    bad = release_of(newest(ground), "worker")
    tell(
        ground,
        RevisionCompleted(1.0, 1, first.releases),
        ReleaseRevoked(2.0, bad, PoolName("worker"), 2, ("never Ready",)),
    )
    rows = json.loads(ground.risen("releases", "-o", "json").out)
    assert [(row["release"], row["revisions"], row["state"]) for row in rows] == [
        (release_of(first, "control-plane"), "1,2", "in force"),
        (bad, "2", "revoked"),
        (release_of(first, "worker"), "1", "passed"),
    ]
    shown = ground.risen("release", "show", bad.removeprefix("r-")[:6])
    assert "revoked\n        because never Ready\n" in shown.out
    assert "HOLDS   cni-plugins 1.1.1, containerd 1.6.20, coredns 1.15.0, flannel 0.28.10" in shown.out
    assert "/etc/kubernetes/kubelet.yaml" in shown.out
    text = ground.risen("release", "show", bad, "--file", "kubelet.yaml").out
    assert json.loads(text)["providerID"] == "@{risen.provider-id}"
    assert bad in ground.risen("releases", "-o", "name").out.split()


def test_a_diff_names_the_setting_and_shows_the_file(ground: Ground) -> None:
    old = release_of(newest(ground), "worker")
    more_pods(ground)
    ground.risen("apply", "--yes")
    new = release_of(newest(ground), "worker")
    told = ground.risen("release", "diff", old, new).out
    assert told.splitlines()[0] == "SETTINGS    kubelet.yaml maxPods: 110 → 60"
    assert "--- a/etc/kubernetes/kubelet.yaml" in told and '+  "maxPods": 60,' in told
    data = json.loads(ground.risen("release", "diff", old, new, "-o", "json").out)
    assert list(data["files"]) == ["/etc/kubernetes/kubelet.yaml"]
    assert ground.risen("release", "diff", old, old).out == f"{old} and {old} differ in nothing\n"


def test_a_release_that_is_not_there_is_told_with_those_that_are(ground: Ground) -> None:
    old = release_of(newest(ground), "worker")
    told = ground.risen("release", "show", f"{old[:-1]}!")
    assert (told.code, f"no release {old[:-1]}!; there are: " in told.err, old in told.err) == (1, True, True)
    told = ground.risen("release", "show", "r-")
    assert "2 releases begin with r-" in told.err
