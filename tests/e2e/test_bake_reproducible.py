"""Two real bakes from one lock, in surroundings that differ in all that must not count, give one digest.

Each compiles by itself: what the first left in Go's own caches would hide that a job count or a folder counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from risen.codec.recipe_yaml import default_recipe_yaml

pytestmark = [pytest.mark.e2e, pytest.mark.root]
BOUND_SECONDS = 5400


def risen(
    folder: Path, words: tuple[str, ...], extra: Mapping[str, str], umask: int = 0o022, cpu: int | None = None
) -> str:
    """Run `risen WORDS` in a folder; fail with all that it said unless it exits 0.

    With `cpu` on that one alone: a bake lets no variable set Go's job count, so it is of the CPUs.
    """
    pinned = () if cpu is None else ("taskset", "-c", str(cpu))
    done = subprocess.run(
        [*pinned, sys.executable, "-m", "risen.cli.main", *words],
        cwd=folder, env={**os.environ, **extra}, umask=umask, text=True, capture_output=True,
        timeout=BOUND_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"risen {' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_two_bakes_from_one_lock_give_one_digest_that_the_layers_confirm(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two/far/deeper"
    surroundings = {
        first: {"TZ": "UTC", "LC_ALL": "C.UTF-8"},
        second: {
            "TZ": "Asia/Tokyo", "LC_ALL": "C", "LANG": "de_DE.UTF-8", "GOMAXPROCS": "1", "GOFLAGS": "-p=1",
            "SOURCE_DATE_EPOCH": "1", "PYTHONHASHSEED": "7",
        },
    }  # fmt: skip
    digests = {}
    for folder, extra in surroundings.items():
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text(default_recipe_yaml())
        caches = {"RISEN_HOME": "home", "RISEN_CACHE": "cache", "GOCACHE": "gocache", "GOMODCACHE": "gomod"}
        extra |= {name: str(folder / place) for name, place in caches.items()}
        if folder is first:
            risen(folder, ("recipe", "lock"), extra)
        else:
            (folder / "recipe.lock").write_bytes((first / "recipe.lock").read_bytes())
        umask, cpu = (0o022, None) if folder is first else (0o077, min(os.sched_getaffinity(0)))
        digests[folder] = json.loads(risen(folder, ("bake", "-o", "json"), extra, umask, cpu))
        for digest in digests[folder].values():
            risen(folder, ("images", "show", "--verify", digest), extra)
    assert digests[first] == digests[second]
    assert set(digests[first]) == {"control-plane", "worker"}
