"""Layers and images on disk: whole or not at all, one bake at a time, and read back for what they are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from risen.adapters.builder.shelf import Layer, Shelf, only_one
from risen.adapters.builder.trees import lay_file, lay_link, scan
from risen.bakery.digest import tree_digest
from risen.core.names import ImageDigest, Role
from risen.interfaces.errors import Conflict, Corrupt, Invalid, NoCapacity, NotFound

Fill = Callable[[Path, Path], None]


def filling(data: bytes = b"x", name: str = "usr/bin/a") -> Fill:
    def fill(tree: Path, scratch: Path) -> None:
        tree.mkdir()
        lay_file(tree, tree, name, data, 0o755)

    return fill


def bake(shelf: Shelf, data: bytes = b"x", role: Role = Role.WORKER) -> ImageDigest:
    return shelf.keep_image(
        role, [shelf.make_layer(f"step-{data.hex()}", "a step", filling(data))], {}
    ).digest


def test_a_layer_is_named_by_what_is_in_it_and_found_again_by_its_step(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    layer = shelf.make_layer("step", "a step", filling())
    assert layer.path.name == layer.digest == tree_digest(scan(layer.path))
    assert (layer.path / "usr/bin/a").read_bytes() == b"x"
    assert shelf.layer_of("step") == layer


def test_two_steps_that_give_the_same_bytes_share_one_layer(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    one = shelf.make_layer("one", "", filling())
    assert shelf.make_layer("two", "", filling()) == Layer(one.digest, one.path, 1)
    assert len(list((shelf.folder / "layers").iterdir())) == 1


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fill(tree: Path, scratch: Path) -> None:
        filling()(tree, scratch)
        raise Invalid("no")

    shelf = Shelf(tmp_path)
    with pytest.raises(Invalid):
        shelf.make_layer("step", "", fill)
    assert shelf.layer_of("step") is None
    assert [path for path in shelf.folder.rglob("*") if path.is_file()] == []


KILLED = """
import os, signal, sys
from pathlib import Path
from risen.adapters.builder.shelf import Shelf
def fill(tree, scratch):
    tree.mkdir()
    (tree / "half").write_bytes(b"x" * 100000)
    print("filling", flush=True)
    signal.pause()
