"""What the bake bench measures, on a recipe that bakes in a moment."""

from __future__ import annotations

import runpy
from collections import defaultdict
from pathlib import Path

import pytest

from baking_ground import add_own_file, lay_recipe

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.mark.root
def test_a_bake_after_one_file_counts_pinning_the_file_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEN_CACHE", str(tmp_path / "cache"))
    lay_recipe(tmp_path, tmp_path / "home")
    add_own_file(tmp_path, "agent.conf", b"run: 0\n")
    pinned = (tmp_path / "recipe.lock").read_bytes()
    found: dict[str, list[float]] = defaultdict(list)
    runpy.run_path(str(BENCH / "bake.py"))["once"](tmp_path, found)
    assert {"cold bake", "bake after one file", "bake with nothing changed"} <= set(found)
    assert (tmp_path / "recipe.lock").read_bytes() != pinned
