"""What a cluster weighs on its host: memory of its programs, as the kernel counts it."""

from __future__ import annotations

import sys
from pathlib import Path

from shared.record import ROOT

sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from host import processes_of


def memory_mib(cluster: str) -> float:
    """Proportional set size of every program of it: what several share counts once."""
    return sum(_rollup_kib(one, "Pss") for one in processes_of(cluster)) / 1024


def controller_mib(cluster: str) -> float:
    """Resident set size of its controller."""
    found = [one for one in processes_of(cluster) if _words(one)[-4:-1] == ("serve", "-c", cluster)]
    assert len(found) == 1, f"{len(found)} controllers of {cluster} run"
    return _rollup_kib(found[0], "Rss") / 1024


def _words(pid: int) -> tuple[str, ...]:
    return tuple(Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0"))


def _rollup_kib(pid: int, name: str) -> int:
    """A sum of the kernel's over all mappings; 0 for what ended meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)
