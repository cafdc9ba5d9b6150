"""A whole bake above a ready base: real files and layers, programs from a local folder, no network."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from image_archives import REF_NAME, oci_archive
from risen.adapters.builder.bake import BakeRequest, bake, tool_path
from risen.adapters.builder.locking import lock_files, requested_packages
from risen.adapters.builder.programs import alone
from risen.adapters.builder.shelf import Shelf
from risen.bakery.components import COMPONENTS
from risen.bakery.layers import base_step
from risen.bakery.lock import (
    Lock,
    LockedComponent,
    LockedFile,
    LockedPackage,
    LockedProgram,
    parse_lock,
    render_lock,
)
from risen.bakery.steps import step_digest
from risen.codec.recipe_yaml import load_recipe
from risen.core.names import Role
from risen.instance.content import image_content
from risen.interfaces.builder import BakedImage, BakeProgress
from risen.interfaces.errors import Corrupt, Invalid, NotFound

RECIPE = """
apiVersion: risen/v1alpha1
kind: Recipe
metadata: {name: node}
spec:
  components: {etcd: "3.6.16", containerd: debian, runc: debian, cni-plugins: debian, flannel: "0.28.10", coredns: "1.15.0"}
  sources: [{path: vendor}]
  files: [{path: /etc/acme.conf, source: acme.conf, roles: [worker]}]
  images: [{path: own.tar}]
"""
VERSIONS = (("kubernetes", "1.36.3"), ("etcd", "3.6.16"), ("flannel", "0.28.10"), ("coredns", "1.15.0"))


ARCHIVE = oci_archive({REF_NAME: "quay.io/acme/agent:1"})


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Kitchen:
    """A folder with a recipe, a lock and binaries, and a home whose base is baked already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[BakeProgress] = []
        self.request = BakeRequest(
            folder / "recipe.yaml", folder / "recipe.lock", folder / "home", folder / "cache", image_content
        )
        (folder / "acme.conf").write_bytes(b"acme")
        (folder / "own.tar").write_bytes(ARCHIVE)
        for name, version in VERSIONS:
            (folder / f"vendor/{name}-{version}").mkdir(parents=True)
            for program in COMPONENTS[name].programs:
                (folder / f"vendor/{name}-{version}/{program.name}").write_bytes(program.name.encode())
        self.write(RECIPE)
        shelf = Shelf(self.request.home)
        self.base = shelf.make_layer(step_digest(base_step(self.lock())), "base", fill_base)

    def lock(self) -> Lock:
        return parse_lock(self.request.lock.read_text())

    def write(self, recipe: str) -> None:
        """The recipe, and the lock that `recipe lock` would make of it."""
        self.request.recipe.write_text(recipe)
        files = tuple(
            LockedFile(one, sha256((self.folder / one).read_bytes())) for one in ("acme.conf", "own.tar")
        )
        package = LockedPackage("catatonit", "1", "amd64", "a" * 64, 1, "pool/c.deb")
        components = tuple(self.component(name, version) for name, version in VERSIONS)
        asked = requested_packages(load_recipe(recipe, "recipe.yaml"))
        lock = Lock(sha256(recipe.encode()), "amd64", "bookworm", asked, (package,), components, files)
        self.request.lock.write_text(render_lock(lock))

    def component(self, name: str, version: str) -> LockedComponent:
        programs = tuple(
            LockedProgram(one.name, sha256(one.name.encode())) for one in COMPONENTS[name].programs
        )
        return LockedComponent(name, version, "path", f"vendor/{name}-{version}", "test", programs=programs)

    def bake(self) -> dict[Role, BakedImage]:
        self.said.clear()
        return bake(self.request, self.said.append)

    def made(self) -> set[str]:
        """Steps that were carried out, not taken from the cache."""
        return {one.step for one in self.said if one.seconds is not None and not one.cached}


def fill_base(tree: Path, scratch: Path) -> None:
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "etc/systemd/system").mkdir(parents=True)
    (tree / "usr/bin/catatonit").write_bytes(b"catatonit")


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path)


def paths(kitchen: Kitchen, image: BakedImage) -> set[str]:
    return {one.path for one in Shelf(kitchen.request.home).contents(image.digest)}


def test_each_role_gets_its_programs_its_images_and_its_files(kitchen: Kitchen) -> None:
    baked = kitchen.bake()
    worker, control_plane = (paths(kitchen, baked[role]) for role in (Role.WORKER, Role.CONTROL_PLANE))
    assert {"usr/bin/kubelet", "etc/acme.conf", "usr/lib/risen/images/coredns.tar"} <= worker
    assert {"usr/bin/etcd", "usr/bin/kube-apiserver", "usr/lib/risen/images/pause.tar"} <= control_plane
    assert not {"usr/bin/etcd", "usr/bin/kube-apiserver"} & worker
    assert "etc/acme.conf" not in control_plane
    assert f"usr/lib/risen/images/own-{sha256(ARCHIVE)[:16]}.tar" in worker & control_plane
    assert tool_path(kitchen.request.home, "kubernetes", "1.36.3", "kubectl").read_bytes() == b"kubectl"
    for image in baked.values():
        Shelf(kitchen.request.home).verify(image.digest)


