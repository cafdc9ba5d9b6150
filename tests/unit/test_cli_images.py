"""`risen images`: listed when nothing else is asked, and removed only after a yes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli_ground import Ground, ground_in
from risen.adapters.builder.shelf import Shelf
from risen.core.names import ImageDigest, Role


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ground:
    found = ground_in(tmp_path, monkeypatch, capsys)
    found.patch.setattr(os, "geteuid", lambda: 0)
    return found


@pytest.fixture
def image(ground: Ground) -> ImageDigest:
    """An image that no cluster needs."""

    def fill(tree: Path, scratch: Path) -> None:
        tree.mkdir()
        (tree / "file").write_bytes(b"bytes")

    shelf = Shelf(ground.home)
    return shelf.keep_image(Role.WORKER, [shelf.make_layer("step", "", fill)], {}).digest


def test_alone_it_lists_them(ground: Ground, image: ImageDigest) -> None:
    alone, listed = ground.risen("images"), ground.risen("images", "list")
    assert (alone.code, image in alone.out) == (0, True)
    assert alone.out == listed.out


def test_nothing_is_removed_before_a_yes(ground: Ground, image: ImageDigest) -> None:
    told = ground.risen("images", "prune")
    assert (told.code, f"remove  worker         {image}" in told.out) == (1, True)
    assert "nothing was done; say --yes to go on" in told.err
    told = ground.risen("images", "prune", typed="n\n")
    assert (told.code, "not agreed to: nothing was done" in told.err) == (1, True)
    assert [one.digest for one in Shelf(ground.home).list()] == [image]


@pytest.mark.parametrize("how", [("--yes", ""), ("", "y\n")])
def test_with_a_yes_it_is(ground: Ground, image: ImageDigest, how: tuple[str, str]) -> None:
    option, typed = how
    told = ground.risen("images", "prune", *option.split(), typed=typed)
    assert (told.code, "1 images removed" in told.out) == (0, True), told.both
    assert Shelf(ground.home).list() == ()


def test_what_becomes_needed_while_it_is_asked_for_stays(ground: Ground, image: ImageDigest) -> None:
    """A cluster is raised on it before the yes."""
    images = {Role.CONTROL_PLANE: image, Role.WORKER: image}
    told = ground.risen("images", "prune", typed="y\n", meanwhile=lambda: ground.cluster(images=images))
    assert f"remove  worker         {image}" in told.out, "it was not needed when it was shown"
    assert (told.code, "0 images removed" in told.out) == (0, True), told.both
    assert [one.digest for one in Shelf(ground.home).list()] == [image]


def test_what_is_baked_while_it_is_asked_for_stays(ground: Ground, image: ImageDigest) -> None:
    shelf = Shelf(ground.home)
    told = ground.risen(
        "images", "prune", typed="y\n", meanwhile=lambda: shelf.keep_image(Role.CONTROL_PLANE, (), {})
    )
    assert f"removed {image}" in told.out
    assert [one.role for one in shelf.list()] == [Role.CONTROL_PLANE]


def test_doctor_goes_on_where_an_image_cannot_be_read(ground: Ground, image: ImageDigest) -> None:
    (record,) = Shelf(ground.home).folder.glob("*.json")
    record.write_text("{")
    told = ground.risen("doctor")
    assert told.out.startswith("doctor  ") and "Traceback" not in told.both


def test_where_nothing_goes_nobody_is_asked(ground: Ground) -> None:
    told = ground.risen("images", "prune")
    assert (told.code, "0 images removed" in told.out) == (0, True), told.both
