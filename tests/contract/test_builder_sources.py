"""Where components come from: upstream over HTTP, local folders, module sets; pinned at lock time, checked after."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from image_archives import CONTAINERD_NAME, REF_NAME, oci_archive, tar_of
from risen.adapters.builder import golang
from risen.adapters.builder.archives import archived_names
from risen.adapters.builder.locking import LockRequest, _Asked
from risen.adapters.builder.official import Upstream, fetched, lock_official
from risen.bakery.archive import PAUSE, pause_image, render_archive
from risen.bakery.components import COMPONENTS, TOOLCHAIN
from risen.bakery.lock import LockedComponent, LockedPackage
from risen.bakery.recipe import LocalFolder, NamedSource, Recipe
from risen.interfaces.builder import BakeProgress
from risen.interfaces.errors import Corrupt, Invalid, NotFound, Unreachable


def tarball(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


ETCD = tarball({f"etcd-v3.6.16-linux-amd64/{name}": name.encode() for name in ("etcd", "etcdutl", "etcdctl")})
PATH = "/etcd-io/etcd/releases/download/v3.6.16"


class Release:
    """A release server on loopback: `files` may be changed by a test."""

    def __init__(self) -> None:
        sums = (
            f"{'0' * 64}  other.tar.gz\n{hashlib.sha256(ETCD).hexdigest()}  etcd-v3.6.16-linux-amd64.tar.gz\n"
        )
        self.files = {
            f"{PATH}/etcd-v3.6.16-linux-amd64.tar.gz": ETCD,
            f"{PATH}/SHA256SUMS": sums.encode(),
            "/flannel-io/flannel/releases/download/v0.28.10/flanneld-amd64": b"flanneld",
        }
        release = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = release.files.get(self.path)
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(data or b"")

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.upstream = Upstream({"github.com": f"http://127.0.0.1:{self.server.server_port}"})


@pytest.fixture
def release() -> Iterator[Release]:
    made = Release()
    made.thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


@pytest.fixture
def nobody() -> Iterator[Upstream]:
    """A host whose port refuses."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        yield Upstream({"github.com": address, "dl.k8s.io": address})


def test_an_official_release_is_pinned_by_upstreams_own_checksum(release: Release, tmp_path: Path) -> None:
    locked = lock_official(COMPONENTS["etcd"], "3.6.16", "amd64", tmp_path, release.upstream)
    assert {one.sha256 for one in locked.programs} == {hashlib.sha256(ETCD).hexdigest()}
    assert locked.origin.startswith("https://github.com/etcd-io/etcd/")
    assert not locked.compiled
    assert fetched(locked, "etcdutl", tmp_path, release.upstream).read_bytes() == b"etcdutl"


@pytest.mark.parametrize("left", [b"", b"etcdutk"])
def test_what_was_unpacked_once_is_not_trusted(left: bytes, release: Release, tmp_path: Path) -> None:
    locked = lock_official(COMPONENTS["etcd"], "3.6.16", "amd64", tmp_path, release.upstream)
    fetched(locked, "etcdutl", tmp_path, release.upstream).write_bytes(left)
    assert fetched(locked, "etcdutl", tmp_path, release.upstream).read_bytes() == b"etcdutl"


def test_without_a_checksum_file_the_first_download_is_pinned(release: Release, tmp_path: Path) -> None:
    locked = lock_official(COMPONENTS["flannel"], "0.28.10", "amd64", tmp_path, release.upstream)
    assert locked.program("flannel").sha256 == hashlib.sha256(b"flanneld").hexdigest()
    assert fetched(locked, "flannel", tmp_path, release.upstream).read_bytes() == b"flanneld"


def test_a_release_that_changed_since_the_lock_is_refused_and_removed(
    release: Release, tmp_path: Path
) -> None:
    locked = lock_official(COMPONENTS["etcd"], "3.6.16", "amd64", tmp_path, release.upstream)
    release.files[f"{PATH}/etcd-v3.6.16-linux-amd64.tar.gz"] = tarball(
        {"etcd-v3.6.16-linux-amd64/etcd": b"evil"}
    )
    with pytest.raises(Corrupt, match="refused, file removed"):
        fetched(locked, "etcd", tmp_path, release.upstream)
    assert [path for path in (tmp_path / "official").iterdir() if path.is_file()] == []


def test_a_version_upstream_does_not_have_is_not_found(release: Release, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="404"):
        lock_official(COMPONENTS["etcd"], "9.9.9", "amd64", tmp_path, release.upstream)


