"""A release: filled in it is what the renderers would write, its id names all of it, and it is stored whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from join_world import SPEC, birth

from risen.adapters.store.directory import DirectoryStore
from risen.codec import records
from risen.core.names import ClusterUid, ImageDigest, InstanceName, PoolName, ProviderId, ReleaseId, Role
from risen.core.spec import ClusterSpec, Networking, PoolSpec
from risen.instance import layout
from risen.instance.answer import Credentials, answer_files, render_answer, render_release
from risen.instance.control_plane import EtcdJoin, SharedSecrets
from risen.instance.release import Release, ReleaseFile, fill, mark, marks_of
from risen.instance.settings import AnswerFile, Form, Identity
from risen.interfaces.builder import BakedImage
from risen.interfaces.errors import NotFound
from risen.services.releases import adopt_releases, read_release, stored_releases, write_releases
from risen.services.revise import Baked, first_revision, rolled_revision, write_revision

IMAGE = ImageDigest("sha256:" + "a" * 64)
IMAGES = {Role.CONTROL_PLANE: IMAGE, Role.WORKER: ImageDigest("sha256:" + "b" * 64)}
BAKED = Baked(IMAGES, "l" * 64)
GOLDEN = ClusterSpec(
    "golden",
    "1.36.3",
    (
        PoolSpec(PoolName("control-plane"), Role.CONTROL_PLANE, 3),
        PoolSpec(PoolName("worker"), Role.WORKER, 2, max_pods=60),
    ),
    Networking("10.32.0.0/16", "10.33.0.0/20", "acme.local"),
    cert_sans=("api.example.net", "192.0.2.7"),
    api_server_extra_args=(("event-ttl", "2h"),),
)
REGISTRIES = ("docker.io", "registry.example.com:5000")

# Whatever a provider, an authority or an etcd may call things: also quotes, marks, and what JSON escapes.
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['say "no"', "back\\slash", "@{risen.name}", "zwölf", "a b", "😀", "line\nbreak", "{}", "@{risen.", "\\1"]
)


@st.composite
def own_of(draw: st.DrawFn, pool: PoolSpec) -> tuple[Identity, EtcdJoin | None, Credentials]:
    """Everything that is an instance's own."""
    identity = Identity(
        InstanceName(draw(WORDS)), pool.role, PoolName(draw(WORDS)), ClusterUid(draw(WORDS)), draw(WORDS),
        ProviderId(draw(WORDS)), draw(WORDS),
    )  # fmt: skip
    given = Credentials(
        {purpose: draw(WORDS) for purpose in layout.purposes(pool.role)},
        {name: draw(WORDS) for name in layout.authorities(pool.role)},
        registries={host: draw(WORDS) for host in REGISTRIES},
    )
    if pool.role is Role.WORKER:
        return identity, None, given
    secrets = SharedSecrets(draw(WORDS), draw(WORDS), draw(WORDS), draw(WORDS))
    return identity, EtcdJoin(draw(WORDS), draw(WORDS), draw(WORDS)), replace(given, secrets=secrets)


SPECS = st.builds(
    lambda sans, flag, issuer, cni, proxy, version, pods, registries: replace(
        GOLDEN,
        registries=tuple(sorted(registries)),
        kubernetes_version=version,
        networking=Networking(cni=cni, kube_proxy=proxy),
        cert_sans=tuple(sans),
        api_server_extra_args=(("v", flag),),
        service_account_issuer=f"https://{issuer}",
        pools=tuple(replace(pool, max_pods=pods) for pool in GOLDEN.pools),
    ),
    st.lists(st.sampled_from(["a.example.net", "192.0.2.9"]), max_size=2),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6),
    st.text(st.sampled_from("abc/~%\"\\é"), max_size=6),
    st.sampled_from(["flannel", "none"]),
    st.booleans(),
    st.sampled_from(["1.36.3", "1.35.4"]),
    st.integers(10, 250),
    st.sets(st.sampled_from(REGISTRIES)),
)  # fmt: skip


def _or_refused(make: object, *arguments: object) -> tuple[AnswerFile, ...] | str:
    """Files, or "refused" for a line break that would become a flag."""
    try:
        return make(*arguments)  # type: ignore[operator,no-any-return]
    except ValueError as error:
        assert "holds a line break" in str(error)
        return "refused"


