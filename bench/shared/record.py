"""The form of a bench record, and where records are kept. Measures nothing."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench" / "results"
DECIMALS = 4


@dataclass(frozen=True)
class Figure:
    """One figure; lower is better for all that is measured here. `aim_on` is `median` or `worst`."""

    unit: str
    runs: Sequence[float]
    aim: float | None = None
    aim_on: str = "median"
    note: str = ""
    rival: Mapping[str, float] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As a record holds it."""
        runs = [round(one, DECIMALS) for one in self.runs]
        return {
            "unit": self.unit,
            "runs": runs,
            "median": round(statistics.median(runs), DECIMALS),
            "worst": max(runs),
            "better": "lower",
            "aim": self.aim,
            "aim_on": self.aim_on,
            "rival": dict(self.rival),
            "note": self.note,
        }


def record_of(
    bench: str, figures: Mapping[str, Figure], versions: Mapping[str, str], now: datetime.datetime
) -> dict[str, Any]:
    """A whole record; a figure without a single run is left out."""
    return {
        "bench": bench,
        "commit": _commit(),
        "date": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **versions},
        "figures": {name: figure.plain() for name, figure in figures.items() if figure.runs},
    }


def keep(bench: str, figures: Mapping[str, Figure], versions: Mapping[str, str]) -> Path:
    """Write `bench/results/BENCH-DATE.json` and say where."""
    now = datetime.datetime.now(datetime.UTC)
    path = RESULTS / f"{bench}-{now:%Y%m%d-%H%M%S}.json"
    path.parent.mkdir(exist_ok=True)
    record = record_of(bench, figures, versions, now)
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    for name, figure in record["figures"].items():
        print(
            f"{name}: median {figure['median']} {figure['unit']}, worst {figure['worst']}, aim {figure['aim']}"
        )
    print(path.relative_to(ROOT))
    return path


def runs_asked(about: str | None) -> int:
    """`--runs N` of the command line, 5 where it is not given."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--runs", type=int, default=5, help="how often to measure")
    runs = int(parser.parse_args().runs)
    if runs < 1:
        parser.error("--runs must be at least 1")
    return runs


def machine() -> str:
    """CPUs, memory and kernel: what figures of two machines may not be compared without."""
    kernel = f"Linux {platform.release()}"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{platform.machine()}, {os.cpu_count()} CPU, {memory:.0f} GiB, {kernel}"


def _commit() -> str:
    words = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
