"""How soon commands answer: whole program, start of Python to its end, as a user waits for it.

python bench/cli.py [--runs N]    writes bench/results/cli-DATE.json; root
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shared.record import Figure, keep, runs_asked
from shared.standing import KUBERNETES, NAME, need_root, standing_cluster

PROGRAM = Path(sys.executable).parent / "risen"
PAUSE_SECONDS = 0.5
CALM_SECONDS = 10.0
"""A cluster that has just risen still pulls, scrapes and compacts."""


def answer_seconds(*words: str) -> float:
    """Of one command that must succeed."""
    began = time.monotonic()
    subprocess.run([str(PROGRAM), *words], check=True, capture_output=True)
    seconds = time.monotonic() - began
    time.sleep(PAUSE_SECONDS)
    return seconds


def main() -> None:
    """Measure, write the record, print it."""
    runs = runs_asked(__doc__)
    need_root()
    helped = [answer_seconds("--help") for _ in range(2 * runs)]
    with standing_cluster():
        time.sleep(CALM_SECONDS)
        looked = [answer_seconds("status", "-c", NAME) for _ in range(2 * runs)]
        kubectl = [answer_seconds("kubectl", "-c", NAME, "get", "nodes") for _ in range(runs)]
    figures = {
        "risen --help": Figure("s", helped, 0.15),
        "risen status": Figure("s", looked, 0.3, note="3 control-plane and 2 workers, idle, same host"),
        "risen kubectl get nodes": Figure("s", kubectl),
    }
    keep("cli", figures, {"kubernetes": KUBERNETES})


if __name__ == "__main__":
    main()