@pytest.mark.parametrize("number", [0, 1], ids=["control-plane", "worker"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data(), SPECS)
def test_a_release_filled_in_is_what_the_renderers_write_for_any_instance(
    number: int, data: st.DataObject, spec: ClusterSpec
) -> None:
    pool = spec.pools[number]
    identity, etcd, granted = data.draw(own_of(pool))
    release = render_release(spec, pool, IMAGE)
    stored = records.decode(records.encode(release), Release, "releases/x")
    directly = _or_refused(answer_files, spec, pool, identity, etcd, granted)
    assert _or_refused(render_answer, stored, identity, etcd, granted) == directly


def test_the_ids_of_a_golden_spec_are_noticed_when_they_change() -> None:
    """A change of renderers changes them: that rolls every cluster at its next rolling `apply`, so it is to be
    said in the change log, and these two lines are then to be written anew."""
    assert [str(one.release) for one in first_revision(GOLDEN, BAKED).releases] == [
        "r-3070aa6697d5",
        "r-3ba00c46a47b",
    ]


def test_nothing_of_an_instances_own_and_no_secret_is_in_a_release() -> None:
    for pool in GOLDEN.pools:
        release = render_release(GOLDEN, pool, IMAGE)
        plane = pool.role is Role.CONTROL_PLANE
        assert {"name", "address", "provider-id", "certificate.kubelet-client"} <= marks_of(release)
        assert release.purposes == tuple(sorted(layout.purposes(pool.role)))
        assert ("secret.encryption-key" in marks_of(release)) is plane
        assert {file.path for file in release.files} <= set(layout.answer_paths(pool.role))
        assert release.id.startswith("r-") and len(release.id) == 14


@pytest.mark.parametrize("where", ["api_server_extra_args", "service_account_issuer"])
def test_settings_that_hold_a_mark_are_refused(where: str) -> None:
    value: object = (("v", "@{risen.name}"),) if where == "api_server_extra_args" else "https://@{risen.name}"
    with pytest.raises(ValueError, match="may not stand in a cluster's settings"):
        render_release(replace(GOLDEN, **{where: value}), GOLDEN.pools[0], IMAGE)  # type: ignore[arg-type]


def test_a_release_of_a_newer_risen_that_needs_more_is_refused_by_name() -> None:
    file = ReleaseFile("/etc/kubernetes/x.flags", f"--zone={mark('zone')}\n", form=Form.FLAGS)
    release = Release(ReleaseId("r-0"), Role.WORKER, IMAGE, "1.40.0", (file,))
    with pytest.raises(ValueError, match=r"/etc/kubernetes/x.flags of release r-0 needs zone"):
        fill(release, {"name": "n"})


# --- stored -----------------------------------------------------------------------------------------------
@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore.create(tmp_path / "store")


async def test_a_revision_is_written_after_its_releases_with_what_their_images_hold(
    store: DirectoryStore,
) -> None:
    revision = first_revision(GOLDEN, BAKED)
    told = BakedImage(
        IMAGES[Role.WORKER], Role.WORKER, (), 1, (("kubernetes", "1.36.3"),), (("openssl", "3.0.17"),)
    )
    await write_revision(store, revision, (told,))
    plane, worker = [await read_release(store, one.release) for one in revision.releases]
    assert (plane.role, plane.image, plane.packages) == (Role.CONTROL_PLANE, IMAGE, ())
    assert (worker.components, worker.packages) == (told.components, told.packages)
    assert (plane.kubernetes, plane.api_names[0]) == ("1.36.3", "10.33.0.1")
    assert plane == render_release(GOLDEN, GOLDEN.pools[0], IMAGE)


async def test_upgrading_risen_replaces_nothing(store: DirectoryStore) -> None:
    """A release that this Risen would render differently stays what it is, and is what an instance is given."""
    from risen.services.join_engine import EngineFacts
    from risen.services.revise import next_revision

    older = Release(
        ReleaseId("r-older"), Role.WORKER, IMAGE, "1.36.3", (ReleaseFile("/etc/kubernetes/a", "old"),)
    )
    await store.put(records.release_key(older.id), records.encode(older))
    made = first_revision(SPEC, BAKED)
    plane, worker = made.releases
    revision = replace(made, releases=(plane, replace(worker, release=older.id)))
    await write_revision(store, revision)

    scaled = replace(SPEC, pools=tuple(replace(pool, replicas=5) for pool in SPEC.pools))
    after = next_revision(revision, scaled, IMAGES)
    await write_revision(store, after)
    assert after.releases == revision.releases
    born = replace(birth(InstanceName("worker-zzzzz")), release=older.id)
    facts = EngineFacts(None, None, _Records(store), None)  # type: ignore[arg-type]
    assert await facts.release_of(born) == older


class _Records:
    """What `EngineFacts` reads releases through."""

    def __init__(self, store: DirectoryStore) -> None:
        self.store = store


async def test_a_lost_release_is_named_and_nothing_stands_in_for_it(store: DirectoryStore) -> None:
    revision = first_revision(GOLDEN, BAKED)
    plane, worker = revision.releases
    lost = replace(revision, releases=(plane, replace(worker, release=ReleaseId("r-lost"))))
    with pytest.raises(NotFound, match=r"release r-lost of pool worker is not in the store"):
        await write_revision(store, lost)
    assert await store.list(records.REVISIONS) == ()
    with pytest.raises(NotFound, match="releases/r-lost: no such release"):
        await read_release(store, ReleaseId("r-lost"))


async def test_revisions_older_than_release_records_get_theirs_under_the_ids_that_instances_carry(
    store: DirectoryStore,
) -> None:
    made = first_revision(GOLDEN, BAKED)
    before = replace(
        made, releases=tuple(replace(one, release=ReleaseId(f"r-{one.pool}")) for one in made.releases)
    )
    await adopt_releases(store, before)
    assert await stored_releases(store) == ("r-control-plane", "r-worker")
    adopted = await read_release(store, ReleaseId("r-worker"))
    assert adopted.files == render_release(GOLDEN, GOLDEN.pools[1], IMAGES[Role.WORKER]).files
    await adopt_releases(store, made)
    assert await stored_releases(store) == ("r-control-plane", "r-worker"), "only where there were none"


async def test_what_rolls_changes_the_releases_it_touches_and_leaves_the_others(
    store: DirectoryStore,
) -> None:
    revision = first_revision(GOLDEN, BAKED)
    more_pods = replace(GOLDEN, pools=(GOLDEN.pools[0], replace(GOLDEN.pools[1], max_pods=61)))
    rolled = rolled_revision(revision, more_pods, BAKED)
    assert rolled.number == 2
    assert rolled.releases[0] == revision.releases[0]
    assert rolled.releases[1].release != revision.releases[1].release
    await write_releases(store, revision)
    await write_releases(store, rolled)
    assert len(await stored_releases(store)) == 3
