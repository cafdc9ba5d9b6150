"""A change over every instance of the standing cluster, and one that goes wrong, while clients ask all the time.

The clients' loss and the order of things are asserted; how long it took is told, for the machine decides that.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from background import Background
from balancer import Balancer
from budget_recorder import BudgetRecorder
from inside_pods import PROBES, InsidePods, ProbePod
from load import Noted
from pieces import Cluster, Credentials, wait_for
from rollout_load import Http2Reader, Reader, WebClient, Writer, written

pytestmark = pytest.mark.root

ROLLOUT_BOUND_SECONDS = 900.0
LONGEST_GAP_SECONDS = 30.0
LEAST_SHARE_WRITTEN = 0.5
"""Of the writes that were due. A host that is too slow for 200 a second leaves some unsent; fewer than this would be
no load worth the name."""
SERVICE_ADDRESS = "10.96.0.1"
NODE_PORT, BALANCER_PORT = 30081, 30881
REPLICAS, LEAST_READY = 3, 2
SHOP = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop}}
spec:
  replicas: {REPLICAS}
  selector: {{matchLabels: {{app: shop}}}}
  template:
    metadata: {{labels: {{app: shop}}}}
    spec:
      terminationGracePeriodSeconds: 10
      topologySpreadConstraints:
      - {{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway,
         labelSelector: {{matchLabels: {{app: shop}}}}}}
      containers:
      - name: shop
        image: risen.local/busybox:1
        imagePullPolicy: Never
        command: [sh, -c, "mkdir -p /w; hostname > /w/index.html; exec httpd -f -p 8080 -h /w"]
        readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
        lifecycle: {{preStop: {{exec: {{command: [sleep, "5"]}}}}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: shop}}
spec: {{minAvailable: {LEAST_READY}, selector: {{matchLabels: {{app: shop}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: shop}}
spec: {{selector: {{app: shop}}, type: NodePort, ports: [{{port: 80, targetPort: 8080, nodePort: {NODE_PORT}}}]}}
"""
BAD_KUBELET = "[Service]\nExecStart=\nExecStart=/bin/false\n"
BAD_FILE = "  files:\n  - {path: /etc/systemd/system/kubelet.service.d/50-bad.conf, source: ./bad.conf, roles: [worker]}\n"


@dataclass
class Asked:
    """Everything that asks while a cluster is rolled, and what it was answered."""

    writer: Writer
    readers: dict[str, Reader]
    http2_readers: dict[str, Http2Reader]
    webs: dict[str, WebClient]
    balancer: Balancer
    budget: BudgetRecorder
    pods: list[InsidePods] = field(default_factory=list)

    def noted(self) -> dict[str, Noted]:
        """Of each client of the API, by what it is."""
        found = {f"HTTP/1.1 {where}": one.noted for where, one in self.readers.items()}
        found |= {f"HTTP/2 {where}": one.noted for where, one in self.http2_readers.items()}
        return {"writer": self.writer.noted, **found}

    def begin(self) -> None:
        """From now on a time without answers counts."""
        for noted in self.noted().values():
            noted.since = time.monotonic()

    def end(self) -> None:
        """Until now it did."""
        for noted in self.noted().values():
            noted.until = time.monotonic()

    def figures(self) -> dict[str, object]:
        """What a person would like to know."""
        gaps = {
            name: f"{len(one.times)} answers, {len(one.errors)} failed, gap {one.longest_gap_seconds():.2f} s"
            for name, one in self.noted().items()
        }
        webs = {
            f"web {where}": f"{one.answered} answered, {len(one.lost)} lost, slowest {one.longest_seconds:.2f} s"
            for where, one in self.webs.items()
        }
        due = f"{self.writer.due} due, {self.writer.unsent} not sent: too many unanswered"
        return {
            "writes": due,
            **gaps,
            **webs,
            "fewest ready": self.budget.fewest_ready,
            "evicted": self.budget.evicted,
        }


