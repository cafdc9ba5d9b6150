"""How long `risen up` takes with images baked, launch to Ready by phase, and what a standing cluster weighs.

python bench/rise.py [--runs N]    writes bench/results/rise-DATE.json; root
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shared.phases import phases_of
from shared.record import Figure, keep, runs_asked
from shared.standing import KUBERNETES, NAME, Cluster, down, events_of, need_root, new_cluster
from shared.weight import controller_mib, memory_mib

SETTLED_SECONDS = 10.0
"""Memory is read so long after `up` has ended."""
TOGETHER = "all five started at once on the CPUs of one host, the wait for its turn in etcd included"


def baked(folder: Path) -> Cluster:
    """The files of a cluster whose images are baked: once for all rises."""
    cluster = new_cluster(folder)
    cluster.risen("recipe", "lock", bound_seconds=600)
    cluster.risen("bake", bound_seconds=2400)
    return cluster


def once(found: dict[str, list[float]], cluster: Cluster) -> None:
    """One whole rise and fall."""
    try:
        began = time.monotonic()
        cluster.risen("up", "--yes", bound_seconds=900)
        found["up"].append(time.monotonic() - began)
        time.sleep(SETTLED_SECONDS)
        found["memory"].append(memory_mib(NAME))
        found["controller"].append(controller_mib(NAME))
        for phases in phases_of(events_of(NAME)).values():
            found[f"{phases.role}: launch to join"].append(phases.to_join)
            found[f"{phases.role}: join to Ready"].append(phases.to_ready)
            found[f"{phases.role}: launch to Ready"].append(phases.whole)
    finally:
        down(cluster)


def figures_of(found: dict[str, list[float]]) -> dict[str, Figure]:
    """What was found, with its aims."""
    whole = "proportional set size of all processes of the instances, the endpoint and the controller, idle"
    figures = {
        "up": Figure("s", found["up"], 90, note="3 control-plane and 2 workers, images baked; stretch 60 s"),
        "memory of the whole": Figure("MiB", found["memory"], note=whole),
        "memory of the controller": Figure("MiB", found["controller"], 150, "worst", "resident set size"),
    }
    phases = {
        name: Figure("s", runs, note=TOGETHER) for name, runs in sorted(found.items()) if " to " in name
    }
    return figures | phases


def main() -> None:
    """Measure, write the record, print it."""
    runs = runs_asked(__doc__)
    need_root()
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        cluster = baked(Path(name))
        for _ in range(runs):
            once(found, cluster)
    keep("rise", figures_of(found), {"kubernetes": KUBERNETES})


if __name__ == "__main__":
    main()