Shelf(Path(sys.argv[1])).make_layer("step", "", fill)
"""


def test_a_killed_bake_leaves_no_half_layer_and_the_next_one_clears_up(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "filling\n"
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    shelf = Shelf(tmp_path)
    assert shelf.layer_of("step") is None
    assert list((shelf.folder / "work").glob("layer-*")) != []
    shelf.sweep()
    assert list((shelf.folder / "work").iterdir()) == []
    assert shelf.make_layer("step", "", filling()).path.is_dir()


def test_a_second_bake_at_once_is_told_who_is_at_work(tmp_path: Path) -> None:
    with (
        only_one(tmp_path / "lock"),
        pytest.raises(Conflict, match=rf"pid {os.getpid()}"),
        only_one(tmp_path / "lock"),
    ):
        raise AssertionError("two bakes at once")


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    held = "import sys; from pathlib import Path; from risen.adapters.builder.shelf import only_one\n"
    held += "with only_one(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()\n"
    child = subprocess.Popen(
        [sys.executable, "-c", held, str(tmp_path / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(Conflict, match=f"pid {child.pid}"), only_one(tmp_path / "lock"):
        raise AssertionError("two bakes at once")
    child.kill()
    child.communicate()
    with only_one(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.root
def test_a_full_disk_is_said_and_nothing_half_stays(tiny_disk: Path) -> None:
    shelf = Shelf(tiny_disk)
    with pytest.raises(NoCapacity, match="disk full while writing"):
        shelf.make_layer("step", "", filling(b"x" * 2_000_000))
    assert shelf.layer_of("step") is None
    assert [path for path in tiny_disk.rglob("*") if path.is_file()] == []


def test_images_are_listed_and_found_by_the_start_of_their_digest(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    digest = bake(shelf)
    assert [one.digest for one in shelf.list()] == [digest]
    assert shelf.find(digest[:19]) == shelf.find(digest.removeprefix("sha256:")[:6]) == digest
    assert shelf.get(digest).role is Role.WORKER
    with pytest.raises(NotFound):
        shelf.find("sha256:zz")
    with pytest.raises(NotFound):
        shelf.get(ImageDigest("sha256:" + "0" * 64))
    bake(shelf, b"y")
    with pytest.raises(Conflict, match="2 images start with"):
        shelf.find("sha256:")


def test_an_image_tells_what_it_holds_where_its_record_does(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    layer = shelf.make_layer("step", "", filling())
    told = {"components": {"etcd": "3.6.16", "coredns": "1.15.0"}, "packages": {"openssl": "3.0.17"}}
    image = shelf.keep_image(Role.CONTROL_PLANE, [layer], told)
    assert image.components == (("coredns", "1.15.0"), ("etcd", "3.6.16"))
    assert shelf.get(image.digest).packages == (("openssl", "3.0.17"),)
    assert shelf.keep_image(Role.CONTROL_PLANE, [layer], {}).components == ()


def test_verify_reads_the_layers_themselves(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    digest = bake(shelf)
    shelf.verify(digest)
    (shelf.get(digest).layers[0] / "usr/bin/a").write_bytes(b"evil")
    with pytest.raises(Corrupt, match="has digest"):
        shelf.verify(digest)


def test_an_image_whose_layer_is_gone_is_not_there(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    digest = bake(shelf)
    layer = shelf.get(digest).layers[0]
    layer.rename(tmp_path / "elsewhere")
    assert shelf.list() == ()
    with pytest.raises(NotFound, match="lacks its layer"):
        shelf.get(digest)


def test_a_damaged_record_is_named_and_not_taken_for_absent(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    digest = bake(shelf)
    (shelf.folder / f"{digest.removeprefix('sha256:')}.json").write_text("{")
    with pytest.raises(Corrupt, match="is damaged"):
        shelf.list()


def test_prune_keeps_what_is_pinned_with_its_layers_and_removes_the_rest(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    kept, other = bake(shelf, b"kept"), bake(shelf, b"other")
    gone, freed = shelf.prune({kept, other}, lambda: {kept})
    assert (gone, freed) == ((other,), len(b"other"))
    assert [one.digest for one in shelf.list()] == [kept]
    shelf.verify(kept)
    assert shelf.layer_of("step-" + b"other".hex()) is None
    assert shelf.layer_of("step-" + b"kept".hex()) is not None


def test_prune_removes_only_what_was_agreed_on(tmp_path: Path) -> None:
    """Another one is baked while a person is asked."""
    shelf = Shelf(tmp_path)
    agreed, baked = bake(shelf, b"agreed"), bake(shelf, b"baked")
    assert shelf.prune({agreed}, set)[0] == (agreed,)
    shelf.verify(baked)


def test_prune_asks_what_is_pinned_while_nobody_can_bake(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    digest = bake(shelf)

    def pinned() -> set[ImageDigest]:
        with pytest.raises(Conflict, match="another bake"), only_one(shelf.folder / "lock"):
            raise AssertionError("two at once")
        return {digest}

    assert shelf.prune({digest}, pinned) == ((), 0)


def test_contents_are_the_layers_merged_as_an_instance_sees_them(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    low = shelf.make_layer("low", "", filling(b"low"))
    high = shelf.make_layer("high", "", filling(b"high!"))
    digest = shelf.keep_image(Role.WORKER, [low, high], {}).digest
    sizes = {one.path: one.size for one in shelf.contents(digest)}
    assert sizes["usr/bin/a"] == 5


def test_laid_files_take_folder_modes_from_below_and_cannot_hide_a_link(tmp_path: Path) -> None:
    base, tree = tmp_path / "base", tmp_path / "tree"
    (base / "root").mkdir(parents=True)
    (base / "root").chmod(0o700)
    (base / "usr/bin").mkdir(parents=True)
    (base / "bin").symlink_to("usr/bin")
    tree.mkdir()
    lay_file(tree, base, "root/a", b"", 0o600)
    assert (tree / "root").stat().st_mode & 0o777 == 0o700
    lay_link(tree, base, "etc/new/link", "/target")
    assert (tree / "etc/new").stat().st_mode & 0o777 == 0o755
    with pytest.raises(Invalid, match="write the path it leads to"):
        lay_file(tree, base, "bin/a", b"", 0o755)
    with pytest.raises(Invalid, match="not a path inside an image"):
        lay_file(tree, base, "../outside", b"", 0o644)


def test_the_digest_does_not_see_times_or_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        strict = Shelf(tmp_path / "a").make_layer("step", "", filling())
    finally:
        os.umask(old)
    loose = Shelf(tmp_path / "b").make_layer("step", "", filling())
    os.utime(loose.path / "usr/bin/a", (1, 1))
    assert tree_digest(scan(loose.path)) == strict.digest


def test_what_an_image_cannot_carry_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Invalid, match="neither file, directory nor link"):
        list(scan(tmp_path))
