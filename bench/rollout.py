"""What a planned replacement costs: nobody can write for how long, how long it takes, and what of that is Risen's own.

python bench/rollout.py [--runs N]    writes bench/results/rollout-DATE.json; root; 20 runs take half an hour

Every instance carries pods with a preStop hook and a budget. Each control-plane replacement is followed by a control
window of the same length under the same load, in which nothing happens: a busy machine takes its gaps there too.

Ctrl-C ends the measuring: what was measured until then is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shared.gaps import ETCD_WRITES_PER_SECOND, OBJECTS, WRITES_PER_SECOND, Gap, Writers
from shared.record import Figure, keep
from shared.replacements import Replacement, last_replacement
from shared.standing import (
    HOST,
    KUBERNETES,
    NAME,
    WEB,
    Cluster,
    Credentials,
    add_test_image,
    await_settled,
    events_of,
    need_root,
    standing_cluster,
)

from risen.core.names import InstanceName

RUNS = 20
SOAK_SECONDS = 3.0
"""`minReadySeconds` of both pools: waited for by wish, so it is no cost of Risen's."""
CALM_SECONDS = 3.0
LEADER_EVERY = 3
"""Every third replacement is of the instance whose member leads, as in a rollout of three."""
BOUND_SECONDS = 180.0
Found = dict[str, list[float]]

PODS_OF_THE_CONTROL_PLANE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge}
spec:
  replicas: 3
  selector: {matchLabels: {app: edge}}
  template:
    metadata: {labels: {app: edge}}
    spec:
      terminationGracePeriodSeconds: 10
      nodeSelector: {node-role.kubernetes.io/control-plane: ""}
      tolerations: [{operator: Exists, effect: NoSchedule}]
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: edge}}}
      containers:
      - name: edge
        image: risen.local/busybox:1
        imagePullPolicy: Never
        command: [sh, -c, "trap 'exit 0' TERM; mkdir -p /w; hostname > /w/index.html; httpd -f -p 8080 -h /w & wait"]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        lifecycle: {preStop: {exec: {command: [sleep, "3"]}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: edge}
spec: {minAvailable: 2, selector: {matchLabels: {app: edge}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {maxUnavailable: 2, selector: {matchLabels: {app: web}}}
"""


def prepared(cluster: Cluster) -> None:
    """The files before `up`: an image to run, and a short soak."""
    add_test_image(cluster.folder)
    soak = f"    strategy: {{minReadySeconds: {SOAK_SECONDS:.0f}}}\n"
    cluster.change("    # strategy: {maxSurge: 1, maxUnavailable: 0, minReadySeconds: 10}", soak)
    cluster.change("    role: control-plane ", f"{soak}    role: control-plane ")


def replaced(cluster: Cluster, victim: str) -> Replacement:
    """Ask for it, and wait until all is in place again."""
    cluster.risen("replace", victim, "--yes", "--reason", "bench")
    end = time.monotonic() + BOUND_SECONDS
    while victim in {one["name"] for one in cluster.status()["instances"]}:
        assert time.monotonic() < end, f"{victim} is not replaced:\n{cluster.risen('status')}"
        time.sleep(1.0)
    await_settled(cluster)
    return last_replacement(events_of(NAME), InstanceName(victim))


def victim_of(cluster: Cluster, pool: str, lead: bool) -> str:
    """An instance of a pool; of the control plane the leader's, or one whose member follows."""
    status = cluster.status()
    leader = next(one["name"] for one in status["etcd"]["members"] if one["leader"])
    names = [one["name"] for one in status["instances"] if one["pool"] == pool]
    return leader if lead else min(name for name in names if name != leader)


def control_plane(cluster: Cluster, credentials: Credentials, found: Found, run: int) -> None:
    """One control-plane instance under writers, and a control window."""
    lead = run % LEADER_EVERY == 0
    victim = victim_of(cluster, "control-plane", lead)
    seed = next(one["address"] for one in cluster.status()["instances"] if one["pool"] == "control-plane")
    with Writers(NAME, HOST, cluster.endpoint, credentials, seed) as writers:
        began = time.monotonic()
        done = replaced(cluster, victim)
        ended = time.monotonic()
        time.sleep(ended - began)
        during, control = writers.gaps(began, ended), writers.gaps(ended, 2 * ended - began)
    for layer, gap, calm in (("etcd", during.etcd, control.etcd), ("API", during.api, control.api)):
        found[f"longest write gap, {layer}"].append(gap.seconds)
        found[f"longest write gap, {layer}, control window"].append(calm.seconds)
        beyond = max(0.0, gap.seconds - calm.seconds)
        found[f"longest write gap, {layer}, beyond the control window"].append(beyond)
        print(f"{layer}: {gap.seconds:.3f} s, {_during(done, gap)}", file=sys.stderr)
    found["control plane: whole replacement"].append(done.whole)
    found["control plane: launch to Ready"].append(done.boot)
    found["control plane: entry to gone"].append(done.drain)


def _during(done: Replacement, gap: Gap) -> str:
    """In which part of a replacement a gap began."""
    at = done.asked + gap.began
    moments = {
        "launch": done.launched,
        "Ready": done.ready,
        "the entry": done.opened,
        "the power-off": done.gone,
    }
    before = [f"{at - moment:.1f} s after {what}" for what, moment in moments.items() if moment <= at]
    return before[-1] if before else "before the launch"


def worker(cluster: Cluster, found: Found) -> None:
    """One worker, idle but for its pods."""
    done = replaced(cluster, victim_of(cluster, "worker", lead=False))
    found["worker: whole replacement"].append(done.whole)
    found["worker: launch to Ready"].append(done.boot)
    found["worker: entry to gone"].append(done.drain)
    found["worker: beyond drain, boot and soak"].append(done.beyond(SOAK_SECONDS))


LOAD = (
    f"{WRITES_PER_SECOND} patches a second of {OBJECTS} ConfigMaps through the endpoint, "
    f"{ETCD_WRITES_PER_SECOND} puts a second at the etcd voters in turn"
)
WHOLE = "asked to entry closed: learner, snapshot, rehearsal, drain with a preStop of 3 s, handover"
AIMS: dict[str, tuple[float, str, str]] = {
    "longest write gap, etcd, beyond the control window": (0.05, "median", LOAD),
    "longest write gap, API, beyond the control window": (0.25, "median", LOAD),
    "control plane: whole replacement": (45, "median", f"{WHOLE}; stretch 25 s; under that load"),
    "worker: beyond drain, boot and soak": (1, "median", f"minReadySeconds {SOAK_SECONDS:g} is the soak"),
}


def main() -> None:
    """Measure, write the record, print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="how many replacements of each role")
    runs = int(parser.parse_args().runs)
    need_root()
    found: Found = defaultdict(list)
    with standing_cluster(prepared) as (cluster, credentials), contextlib.suppress(KeyboardInterrupt):
        cluster.kubectl("apply", "-f", "-", stdin=f"{WEB}---{PODS_OF_THE_CONTROL_PLANE}")
        await_settled(cluster)
        for run in range(runs):
            worker(cluster, found)
            time.sleep(CALM_SECONDS)
            control_plane(cluster, credentials, found, run)
            told = {name: round(values[-1], 3) for name, values in found.items()}
            print(f"run {run + 1}: {told}", file=sys.stderr, flush=True)
            time.sleep(CALM_SECONDS)
    none = (None, "median", "")
    figures = {name: Figure("s", values, *AIMS.get(name, none)) for name, values in found.items()}
    keep("rollout", figures, {"kubernetes": KUBERNETES})


if __name__ == "__main__":
    main()