@contextmanager
def asked_all_the_time(cluster: Cluster, credentials: Credentials, prefix: str) -> Iterator[Asked]:
    """All clients ask while this lasts; every line of what they saw is printed at its end."""
    endpoint = cluster.endpoint
    service = _cluster_address(cluster, "shop")
    balancer = Balancer(endpoint, credentials, NODE_PORT, BALANCER_PORT)
    asked = Asked(
        Writer(endpoint, credentials, prefix),
        {
            "at the endpoint": Reader(endpoint, credentials),
            "in pods": Reader(SERVICE_ADDRESS, credentials, 443),
        },
        {
            "at the endpoint": Http2Reader(endpoint, credentials),
            "in pods": Http2Reader(SERVICE_ADDRESS, credentials, 443),
        },
        {
            "from outside": WebClient(f"http://127.0.0.1:{BALANCER_PORT}/", lambda: balancer.last),
            "from pods": WebClient(f"http://{service}/"),
        },
        balancer,
        BudgetRecorder(endpoint, credentials, "app=shop"),
    )

    async def in_a_pod(pod: ProbePod, stop: asyncio.Event) -> None:
        clients = (asked.readers["in pods"], asked.http2_readers["in pods"], asked.webs["from pods"])
        await asyncio.gather(*(one.run(stop, pod) for one in clients))

    inside = InsidePods(endpoint, credentials, in_a_pod)
    asked.pods.append(inside)
    with Background([asked.balancer, asked.budget]):
        wait_for("the balancer finds every Node well", lambda: len(asked.balancer.well) == 5, 60)
        outside = (asked.readers["at the endpoint"], asked.http2_readers["at the endpoint"])
        try:
            with Background([asked.writer]), Background([*outside, asked.webs["from outside"], inside]):
                wait_for("a client in every probe pod", lambda: len(inside.seen) == 2, 60)
                asked.begin()
                yield asked
                asked.end()
        finally:
            print(json.dumps(asked.figures(), indent=1))
            print("\n".join([*asked.balancer.turns, *asked.budget.story]))


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Cluster:
    """The cluster with an app that is made to be moved, and a probe pod on each worker."""
    cluster.kubectl("delete", "deployment,service", "web", "--ignore-not-found")
    cluster.kubectl("apply", "-f", "-", stdin=SHOP)
    cluster.kubectl("apply", "-f", "-", stdin=PROBES)
    _in_place(cluster)
    return cluster


def _in_place(cluster: Cluster) -> None:
    """The app is whole on both workers, and probed from both."""
    ready = lambda app: {pod["spec"]["nodeName"] for pod in cluster.ready_pods(f"app={app}")}  # noqa: E731
    wait_for("the app is ready", lambda: len(cluster.ready_pods("app=shop")) == REPLICAS, 120)
    wait_for("a probe on each worker", lambda: ready("probe") == set(_names(cluster, "worker")), 120)


def test_a_change_rolls_over_five_instances_and_no_client_loses_anything(
    shop: Cluster, credentials: Credentials
) -> None:
    before = _names(shop)
    there = {pod["metadata"]["name"] for pod in shop.ready_pods("app=shop")}
    shop.change("    # apiServer:\n", '    apiServer: {extraArgs: {v: "1"}}\n')
    shop.change("    # kubelet: {maxPods: 110}", "    kubelet: {maxPods: 100}")
    shop.change(
        "    # strategy: {maxSurge: 1, maxUnavailable: 0, minReadySeconds: 10}",
        "    strategy: {minReadySeconds: 3}",
    )
    began = time.monotonic()
    with asked_all_the_time(shop, credentials, "change") as asked:
        shop.risen("apply", "--yes", "--reason", "fewer pods an instance")
        told = _follow(shop)
        _in_place(shop)
    print(f"rolled in {time.monotonic() - began:.0f} s\n{told}")
    print({who: sorted(set(noted.errors))[:5] for who, noted in asked.noted().items()})
    assert set(before) & set(_names(shop)) == set(), "every instance is another one"
    _no_web_request_lost(asked)
    _every_acknowledged_write_is_found(shop, credentials, asked)
    _the_api_was_never_long_away(asked)
    assert asked.budget.fewest_ready >= LEAST_READY
    assert set(asked.budget.evicted) == there, (
        "each pod was evicted once, and none of those that took their places"
    )
    assert {node["status"]["capacity"]["pods"] for node in _nodes(shop, "worker")} == {"100"}


