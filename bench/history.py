"""What a long past costs: 100,000 events read whole, then followed as a controller does in each of its cycles.

python bench/history.py [--runs N] [--events N]    writes bench/results/history-DATE.json; no root, no cluster
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shared.record import Figure, keep

from risen.adapters.store.directory import DirectoryStore
from risen.adapters.store.streams import render_record
from risen.adapters.system import SystemClock
from risen.codec import records
from risen.core.events import BecameReady, Born, EntryClosed, EntryOpened, Event, Joined, Launched, SeenGone
from risen.core.names import ClusterUid, ImageDigest, InstanceName, PoolName, ProviderId, ReleaseId, Role
from risen.core.step import Birth
from risen.engine.record import Records

UID = ClusterUid("0" * 32)
STANDING = 5
CYCLES = 20


def life(number: int) -> Iterator[Event]:
    """An instance that rises for one that is found gone: eight events."""
    name, entry = InstanceName(f"worker-{number:06d}"), f"e-{number:06d}"
    old, unix = InstanceName(f"worker-{number - STANDING:06d}"), float(number)
    release, image = ReleaseId("r-0123456789ab"), ImageDigest("sha256:" + "0" * 64)
    birth = Birth(name, PoolName("worker"), Role.WORKER, release, image, "0" * 32, "repair", unix, entry)
    if number > STANDING:
        yield EntryOpened(unix, entry, old, "repair", ("no process of it is left on its host", "no disk"))
        yield SeenGone(unix, old)
    yield Born(unix, birth)
    yield Launched(unix, name, ProviderId(f"risen-local://bench/{name}/0123456789ab"))
    yield Joined(unix, name)
    yield BecameReady(unix, name)
    if number > STANDING:
        yield EntryClosed(unix, entry, "replaced")


async def fill(folder: Path, events: int) -> None:
    """A store of so many events; written past the store's own way, which syncs each."""
    store = DirectoryStore.create(folder)
    await store.put(records.CLUSTER, records.encode(records.ClusterRecord(UID, "bench", 0.0)))
    stream, number, seq = bytearray(), 0, 0
    while seq < events:
        number += 1
        for event in life(number):
            seq += 1
            stream += render_record(seq, records.encode(event))
    (folder / "streams").mkdir()
    (folder / "streams" / f"{records.EVENTS}.STREAM").write_bytes(stream)


async def read(folder: Path) -> dict[str, float]:
    """Seconds of CPU to read all, to look for news, to append and take in one; MiB of this program at most."""
    began = time.process_time()
    known = await Records.load(DirectoryStore(folder), SystemClock())
    loaded = time.process_time()
    for _ in range(CYCLES):
        await known.refresh()
    refreshed = time.process_time()
    await known.append(Joined(0.0, InstanceName("worker-000001")))
    appended = time.process_time()
    return {
        "read all": loaded - began,
        "look for news": 1000 * (refreshed - loaded) / CYCLES,
        "append one": 1000 * (appended - refreshed),
        "memory": peak_mib(),
    }


def peak_mib() -> float:
    """The most that this program ever had resident."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    """Measure, each time in a fresh program, write the record, print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often to measure")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--read", type=Path, help="one run, on a store that is there")
    asked = parser.parse_args()
    if asked.read is not None:
        print(json.dumps(asyncio.run(read(asked.read))))
        return
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        asyncio.run(fill(Path(name) / "store", asked.events))
        for _ in range(asked.runs):
            command = [sys.executable, __file__, "--read", str(Path(name) / "store")]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            for figure, value in json.loads(done.stdout).items():
                found[figure].append(value)
    whole = f"{asked.events} events"
    figures = {
        f"read {whole}": Figure("s", found["read all"], note="CPU; once in a controller's life"),
        f"look for news behind {whole}": Figure("ms", found["look for news"], note="CPU, in each cycle"),
        f"append one behind {whole}": Figure("ms", found["append one"], note="CPU"),
        f"memory of a program that read {whole}": Figure("MiB", found["memory"], note="resident, at most"),
    }
    keep("history", figures, {})


if __name__ == "__main__":
    main()
