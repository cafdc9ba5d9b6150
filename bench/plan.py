"""What a decision, and what `risen plan` foresees, cost in the middle of a big rollout: 5,000 Nodes, 150,000 pods, half
of the workers changed.

python bench/plan.py [--runs N] [--workers N] [--pods N]    writes bench/results/plan-DATE.json; no root, no cluster
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "tests"))

from shared.record import Figure, keep

from builders import SUPPLIES, Cluster, W, pod_of, revision_of
from risen.core.deciding import decide
from risen.core.history import History
from risen.core.judge.facts import look
from risen.core.judge.verdict import judge
from risen.core.names import InstanceName, ReleaseId
from risen.core.picture import Picture
from risen.core.plan import Now, Supplies
from risen.core.projection import hindrances, pinned, project
from risen.core.rules.view import View
from risen.core.spec import Revision, Share, Strategy
from risen.core.step import Bootstrap

TIMES = 20
CONTROL_PLANE = ("cp-a", "cp-b", "cp-c")
LEAVING = 50


def rolling(workers: int, pods: int) -> Cluster:
    """A cluster whose rollout is half done: `pods` on each worker, some workers with an open entry, budgets kept."""
    cluster = Cluster(revision_of(len(CONTROL_PLANE), workers))
    names = [InstanceName(f"w-{number:05d}") for number in range(workers)]
    for name in (*map(InstanceName, CONTROL_PLANE), *names):
        cluster.serve(name)
    cluster.bootstraps.append(Bootstrap(1, InstanceName(CONTROL_PLANE[0]), "token"))
    cluster.complete()
    spec = cluster.revision.spec
    pools = tuple(
        replace(one, strategy=Strategy(Share(1, 2))) if one.name == W else one for one in spec.pools
    )
    cluster.revision = replace(cluster.revision, spec=replace(spec, pools=pools))
    cluster.apply(W)
    cluster.passed[ReleaseId("r-w-new")] = ("served",)
    half = workers // 2
    for name in names[:half]:
        cluster.of_release(name)
    for name in names[half : half + min(LEAVING, half)]:
        cluster.open(name, "rollout")
    cluster.pods = [pod_of(f"p-{name}-{number}", name) for name in names for number in range(pods)]
    random.Random(1).shuffle(cluster.pods)  # as a list comes that follows no Node
    return cluster


@dataclass(frozen=True)
class Look:
    """What a look at that cluster found."""

    revision: Revision
    picture: Picture
    history: History
    now: Now

    def decide(self) -> None:
        """What the engine does after each look."""
        plan = decide(self.revision, self.picture, self.history, self.now, SUPPLIES)
        if not plan.steps:
            raise SystemExit(f"the rollout that is measured stands still: {plan.blocked}")

    def plan(self) -> None:
        """What `risen plan` works out: what goes on now, waves and times, what blocks, what is pinned."""
        self.decide()
        facts = look(self.picture, self.history, self.now)
        view = View(self.revision, facts, judge(facts), Supplies((), ()))
        if not project(view).waves:
            raise SystemExit("the rollout that is measured has no waves")
        hindrances(view)
        pinned(view)


def p95_of(work: Callable[[], None]) -> float:
    """Seconds of CPU."""
    spent: list[float] = []
    for _ in range(TIMES):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return sorted(spent)[int(0.95 * (len(spent) - 1))]


def once(workers: int, pods: int) -> dict[str, float]:
    """p95 of each, and MiB that this program had resident at most."""
    cluster = rolling(workers, pods)
    look_now = Look(cluster.revision, cluster.picture(), cluster.history(), cluster.now)
    found = {"decide": p95_of(look_now.decide), "plan": p95_of(look_now.plan)}
    lines = Path("/proc/self/status").read_text().splitlines()
    return found | {"memory": next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))}


def main() -> None:
    """Measure, each time in a fresh program, write the record, print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often to measure")
    parser.add_argument("--workers", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=30, help="on each worker")
    parser.add_argument("--once", action="store_true", help="one run, told as JSON")
    asked = parser.parse_args()
    if asked.once:
        print(json.dumps(once(asked.workers, asked.pods)))
        return
    found: dict[str, list[float]] = defaultdict(list)
    size = ["--workers", str(asked.workers), "--pods", str(asked.pods)]
    for _ in range(asked.runs):
        command = [sys.executable, __file__, "--once", *size]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        for figure, value in json.loads(done.stdout).items():
            found[figure].append(value)
    whole = f"{asked.workers} workers and {asked.workers * asked.pods} pods"
    figures = {
        f"decide amid a rollout of {whole}": Figure(
            "s", found["decide"], 1.0, "worst", note=f"CPU, p95 of {TIMES}"
        ),
        f"plan amid a rollout of {whole}": Figure(
            "s", found["plan"], 1.0, "worst", note=f"CPU, p95 of {TIMES}; without the reading of the cluster"
        ),
        f"memory of a program that decides on {whole}": Figure(
            "MiB", found["memory"], 512.0, "worst", note="resident, at most"
        ),
    }
    keep("plan", figures, {})


if __name__ == "__main__":
    main()
