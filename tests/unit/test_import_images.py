"""The script that gives containerd the baked images, run by a shell on files and a `ctr` of the test's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from risen.core.names import Role
from risen.instance.content import image_content

SCRIPT, IMAGES = "/usr/lib/risen/import-images", "/usr/lib/risen/images"
CTR = """#!/bin/sh
shift 3
[ "$1" = ls ] && exec cat "{there}"
echo "$*" >> "{done}"
"""


class Node:
    """An instance's folder of images, and a containerd that has `there`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.there, self.done = folder, folder / "there", folder / "done"
        self.there.write_text("")
        ctr = folder / "bin" / "ctr"
        ctr.parent.mkdir()
        ctr.write_text(CTR.format(there=self.there, done=self.done))
        ctr.chmod(0o755)
        self.archive("pause", "risen.local/pause:1")

    def archive(self, name: str, *images: str) -> None:
        """An archive that holds these images."""
        (self.folder / f"{name}.tar").write_bytes(b"")
        (self.folder / f"{name}.names").write_text("".join(f"{one}\n" for one in images))

    def has(self, *images: str) -> None:
        """What containerd has."""
        self.there.write_text("".join(f"{one}\n" for one in images))

    def run(self, *words: str) -> list[str]:
        """What was done to containerd's images, but for looking at them."""
        (script,) = (one.data.decode() for one in image_content(Role.WORKER).files if one.path == SCRIPT)
        assert IMAGES in script
        text = script.replace(IMAGES, str(self.folder))
        path = f"{self.folder}/bin:/usr/local/bin:/usr/bin:/bin"
        subprocess.run(("sh", "-c", text, "sh", *words), env={"PATH": path}, check=True)
        done = self.done.read_text() if self.done.exists() else ""
        return done.replace(f"{self.folder}/", "").splitlines()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


PINNED = "io.cri-containerd.pinned=pinned"
PAUSE = ["import pause.tar", f"label risen.local/pause:1 {PINNED}"]


def test_what_containerd_lacks_is_imported_and_pinned_under_each_name(node: Node) -> None:
    node.archive("own-1", "quay.io/acme/agent:1", "quay.io/acme/agent:2")
    labels = [f"label quay.io/acme/agent:{tag} {PINNED}" for tag in (1, 2)]
    node.has("risen.local/pause:1")
    assert node.run() == ["import own-1.tar", *labels]


def test_an_archive_of_which_one_image_is_missing_is_imported_again(node: Node) -> None:
    node.archive("own-1", "quay.io/acme/agent:1", "quay.io/acme/agent:2")
    node.has("risen.local/pause:1", "quay.io/acme/agent:2")
    assert node.run()[:1] == ["import own-1.tar"]


def test_what_is_there_is_not_imported(node: Node) -> None:
    node.archive("own-1", "quay.io/acme/agent:1")
    node.has("risen.local/pause:1", "quay.io/acme/agent:1")
    assert node.run() == []


def test_a_name_that_only_begins_like_one_that_is_there_is_missing(node: Node) -> None:
    node.archive("own-1", "quay.io/acme/agent:1")
    node.has("risen.local/pause:1", "quay.io/acme/agent:10")
    assert node.run()[:1] == ["import own-1.tar"]


def test_for_the_sandbox_only_its_own_image_is_given(node: Node) -> None:
    node.archive("own-1", "quay.io/acme/agent:1")
    assert node.run("sandbox") == PAUSE


def test_an_archive_without_its_names_is_a_failure_and_not_passed_over(node: Node) -> None:
    node.archive("own-1", "quay.io/acme/agent:1")
    (node.folder / "own-1.names").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        node.run()
