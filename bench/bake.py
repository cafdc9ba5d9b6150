"""How long bakes take: cold with packages and components in the cache, and again after one file has changed.

    python bench/bake.py [--runs N]    writes bench/results/bake-DATE.json; root

The cache must hold every component: a bake that compiles is refused, for it would measure something else.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shared.record import Figure, keep, runs_asked
from shared.standing import KUBERNETES, need_root

BOUND_SECONDS = 3000
RECIPE_FILE = "  files: [{path: /etc/acme/agent.conf, source: ./agent.conf}]\n"


def risen(folder: Path, home: Path, *words: str) -> tuple[float, str]:
    """Seconds of `risen WORDS` in a folder under a home of its own, and what it said of its progress."""
    environment = {**os.environ, "RISEN_HOME": str(home)}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "risen.cli.main", *words],
        cwd=folder, env=environment, text=True, capture_output=True, timeout=BOUND_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"risen {' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return time.monotonic() - began, done.stderr


def prepare(folder: Path) -> None:
    """The scaffolded recipe with one file of the user's, and its lock."""
    (folder / "agent.conf").write_text("run: 0\n")
    risen(folder, folder / "home", "init", "--name", "bench")
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text() + RECIPE_FILE)
    risen(folder, folder / "home", "recipe", "lock")


def once(folder: Path, found: dict[str, list[float]]) -> None:
    """A cold bake into an empty home, and another after one file: pinning it anew counts too."""
    home = folder / "home"
    seconds, said = risen(folder, home, "bake")
    assert "the Go compiler" not in said, "the cache lacked a component: run `risen bake` once, then measure"
    found["cold bake"].append(seconds)
    for step, took in re.findall(r"^(.+?) +(\d+\.\d)s  ", said, re.MULTILINE):
        found[f"cold bake: {step.strip()}"].append(float(took))
    (folder / "agent.conf").write_text(f"run: {time.monotonic()}\n")
    pinned, _ = risen(folder, home, "recipe", "lock", "--files-only")
    found["bake after one file"].append(pinned + risen(folder, home, "bake")[0])
    found["bake with nothing changed"].append(risen(folder, home, "bake")[0])


def main() -> None:
    """Measure, write the record, print it."""
    runs = runs_asked(__doc__)
    need_root()
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(runs):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
            prepare(Path(name))
            once(Path(name), found)
    aims = {"cold bake": 90.0, "bake after one file": 5.0}
    both = "both roles; packages and compiled components in the cache"
    figures = {name: Figure("s", values, aims.get(name), note=both) for name, values in found.items()}
    keep("bake", figures, {"kubernetes": KUBERNETES})


if __name__ == "__main__":
    main()
