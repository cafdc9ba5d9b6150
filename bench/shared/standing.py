"""One real cluster to measure on, and what is read of it: events and Ready Nodes. Left as it was found.

Stands on what the real-cluster tests use, so that tests and figures see the same cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from shared.record import ROOT

sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from host import HOME, end_hard, leftovers
from load import Load, credentials_of
from pieces import WEB, Cluster, Credentials, add_test_image

from risen.adapters.store.directory import DirectoryStore
from risen.bootstrap import Host
from risen.codec import records
from risen.core.events import Event

__all__ = [
    "HOST",
    "KUBERNETES",
    "NAME",
    "WEB",
    "Cluster",
    "Credentials",
    "Load",
    "add_test_image",
    "end_hard",
]

NAME = "risen-bench"
SUBNET_HEAD = "10.82.0"
KUBERNETES = "1.36.3"
LOOK_SECONDS = 0.05
HOST = Host(HOME, Path(os.environ.get("RISEN_CACHE", "/var/cache/risen")))


def new_cluster(folder: Path) -> Cluster:
    """The files of a cluster of three and two; nothing runs yet. An earlier run's is deleted."""
    cluster = Cluster(NAME, folder, SUBNET_HEAD)
    down(cluster)
    subnet = f"{SUBNET_HEAD}.0/24"
    cluster.risen("init", "--name", NAME, "--subnet", subnet, "--control-plane", "3", "--workers", "2")
    return cluster


def down(cluster: Cluster) -> None:
    """Delete it; fails when something of it is left."""
    cluster.clear()
    left = leftovers(NAME)
    assert left == [], f"left after `risen down`: {left}"


@contextlib.contextmanager
def standing_cluster(
    prepare: Callable[[Cluster], None] = lambda cluster: None,
) -> Iterator[tuple[Cluster, Credentials]]:
    """A cluster of three and two that is settled, and credentials of hours; deleted at the end. `prepare` may edit
    its files before it rises."""
    with tempfile.TemporaryDirectory() as name:
        cluster = new_cluster(Path(name))
        prepare(cluster)
        try:
            cluster.risen("up", "--yes", bound_seconds=2400)
            kubeconfig = cluster.folder / "kubeconfig"
            cluster.risen("kubeconfig", "--out", str(kubeconfig))
            yield cluster, credentials_of(kubeconfig, cluster.folder)
        finally:
            down(cluster)


def events_of(cluster: str) -> list[Event]:
    """All events of a cluster, read from its store."""
    store = DirectoryStore(HOME / "clusters" / cluster / "store")
    found = asyncio.run(store.read(records.EVENTS, 0))
    return [records.decode_event(data, seq) for seq, data in found]


class ReadyNodes:
    """Asks the API which Nodes are Ready, on one connection, so that 50 ms do not become a kubectl's 300."""

    def __init__(self, cluster: Cluster, credentials: Credentials) -> None:
        self._address = cluster.endpoint
        self._context = ssl.create_default_context(cafile=str(credentials.authority))
        self._context.load_cert_chain(str(credentials.certificate), str(credentials.key))
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._address, 6443, context=self._context, timeout=3)

    def look(self) -> frozenset[str]:
        """Names; empty while the API cannot be reached."""
        try:
            self._connection.request("GET", "/api/v1/nodes")
            items = json.loads(self._connection.getresponse().read()).get("items", [])
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()
            self._connection = self._connect()
            return frozenset()
        return frozenset(item["metadata"]["name"] for item in items if _ready(item))

    def await_another(self, before: frozenset[str], bound_seconds: float) -> tuple[str, float]:
        """The first Ready Node that was not there before, and the monotonic second at which it was seen."""
        end = time.monotonic() + bound_seconds
        while time.monotonic() < end:
            new = self.look() - before
            if new:
                return min(new), time.monotonic()
            time.sleep(LOOK_SECONDS)
        raise AssertionError(f"no new Node is Ready after {bound_seconds:.0f} s")


def _ready(node: dict) -> bool:
    conditions = node["status"].get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def await_settled(cluster: Cluster, bound_seconds: float = 180) -> None:
    """Until `risen status` says that everything wanted is there."""
    end = time.monotonic() + bound_seconds
    while not cluster.status()["settled"]:
        assert time.monotonic() < end, f"not settled after {bound_seconds:.0f} s:\n{cluster.risen('status')}"
        time.sleep(0.5)


def need_root() -> None:
    """Real clusters are root's."""
    if os.geteuid() != 0:
        sys.exit("this bench raises a real cluster and needs root")
