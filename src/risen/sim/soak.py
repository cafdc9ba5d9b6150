"""Hours of simulation, resumable: `python -m risen.sim.soak --scenario 3+2 --seeds 1000 --out FILE`.

Every seed is a bring-up or a happening with random crashes and errors; `--enumerate` strikes every write of
every seed instead. The record names commit and machine, and for each failure the command that shows it again.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from risen import __version__
from risen.sim.enumeration import enumerate_faults, standing_for
from risen.sim.faults import FaultKind, Faults
from risen.sim.harness import simulate
from risen.sim.scenario import Scenario

SHOWN_LINES = 60


@dataclass(slots=True)
class Record:
    """What is kept of a soak; written after every seed."""

    scenario: str
    mode: str
    commit: str
    seeds: int = 0
    """Seeds 1 to this number are done."""
    schedules: int = 0
    crashes: int = 0
    violations: int = 0
    cpu_seconds: float = 0.0
    failures: list[dict[str, object]] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The bench record's shape (docs: Tests)."""
        return {
            "bench": f"soak-{self.scenario}-{self.mode}",
            "commit": self.commit,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": {"python": platform.python_version(), "system": platform.platform()},
            "versions": {"risen": __version__},
            "schedules": self.schedules,
            "seeds": self.seeds,
            "crashes": self.crashes,
            "violations": self.violations,
            "cpu_seconds": round(self.cpu_seconds, 1),
            "failures": self.failures,
            "figures": {},
        }


def random_faults(seed: int) -> Faults:
    """Shares that differ by seed, so that some runs are stormy and some nearly calm."""
    return Faults(
        crash_share=(0.0, 0.02, 0.1)[seed % 3],
        error_share=(0.0, 0.03, 0.1)[seed // 3 % 3],
        read_error_share=(0.0, 0.02)[seed // 9 % 2],
    )


def parse_faults(text: str) -> Faults:
    """`WRITE:KIND,…` as `Faults.describe` prints it. Raises ValueError."""
    pairs = (part.split(":") for part in text.split(",") if part)
    return Faults({int(number): FaultKind(kind) for number, kind in pairs})


def run_seed(scenario: Scenario, seed: int, every_write: bool) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """(command that shows it again, crashes, what is wrong) of each run of a seed."""
    command = f"python -m risen.sim.soak --scenario {scenario.name} --replay {seed}"
    if every_write:
        for case in enumerate_faults(scenario, seed):
            struck = f" --faults {case.write}:{case.kind}" if case.kind is not None else " --faults calm"
            yield command + struck, case.trace.crashes, case.wrong
        return
    trace = simulate(scenario, seed, random_faults(seed), standing_for(scenario, seed))
    yield command, trace.crashes, trace.violations


def soak(record: Record, scenario: Scenario, seeds: int, every_write: bool, out: Path | None) -> None:
    """Run the seeds that the record lacks."""
    for seed in range(record.seeds + 1, seeds + 1):
        began = time.process_time()
        for command, crashes, wrong in run_seed(scenario, seed, every_write):
            record.schedules += 1
            record.crashes += crashes
            if wrong:
                record.violations += 1
                record.failures.append({"seed": seed, "replay": command, "wrong": list(wrong[:5])})
                print(f"seed {seed}: {wrong[0]}\n  {command}", file=sys.stderr)
        record.seeds = seed
        record.cpu_seconds += time.process_time() - began
        if out is not None:
            half = out.with_suffix(out.suffix + ".half")
            half.write_text(json.dumps(record.as_json(), indent=1))
            half.replace(out)


def replay(scenario: Scenario, seed: int, faults: Faults) -> int:
    """Show one run; exit status 1 when something is wrong."""
    trace = simulate(scenario, seed, faults, standing_for(scenario, seed))
    print("\n".join([*map(str, trace.lines[-SHOWN_LINES:]), *trace.said[-SHOWN_LINES:], *trace.state]))
    print(f"{trace.writes} writes, {trace.crashes} crashes, {trace.seconds:.1f}s virtual, hash {trace.hash}")
    print("\n".join(f"VIOLATION {text}" for text in trace.violations) or "no violation")
    return 1 if trace.violations else 0


def commit_of(file: Path) -> str:
    """The commit of the checkout a file lies in; outside of one, the version."""
    folder = next((parent / ".git" for parent in file.parents if (parent / ".git").is_dir()), None)
    if folder is None:
        return __version__
    head = (folder / "HEAD").read_text().strip()
    if not head.startswith("ref: "):
        return head
    ref = head.removeprefix("ref: ")
    if (folder / ref).exists():
        return (folder / ref).read_text().strip()
    packed = (folder / "packed-refs").read_text().splitlines() if (folder / "packed-refs").exists() else []
    return next((line.split()[0] for line in packed if line.endswith(f" {ref}")), __version__)


def started(scenario: Scenario, mode: str, out: Path | None) -> Record:
    """A new record, or the one in `out` when it is of the same commit, scenario and mode."""
    record = Record(scenario.name, mode, commit_of(Path(__file__).resolve()))
    if out is None or not out.exists():
        return record
    old = json.loads(out.read_text())
    if old["commit"] != record.commit or old["bench"] != record.as_json()["bench"]:
        return record
    return Record(
        scenario.name, mode, record.commit, old["seeds"], old["schedules"], old["crashes"], old["violations"],
        old["cpu_seconds"], old["failures"],
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit status 1 when anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m risen.sim.soak", description=__doc__)
    parser.add_argument(
        "--scenario", required=True, help="CONTROLPLANE+WORKERS[:HAPPENING], such as 3+2:kill-leader"
    )
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--enumerate", action="store_true", help="strike every write of every seed")
    parser.add_argument("--out", type=Path, help="JSON; an unfinished one is carried on")
    parser.add_argument("--replay", type=int, metavar="SEED", help="show one run")
    parser.add_argument("--faults", default="", help="with --replay: WRITE:KIND,… or `calm`")
    options = parser.parse_args(arguments)
    scenario = Scenario.parse(options.scenario)
    if options.replay is not None:
        calm = options.faults == "calm"
        struck = parse_faults("" if calm else options.faults)
        faults = struck if calm or options.faults else random_faults(options.replay)
        return replay(scenario, options.replay, faults)
    record = started(scenario, "enumerate" if options.enumerate else "random", options.out)
    soak(record, scenario, options.seeds, options.enumerate, options.out)
    print(json.dumps({key: record.as_json()[key] for key in ("bench", "seeds", "schedules", "violations")}))
    return 1 if record.violations else 0


if __name__ == "__main__":
    sys.exit(main())
