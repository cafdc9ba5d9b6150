"""Lists 5,000 Nodes from a real API server on loopback with Risen's client and, where it can be imported, with the
official one: `uv run --with kubernetes python bench/clients.py`. Writes `bench/results/clients-DATE.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests" / "contract"), str(ROOT / "bench")]

from servers import ApiServer, api_server, write_identity  # noqa: E402
from shared.record import Figure, keep  # noqa: E402

from risen.adapters.kubernetes.api import Api, Credentials, Listing  # noqa: E402
from risen.adapters.kubernetes.boiling import node_seen  # noqa: E402
from risen.adapters.kubernetes.cache import (  # noqa: E402
    Cache,
    Changes,
    Listed,
    NodeLease,
    apply,
    kubernetes_seen,
)
from risen.adapters.kubernetes.wire import Node  # noqa: E402

NODES = "/api/v1/nodes"
LISTING = Listing(NODES, Node, lambda item: (f"/{item.metadata.name}", node_seen(item)))
CONDITIONS = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")


class Spent(NamedTuple):
    """Seconds on the wall, and of this program's CPU: the second bears a busy machine."""

    wall: float
    cpu: float


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def spent(self) -> Spent:
        return Spent(time.perf_counter() - self._wall, time.process_time() - self._cpu)


def node_body(number: int) -> dict[str, object]:
    """A Node about as large as a kubelet's: labels, conditions, addresses, 20 images; about 5 KiB."""
    name = f"worker-{number:05}"
    said = {"status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
    images = [
        {
            "names": [f"registry.example/app-{one}@sha256:{one:064x}", f"registry.example/app-{one}:1"],
            "sizeBytes": 10**8,
        }
        for one in range(20)
    ]
    labels = {f"example.com/label-{one}": f"value-{number}" for one in range(8)}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "podCIDR": f"10.{number // 256}.{number % 256}.0/24",
            "providerID": f"risen-local://x/{name}/1",
        },
        "status": {
            "conditions": [{"type": one, **said} for one in CONDITIONS],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "capacity": {"cpu": "4", "memory": "16Gi", "pods": "110"},
            "images": images,
        },
    }


async def fill(api: Api, count: int) -> None:
    """Create the Nodes, 16 at a time."""
    room = asyncio.Semaphore(16)

    async def one(number: int) -> None:
        async with room:
            await api.write("POST", NODES, node_body(number))

    await asyncio.gather(*(one(number) for number in range(count)))


async def ours(api: Api, count: int) -> Spent:
    """One list by pages of 500, boiled down to what the picture holds."""
    clock = Stopwatch()
    found, _ = await api.list_all(LISTING)
    assert len(found) == count
    return clock.spent()


def official(server: ApiServer, folder: Path, count: int) -> Callable[[], Spent] | None:
    """The same with the official client, by pages of 500, or None where it is not installed."""
    if importlib.util.find_spec("kubernetes") is None:
        return None
    from kubernetes import client  # type: ignore[import-not-found, unused-ignore]

    certificate, key, authorities = write_identity(folder, "official", server.admin)
    configuration = client.Configuration(host=server.url)
    configuration.cert_file, configuration.key_file, configuration.ssl_ca_cert = certificate, key, authorities
    core = client.CoreV1Api(client.ApiClient(configuration))

    def once() -> Spent:
        clock = Stopwatch()
        found, token = 0, ""
        while True:
            page = core.list_node(limit=500, _continue=token)
            found += len(page.items)
            token = page.metadata._continue
            if not token:
                assert found == count
                return clock.spent()

    return once


async def cache_seconds(api: Api, count: int) -> tuple[float, float]:
    """Milliseconds of one lease renewal applied, and of one `kubernetes_seen`, with this many nodes."""
    found, _ = await api.list_all(LISTING)
    cache = apply(Cache(), Listed("nodes", tuple(found)))
    leases = tuple((key, NodeLease(key[1:], 0.0)) for key, _ in found)
    cache = apply(cache, Listed("node-leases", leases))
    started = time.perf_counter()
    for number, (key, _) in enumerate(leases[:500]):
        cache = apply(cache, Changes("node-leases", ((key, NodeLease(key[1:], 1.0 + number)),)))
    applied = (time.perf_counter() - started) / 500
    started = time.perf_counter()
    assert len(kubernetes_seen(cache).nodes) == count
    return applied * 1000, (time.perf_counter() - started) * 1000


async def measure(server: ApiServer, folder: Path, count: int, runs: int) -> dict[str, Figure]:
    """All figures."""
    api = Api(Credentials(server.url, server.admin))
    await fill(api, count)
    listed = [await ours(api, count) for _ in range(runs)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    kept = [await cache_seconds(api, count) for _ in range(runs)]
    await api.close()
    once = official(server, folder, count)
    theirs = [] if once is None else [await asyncio.to_thread(once) for _ in range(runs)]
    walls = Figure("s", [one.wall for one in listed], rival=rival([one.wall for one in theirs]))
    cpus = Figure("s", [one.cpu for one in listed], rival=rival([one.cpu for one in theirs]))
    return {
        f"list {count} nodes": walls,
        f"list {count} nodes, CPU": cpus,
        "apply one lease renewal": Figure("ms", [one for one, _ in kept]),
        "section of the picture from the cache": Figure("ms", [one for _, one in kept]),
        "memory of this program after the lists": Figure("MiB", [memory]),
    }


def rival(official_client: Sequence[float]) -> dict[str, float]:
    """The official client's median, where it was measured."""
    if not official_client:
        return {}
    return {"kubernetes (official client)": round(statistics.median(official_client), 4)}


def main() -> None:
    """Start the servers, measure, write the record, print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, api_server(Path(name)) as server:
        figures = asyncio.run(measure(server, Path(name), asked.nodes, asked.runs))
    keep("clients", figures, {"kubernetes": "1.36.3"})


if __name__ == "__main__":
    main()
