"""How long each component takes to compile from empty caches: once, since it is minutes and the bytes never change.

python bench/compile.py [--runs N]     writes bench/results/compile-DATE.json; root
python bench/compile.py --log FILE     takes it from what a `risen bake` with an empty RISEN_CACHE said
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shared.record import Figure, keep
from shared.standing import KUBERNETES, need_root

COMPILED = re.compile(r"^compile (\S+) +(\d+\.\d)s  (\S+ \S+)$", re.MULTILINE)
NOTE = "from Go modules, with empty caches: the download of modules and of the Go toolchain included"


def seconds_by_component(said: str) -> dict[str, float]:
    """Out of a bake's progress lines, by component and version."""
    return {component: float(seconds) for _, seconds, component in COMPILED.findall(said)}


def cold_bake(folder: Path) -> str:
    """Bake with everything empty; what it said of its progress."""
    caches = {"RISEN_HOME": "home", "RISEN_CACHE": "cache", "GOCACHE": "gocache", "GOMODCACHE": "gomod"}
    environment = {**os.environ, **{name: str(folder / place) for name, place in caches.items()}}
    said = ""
    for words in (("init", "--name", "bench"), ("recipe", "lock"), ("bake",)):
        done = subprocess.run(
            [sys.executable, "-m", "risen.cli.main", *words],
            cwd=folder, env=environment, text=True, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"risen {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        said += done.stderr
    return said


def main() -> None:
    """Measure, or read, write the record, print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="how often to measure")
    parser.add_argument("--log", type=Path, help="a log of such a bake, instead of a bake")
    parser.add_argument("--note", default="", help="said of the machine meanwhile")
    asked = parser.parse_args()
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(asked.runs):
        if asked.log is not None:
            said = asked.log.read_text()
        else:
            need_root()
            with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
                said = cold_bake(Path(name))
        for component, seconds in seconds_by_component(said).items():
            found[component].append(seconds)
    note = f"{NOTE}; {asked.note}" if asked.note else NOTE
    keep(
        "compile",
        {f"compile {name}": Figure("s", runs, note=note) for name, runs in found.items()},
        {"kubernetes": KUBERNETES, "go": "1.26.6"},
    )


if __name__ == "__main__":
    main()