def test_a_refusing_upstream_is_unreachable_at_once(nobody: Upstream, tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        lock_official(COMPONENTS["etcd"], "3.6.16", "amd64", tmp_path, nobody)


def test_a_silent_upstream_costs_about_three_seconds(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        upstream = Upstream({"github.com": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        started = time.monotonic()
        with pytest.raises(Unreachable):
            lock_official(COMPONENTS["etcd"], "3.6.16", "amd64", tmp_path, upstream)
        assert 2.5 < time.monotonic() - started < 10
        started = time.monotonic()
        with pytest.raises(Unreachable, match=r"github\.com did not answer"):
            lock_official(COMPONENTS["coredns"], "1.15.0", "amd64", tmp_path, upstream)
        assert time.monotonic() - started < 2, "a silent host costs its 3 s once"


def asked(tmp_path: Path, upstream: Upstream, *sources: LocalFolder | NamedSource) -> _Asked:
    request = LockRequest(
        tmp_path / "recipe.yaml", tmp_path / "recipe.lock", tmp_path / "cache", (), upstream
    )
    packages = (LockedPackage("runc", "1.1.5+ds1", "amd64", "a" * 64, 1, "pool/runc.deb"),)
    return _Asked(request, Recipe("node", (), sources=sources), packages)


def ignored(progress: BakeProgress) -> None:
    """Progress that this test does not look at."""


def test_sources_are_asked_in_order_and_the_lock_says_what_was_passed_over(
    nobody: Upstream, tmp_path: Path
) -> None:
    said: list[BakeProgress] = []
    one = asked(tmp_path, nobody, LocalFolder("vendor"), NamedSource("official"), NamedSource("go-modules"))
    locked = one.component("etcd", "3.6.16", said.append)
    assert (locked.source, locked.compiled, locked.toolchain) == ("go-modules", True, TOOLCHAIN)
    assert locked.why == (
        "compiled here from Go modules (vendor does not have it, official cannot be reached)"
    )
    assert "Connection refused" in said[0].waits_for


def test_a_local_folder_wins_where_it_stands_first(release: Release, tmp_path: Path) -> None:
    folder = tmp_path / "vendor/etcd-3.6.16"
    folder.mkdir(parents=True)
    for name in ("etcd", "etcdutl", "etcdctl"):
        (folder / name).write_text(name)
    one = asked(tmp_path, release.upstream, LocalFolder("vendor"), NamedSource("official"))
    locked = one.component("etcd", "3.6.16", ignored)
    assert (locked.source, locked.origin) == ("path", "vendor/etcd-3.6.16")
    assert locked.program("etcd").sha256 == hashlib.sha256(b"etcd").hexdigest()


def test_an_incomplete_local_folder_is_passed_over(nobody: Upstream, tmp_path: Path) -> None:
    (tmp_path / "vendor/etcd-3.6.16").mkdir(parents=True)
    with pytest.raises(NotFound, match="lacks etcd, etcdutl, etcdctl"):
        asked(tmp_path, nobody, LocalFolder("vendor")).component("etcd", "3.6.16", ignored)


def test_an_unknown_version_says_what_each_source_answered_and_what_is_shipped(
    nobody: Upstream, tmp_path: Path
) -> None:
    one = asked(tmp_path, nobody, NamedSource("official"), NamedSource("go-modules"))
    with pytest.raises(NotFound, match=r"this Risen ships: 1\.35\.4, 1\.36\.3"):
        one.component("kubernetes", "1.99.0", ignored)


def test_debian_is_taken_with_the_version_that_was_resolved(nobody: Upstream, tmp_path: Path) -> None:
    locked = asked(tmp_path, nobody).component("runc", "debian", ignored)
    assert (locked.source, locked.version, locked.sha256) == ("debian", "1.1.5+ds1", "a" * 64)


def test_every_shipped_module_set_is_pinned_down_to_its_programs() -> None:
    for name in ("kubernetes", "etcd", "flannel", "coredns"):
        for version in golang.shipped_versions(name):
            pinned = golang.module_set(name, version).pinned("amd64")
            assert set(pinned) == {one.name for one in COMPONENTS[name].programs}, (name, version)


def compiled_cache(tmp_path: Path, data: bytes) -> tuple[LockedComponent, Path]:
    """A locked component and a cache in which its program lies already."""
    component = asked(tmp_path, Upstream(), NamedSource("go-modules")).component("coredns", "1.15.0", ignored)
    folder = golang.kept_at(component, "amd64", tmp_path / "cache")
    folder.mkdir(parents=True)
    (folder / "coredns").write_bytes(data)
    return component, folder


def test_compiled_bytes_that_are_not_those_pinned_are_refused_and_removed(tmp_path: Path) -> None:
    component, folder = compiled_cache(tmp_path, b"evil")
    with pytest.raises(Corrupt, match="refused, files removed"):
        golang.compiled(component, "amd64", tmp_path / "cache")
    assert not folder.exists()


def test_another_module_set_than_the_locked_one_is_refused(tmp_path: Path) -> None:
    component = asked(tmp_path, Upstream(), NamedSource("go-modules")).component("etcd", "3.6.16", ignored)
    other = LockedComponent(**{**{f: getattr(component, f) for f in component.__slots__}, "sha256": "0" * 64})
    with pytest.raises(Corrupt, match="is not the one locked"):
        golang.compiled(other, "amd64", tmp_path)


def test_a_module_set_is_named_by_go_mod_and_go_sum_and_may_lack_pins(tmp_path: Path) -> None:
    modules = golang.ModuleSet(tmp_path)
    (tmp_path / "go.mod").write_bytes(b"module risen.local/tiny\n")
    (tmp_path / "go.sum").write_bytes(b"x\n")
    assert modules.sha256 == hashlib.sha256(b"module risen.local/tiny\nx\n").hexdigest()
    assert modules.pinned("amd64") == {}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not a tar", "is not a tar archive"),
        (tarball({"manifest.json": b"[]"}), "is not a tar archive"),
        (tar_of({"readme": b""}), "is no container image"),
        (oci_archive({REF_NAME: "latest"}), 'calls an image "latest"'),
        (oci_archive({}), "gives its image no name"),
    ],
)
def test_an_image_archive_that_no_pod_could_use_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "own.tar").write_bytes(data)
    with pytest.raises(Invalid, match=words):
        archived_names(tmp_path / "own.tar")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (render_archive(pause_image(b"x")), PAUSE),
        (oci_archive({REF_NAME: "quay.io/acme/agent:1"}), "quay.io/acme/agent:1"),
        (oci_archive({REF_NAME: "quay.io/acme/agent:1"}, folder="./"), "quay.io/acme/agent:1"),
        (oci_archive({CONTAINERD_NAME: "docker.io/acme/agent:1", REF_NAME: "1"}), "docker.io/acme/agent:1"),
    ],
)
def test_an_image_archive_tells_the_full_names_in_it(data: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "own.tar").write_bytes(data)
    assert archived_names(tmp_path / "own.tar") == (name,)
