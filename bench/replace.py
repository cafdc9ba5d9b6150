"""How soon what is killed is replaced, and how long clients of the endpoint wait meanwhile.

python bench/replace.py [--runs N]    writes bench/results/replace-DATE.json; root

Ctrl-C ends the measuring: what was measured until then is kept.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shared.phases import Phases, phases_of
from shared.record import Figure, keep, runs_asked
from shared.standing import (
    KUBERNETES,
    NAME,
    Cluster,
    Credentials,
    Load,
    ReadyNodes,
    await_settled,
    end_hard,
    events_of,
    need_root,
    standing_cluster,
)

Found = dict[str, list[float]]
BEFORE_SECONDS = 2.0
"""Load runs so long before a kill."""
BUSY_PAUSE_SECONDS = 0.002
PATIENCE_SECONDS = 2.0
"""Clients give a request up after so long and ask again. What the killed etcd leader had taken and not yet told the
others is answered by nobody for 7 s (etcd's own bound): a more patient client would measure its patience."""
CALM_SECONDS = 3.0
"""Nothing is done so long between two kills."""


def kill_and_await(cluster: Cluster, credentials: Credentials, victim: str) -> tuple[float, Phases]:
    """Seconds until a new Node is Ready, and the phases of its start."""
    nodes = ReadyNodes(cluster, credentials)
    before = nodes.look()
    killed = time.monotonic()
    end_hard(NAME, victim)
    name, ready = nodes.await_another(before, 120)
    await_settled(cluster)
    return ready - killed, phases_of(events_of(NAME))[name]


def a_worker(cluster: Cluster) -> str:
    """One of the workers."""
    return min(one["name"] for one in cluster.status()["instances"] if one["pool"] == "worker")


def etcd_leader(cluster: Cluster) -> str:
    """The instance of the member that leads."""
    return next(one["name"] for one in cluster.status()["etcd"]["members"] if one["leader"])


def idle_worker(cluster: Cluster, credentials: Credentials, found: Found) -> None:
    """A worker is killed while nothing else goes on."""
    seconds, phases = kill_and_await(cluster, credentials, a_worker(cluster))
    found["worker killed, idle: replacement Ready"].append(seconds)
    found["worker, idle: launch to join"].append(phases.to_join)
    found["worker, idle: join to Ready"].append(phases.to_ready)
    found["worker, idle: launch to Ready"].append(phases.whole)


def busy_worker(cluster: Cluster, credentials: Credentials, found: Found, run: int) -> None:
    """A worker is killed while clients read and write as fast as the API answers them."""
    with Load(cluster.endpoint, credentials, f"busy-{run}", BUSY_PAUSE_SECONDS):
        time.sleep(BEFORE_SECONDS)
        seconds, phases = kill_and_await(cluster, credentials, a_worker(cluster))
    found["worker killed, busy: replacement Ready"].append(seconds)
    found["worker, busy: launch to Ready"].append(phases.whole)


def leader(cluster: Cluster, credentials: Credentials, found: Found, run: int) -> None:
    """The instance of etcd's leader is killed under an ordinary load."""
    victim = etcd_leader(cluster)
    with Load(cluster.endpoint, credentials, f"leader-{run}", timeout_seconds=PATIENCE_SECONDS) as load:
        time.sleep(BEFORE_SECONDS)
        seconds, phases = kill_and_await(cluster, credentials, victim)
    found["etcd leader killed: longest gap of GET"].append(load.reads.longest_gap_seconds())
    found["etcd leader killed: longest gap of writes"].append(load.writes.longest_gap_seconds())
    found["etcd leader killed: replacement Ready"].append(seconds)
    found["control plane: launch to join"].append(phases.to_join)
    found["control plane: join to Ready"].append(phases.to_ready)
    found["control plane: launch to Ready"].append(phases.whole)


PATIENT = f"a request without an answer is given up after {PATIENCE_SECONDS:g} s"
AIMS: dict[str, tuple[float, str]] = {
    "worker killed, idle: replacement Ready": (10, ""),
    "worker, idle: launch to Ready": (5, ""),
    "worker, busy: launch to Ready": (8, "one writer and one reader, 2 ms between requests"),
    "etcd leader killed: longest gap of GET": (
        3,
        f"one reader on a connection that it keeps, 20 ms apart; {PATIENT}",
    ),
    "etcd leader killed: longest gap of writes": (
        5,
        f"one writer on a connection that it keeps, 20 ms apart; {PATIENT}",
    ),
    "control plane: launch to Ready": (20, "the replacement of the killed leader's instance"),
}


def main() -> None:
    """Measure, write the record, print it."""
    runs = runs_asked(__doc__)
    need_root()
    found: Found = defaultdict(list)
    with standing_cluster() as (cluster, credentials), contextlib.suppress(KeyboardInterrupt):
        for run in range(runs):
            for measure in (
                lambda: idle_worker(cluster, credentials, found),
                lambda run=run: busy_worker(cluster, credentials, found, run),
                lambda run=run: leader(cluster, credentials, found, run),
            ):
                measure()
                time.sleep(CALM_SECONDS)
    none = (None, "")
    figures = {
        name: Figure(
            "s",
            values,
            AIMS.get(name, none)[0],
            "worst" if "gap" in name else "median",
            AIMS.get(name, none)[1],
        )
        for name, values in found.items()
    }
    keep("replace", figures, {"kubernetes": KUBERNETES})


if __name__ == "__main__":
    main()