def test_beside_each_image_archive_lie_the_names_that_an_instance_looks_for(kitchen: Kitchen) -> None:
    image = kitchen.bake()[Role.WORKER]
    lists = [one for layer in image.layers for one in layer.glob("usr/lib/risen/images/*.names")]
    assert {one.stem.partition("-")[0]: one.read_text() for one in lists} == {
        "pause": "risen.local/pause:1\n",
        "coredns": "risen.local/coredns:1.15.0\n",
        "own": "quay.io/acme/agent:1\n",
    }


def test_a_second_bake_makes_nothing_and_gives_the_same_digests(kitchen: Kitchen) -> None:
    first = kitchen.bake()
    assert kitchen.bake() == first
    assert kitchen.made() == set()


def test_what_is_baked_needs_neither_cache_nor_sources_and_a_damaged_tool_is_put_back(
    kitchen: Kitchen,
) -> None:
    first = kitchen.bake()
    tool = tool_path(kitchen.request.home, "kubernetes", "1.36.3", "kubectl")
    tool.write_bytes(b"kubectx")
    assert kitchen.bake() == first
    assert tool.read_bytes() == b"kubectl"
    shutil.rmtree(kitchen.folder / "vendor")
    shutil.rmtree(kitchen.request.cache)
    assert kitchen.bake() == first


def test_after_one_changed_file_only_its_layer_is_made(kitchen: Kitchen) -> None:
    first = kitchen.bake()
    (kitchen.folder / "acme.conf").write_bytes(b"changed")
    assert lock_files(kitchen.request.recipe, kitchen.request.lock) == ("acme.conf",)
    second = kitchen.bake()
    assert kitchen.made() == {"content worker"}
    assert first[Role.CONTROL_PLANE] == second[Role.CONTROL_PLANE]
    assert first[Role.WORKER].digest != second[Role.WORKER].digest


def test_pinning_files_anew_keeps_every_version(kitchen: Kitchen) -> None:
    before = kitchen.lock()
    (kitchen.folder / "acme.conf").write_bytes(b"changed")
    lock_files(kitchen.request.recipe, kitchen.request.lock)
    after = kitchen.lock()
    assert after != before
    assert replace(after, files=before.files) == before


def test_where_no_file_has_changed_the_lock_stays_as_it_is(kitchen: Kitchen) -> None:
    before = kitchen.request.lock.read_bytes()
    assert lock_files(kitchen.request.recipe, kitchen.request.lock) == ()
    assert kitchen.request.lock.read_bytes() == before


@pytest.mark.parametrize("change", ["the recipe", "what Risen asks of Debian"])
def test_versions_are_not_kept_where_more_than_files_has_changed(kitchen: Kitchen, change: str) -> None:
    if change == "the recipe":
        kitchen.request.recipe.write_text(RECIPE + "  packages: [jq]\n")
    else:
        kitchen.request.lock.write_text(render_lock(replace(kitchen.lock(), requested=("catatonit",))))
    before = kitchen.request.lock.read_bytes()
    with pytest.raises(Invalid, match=r"run `risen recipe lock`$"):
        lock_files(kitchen.request.recipe, kitchen.request.lock)
    assert kitchen.request.lock.read_bytes() == before


def test_an_image_archive_whose_name_no_pod_could_use_is_not_locked(kitchen: Kitchen) -> None:
    (kitchen.folder / "own.tar").write_bytes(oci_archive({REF_NAME: "latest"}))
    with pytest.raises(Invalid, match=r'own\.tar calls an image "latest"'):
        lock_files(kitchen.request.recipe, kitchen.request.lock)


def test_a_bake_that_was_cut_short_goes_on_from_the_layers_it_had(kitchen: Kitchen) -> None:
    class Cut(Exception):
        pass

    def report(progress: BakeProgress) -> None:
        kitchen.said.append(progress)
        if progress.step == "content worker":
            raise Cut

    with pytest.raises(Cut):
        bake(kitchen.request, report)
    kitchen.bake()
    assert kitchen.made() == {"content worker"}


def test_a_file_that_changed_after_the_lock_is_refused(kitchen: Kitchen) -> None:
    (kitchen.folder / "acme.conf").write_bytes(b"changed")
    with pytest.raises(Corrupt, match=r"acme\.conf is not .* locked: run `risen recipe lock --files-only`"):
        kitchen.bake()