def test_a_bad_worker_release_reaches_one_instance_is_revoked_and_harms_nobody(
    shop: Cluster, credentials: Credentials
) -> None:
    before = _names(shop)
    recipe = shop.folder / "recipe.yaml"
    good = recipe.read_text()
    (shop.folder / "bad.conf").write_text(BAD_KUBELET)
    recipe.write_text(good + BAD_FILE)
    shop.risen("recipe", "lock")
    with asked_all_the_time(shop, credentials, "bad") as asked:
        shop.risen("apply", "--yes", "--reason", "a kubelet that ends at once", bound_seconds=300)
        watched = shop.run("rollout", "status", "-w", "--timeout", "600", bound_seconds=660)
        wait_for("the release is revoked", lambda: shop.events("ReleaseRevoked"), 30)
        wait_for("what was launched is gone", lambda: _names(shop) == before, 120)
    recipe.write_text(good)
    shop.risen("recipe", "lock")
    (revoked,) = shop.events("ReleaseRevoked")
    born = [one for one in shop.events("Born") if one["birth"]["release"] == revoked["release"]]
    assert watched.returncode == 1, f"it was gone back from\n{watched.stdout}\n{watched.stderr}"
    assert len(born) == 1, f"one instance ever had it: {born}"
    assert shop.ready_nodes() == set(before), "nothing that served was taken"
    _no_web_request_lost(asked)
    _every_acknowledged_write_is_found(shop, credentials, asked)
    _the_api_was_never_long_away(asked)
    assert asked.budget.evicted == {}
    assert asked.budget.fewest_ready == REPLICAS


def test_the_good_recipe_applied_again_finds_everything_in_place(shop: Cluster) -> None:
    before = _names(shop)
    shop.risen("apply", "--yes", "--reason", "back to what stands")
    wait_for("it is settled", lambda: shop.status()["settled"], 60)
    assert _names(shop) == before
    shop.kubectl("delete", "deployment/shop", "service/shop", "pdb/shop", "daemonset/probe")


def _no_web_request_lost(asked: Asked) -> None:
    for where, web in asked.webs.items():
        assert web.answered > 100, f"{where}: {web}"
        assert web.lost == [], (
            f"{where}: {len(web.lost)} of {web.answered + len(web.lost)} were lost: {web.lost[:20]}"
        )


def _every_acknowledged_write_is_found(cluster: Cluster, credentials: Credentials, asked: Asked) -> None:
    writer = asked.writer
    found = asyncio.run(written(cluster.endpoint, credentials, writer.prefix))
    told = f"{writer.due} due, {writer.unsent} unsent, {writer.noted.errors[:20]}"
    assert len(writer.acknowledged) >= LEAST_SHARE_WRITTEN * writer.due, told
    assert set(writer.acknowledged) - found == set()


def _the_api_was_never_long_away(asked: Asked) -> None:
    for who, noted in asked.noted().items():
        assert len(noted.times) > 100, f"{who}: {noted.errors[:20]}"
        assert noted.longest_gap_seconds() <= LONGEST_GAP_SECONDS, f"{who}: {noted.errors[:20]}"
    for one in asked.http2_readers.values():
        assert one.versions == {"2"}


def _follow(cluster: Cluster) -> str:
    """What `risen rollout status -w` told, until the change stands."""
    bound = str(ROLLOUT_BOUND_SECONDS)
    watched = cluster.run(
        "rollout", "status", "-w", "--timeout", bound, bound_seconds=ROLLOUT_BOUND_SECONDS + 60
    )
    assert watched.returncode == 0, f"{watched.stdout}\n{watched.stderr}\n{cluster.risen('status')}"
    return watched.stdout


def _names(cluster: Cluster, pool: str = "") -> list[str]:
    return sorted(one["name"] for one in cluster.status()["instances"] if pool in ("", one["pool"]))


def _nodes(cluster: Cluster, pool: str) -> list[dict]:
    return cluster.objects("nodes", "-l", f"risen.dev/pool={pool}")


def _cluster_address(cluster: Cluster, service: str) -> str:
    found = cluster.objects("services", "--field-selector", f"metadata.name={service}")
    address: str = found[0]["spec"]["clusterIP"]
    assert re.fullmatch(r"10\.96\.\d+\.\d+", address)
    return address
