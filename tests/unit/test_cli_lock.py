"""`risen recipe lock --files-only`: a changed file is pinned anew, and no version with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from baking_ground import add_own_file, lay_recipe
from cli_ground import Ground, ground_in
from risen.bakery.lock import Lock, parse_lock
from risen.bootstrap import Host, create_cluster


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ground:
    """A recipe with a file of the user's own, locked."""
    found = ground_in(tmp_path, monkeypatch, capsys)
    lay_recipe(found.folder, found.home)
    add_own_file(found.folder, "agent.conf", b"run: 0\n")
    return found


def locked(ground: Ground) -> Lock:
    return parse_lock((ground.folder / "recipe.lock").read_text())


def test_a_changed_file_is_pinned_anew_and_every_version_kept(ground: Ground) -> None:
    before = locked(ground)
    (ground.folder / "agent.conf").write_bytes(b"run: 1\n")
    told = ground.risen("recipe", "lock", "--files-only")
    assert (told.code, told.err) == (0, ""), told.both
    assert told.out == "kept every version; 1 file changed: agent.conf\nnext    risen bake\n"
    assert before.files != locked(ground).files
    assert replace(locked(ground), files=before.files) == before


def test_where_nothing_changed_it_says_so(ground: Ground) -> None:
    told = ground.risen("recipe", "lock", "--files-only")
    assert (told.code, told.out.splitlines()[0]) == (0, "kept every version; no file has changed"), told.both


def test_another_kubernetes_version_is_not_for_files_only(ground: Ground) -> None:
    told = ground.risen("recipe", "lock", "--files-only", "--kubernetes", "1.35.4")
    assert (told.code, "leave out --kubernetes" in told.err) == (64, True), told.both


def test_a_changed_recipe_is_told_to_be_locked_whole(ground: Ground) -> None:
    recipe = ground.folder / "recipe.yaml"
    recipe.write_text(recipe.read_text() + "# another line\n")
    told = ground.risen("recipe", "lock", "--files-only")
    assert (told.code, told.err.endswith("run `risen recipe lock`\n")) == (1, True), told.both


def test_apply_tells_of_a_changed_file_how_to_pin_it_and_then_takes_it(ground: Ground) -> None:
    asyncio.run(create_cluster(Host(ground.home, ground.home / "cache"), "lab"))
    ground.file(ground.yaml())
    assert ground.risen("apply", "--yes").code == 0
    (ground.folder / "agent.conf").write_bytes(b"run: 1\n")
    told = ground.risen("apply", "--yes")
    assert (told.code, "agent.conf has changed" in told.err, "--files-only" in told.err) == (1, True, True)
    assert ground.risen("recipe", "lock", "--files-only").code == 0
    told = ground.risen("apply", "--yes")
    assert (told.code, "apply   revision 2 of lab" in told.out) == (0, True), told.both