def test_a_recipe_that_changed_after_the_lock_is_refused(kitchen: Kitchen) -> None:
    kitchen.request.recipe.write_text(RECIPE + "  packages: [jq]\n")
    with pytest.raises(Invalid, match=r"has changed since recipe\.lock was made"):
        kitchen.bake()


def test_a_program_with_other_bytes_than_locked_is_refused(kitchen: Kitchen) -> None:
    (kitchen.folder / "vendor/etcd-3.6.16/etcd").write_bytes(b"evil")
    with pytest.raises(Corrupt, match="the lock pins"):
        kitchen.bake()
    assert Shelf(kitchen.request.home).list() == ()


def test_an_image_archive_with_other_bytes_than_locked_is_refused(kitchen: Kitchen) -> None:
    (kitchen.folder / "own.tar").write_bytes(b"evil")
    with pytest.raises(Corrupt, match="refused"):
        kitchen.bake()
    assert (kitchen.folder / "own.tar").read_bytes() == b"evil", "the user's own file stays"


def test_a_bake_without_a_lock_says_how_to_make_one(kitchen: Kitchen) -> None:
    kitchen.request.lock.unlink()
    with pytest.raises(NotFound, match="run `risen recipe lock`"):
        kitchen.bake()


def test_a_kubernetes_version_that_is_not_locked_says_how_to_lock_it(kitchen: Kitchen) -> None:
    kitchen.request = replace(kitchen.request, kubernetes="1.35.4")
    with pytest.raises(Invalid, match=r"run `risen recipe lock --kubernetes 1\.35\.4`"):
        kitchen.bake()


HOLDER = "import sys; from pathlib import Path; from risen.adapters.builder.shelf import only_one\n"
HOLDER += "with only_one(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()\n"


def test_a_second_bake_waits_for_the_first_and_says_for_whom(kitchen: Kitchen) -> None:
    lock = kitchen.request.home / "images/lock"
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"

    def report(progress: BakeProgress) -> None:
        kitchen.said.append(progress)
        if progress.step == "wait":
            first.kill()

    baked = bake(kitchen.request, report)
    first.communicate()
    assert kitchen.said[0].waits_for.startswith(f"another bake is at work (pid {first.pid}, ")
    assert set(baked) == {Role.WORKER, Role.CONTROL_PLANE}


def test_what_a_killed_compile_or_download_left_in_the_cache_is_swept(kitchen: Kitchen) -> None:
    left = kitchen.request.cache / "components/.compile-x"
    left.mkdir(parents=True)
    (kitchen.request.cache / "components/kept-1").mkdir()
    kitchen.bake()
    assert not left.exists()
    assert (kitchen.request.cache / "components/kept-1").is_dir()


@pytest.mark.root
def test_nothing_a_bake_started_outlives_its_kill() -> None:
    code = "import sys; from risen.adapters.builder.programs import alone, run\n"
    code += "run(alone(['sh', '-c', 'echo $$ > ' + sys.argv[1] + '; sleep 301 & sleep 302']))\n"
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        child = subprocess.Popen([sys.executable, "-c", code, str(said)])
        wait_for(lambda: said.exists() and said.read_text() != "")
        assert said.read_text() == "1\n", "not the first of a process namespace of its own"
        wait_for(lambda: running("sleep 301"))
        child.kill()
        child.wait(10)
        wait_for(lambda: not running("sleep 301") and not running("sleep 302"))


@pytest.mark.root
def test_what_is_unmounted_while_a_bake_runs_is_not_kept_mounted_by_it(tmp_path: Path) -> None:
    shared, disk = tmp_path / "shared", tmp_path / "shared/disk"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "--bind", "--make-shared", str(shared), str(shared)], check=True)
    try:
        subprocess.run(["mount", "-t", "tmpfs", "none", str(disk)], check=True)
        words = alone(["sh", "-c", "echo begun; read go; cat /proc/self/mountinfo"])
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(words, text=True, **pipes) as child:
            assert child.stdout is not None and child.stdout.readline() == "begun\n"
            subprocess.run(["umount", str(disk)], check=True)
            seen, _ = child.communicate("go\n", timeout=10)
    finally:
        subprocess.run(["umount", "--recursive", str(shared)], check=True)
    assert str(shared) in seen, "it saw the host's mounts"
    assert str(disk) not in seen, "and lost the one that the host has unmounted"


def running(words: str) -> bool:
    """Whether a program with exactly this command line runs."""
    wanted = words.replace(" ", "\0").encode() + b"\0"
    return any(read_or_nothing(path) == wanted for path in Path("/proc").glob("[0-9]*/cmdline"))


def read_or_nothing(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def wait_for(fact: Callable[[], bool]) -> None:
    """Look until a fact holds; 20 s at most."""
    end = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
