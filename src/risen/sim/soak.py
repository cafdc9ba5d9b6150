"""Hours of simulation, resumable, on several CPUs.

    python -m risen.sim.soak --enumerate --out FILE    every write of every scenario, struck by every fault
    python -m risen.sim.soak --seeds 40 --out FILE     every scenario with random crashes and errors

`--scenario NAME` picks some. The record names commit and machine, and for each failure the command that shows it
again. It is carried on where it stopped, as long as neither what is simulated nor the simulator has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from risen import __version__
from risen.sim.catalogue import catalogue
from risen.sim.enumeration import CALM, enumerate_faults, judged, standing_for
from risen.sim.faults import NO_FAULTS, FaultKind, Faults
from risen.sim.harness import simulate
from risen.sim.scenario import Scenario

SHOWN_LINES = 60
SLICES = 4
"""Into so many parts the writes of an enumerated scenario are cut."""
SEEDS_A_PART = 20
SCHEDULES_AN_HOUR = 10_000
PACKAGES = ("core", "engine", "codec", "interfaces", "sim")
"""What decides how a simulated run goes."""
SOURCE = Path(__file__).resolve().parent.parent


class Part(NamedTuple):
    """A piece of a soak for one process. Enumerated: slice `first` of `last`; else the seeds `first` to `last`."""

    scenario: str
    enumerated: bool
    first: int
    last: int

    @property
    def key(self) -> str:
        """As the record names it."""
        if self.enumerated:
            return f"{self.scenario} writes {self.first}/{self.last}"
        return f"{self.scenario} seeds {self.first}-{self.last}"


@dataclass(slots=True)
class Outcome:
    """What came of a part. CPU seconds hold those of all its processes."""

    schedules: int = 0
    crashes: int = 0
    violations: int = 0
    cpu_seconds: float = 0.0
    failures: list[dict[str, object]] = field(default_factory=list)


@dataclass(slots=True)
class Record:
    """What is kept of a soak; written after every part."""

    bench: str
    commit: str
    code: str
    parts: dict[str, Outcome] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The bench record's shape (docs: Tests)."""
        outcomes = self.parts.values()
        schedules, cpu = sum(one.schedules for one in outcomes), sum(one.cpu_seconds for one in outcomes)
        rate = round(schedules / cpu * 3600) if cpu else 0
        speed = {
            "unit": "/h", "runs": [rate], "median": rate, "worst": rate, "better": "higher",
            "aim": SCHEDULES_AN_HOUR, "aim_on": "median", "rival": {}, "note": "of CPU of one core",
        }  # fmt: skip
        return {
            "bench": self.bench,
            "commit": self.commit,
            "code": self.code,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": {"python": platform.python_version(), "system": platform.platform()},
            "versions": {"risen": __version__},
            "schedules": schedules,
            "crashes": sum(one.crashes for one in outcomes),
            "violations": sum(one.violations for one in outcomes),
            "cpu_seconds": round(cpu, 1),
            "failures": [failure for one in outcomes for failure in one.failures],
            "figures": {"schedules an hour on one core": speed},
            "parts": {key: asdict(self.parts[key]) for key in sorted(self.parts)},
        }

    def write(self, out: Path) -> None:
        """Whole or not at all."""
        half = out.with_suffix(out.suffix + ".half")
        half.write_text(json.dumps(self.as_json(), indent=1) + "\n")
        half.replace(out)


def random_faults(seed: int) -> Faults:
    """Shares that differ by seed, so that some runs are stormy and some nearly calm."""
    return Faults(
        crash_share=(0.0, 0.02, 0.1)[seed % 3],
        error_share=(0.0, 0.03, 0.1)[seed // 3 % 3],
        read_error_share=(0.0, 0.02)[seed // 9 % 2],
    )


def parse_faults(text: str) -> Faults:
    """`WRITE:KIND,…` as `Faults.describe` prints it, or `calm` for none. Raises ValueError."""
    pairs = (part.split(":") for part in text.split(",") if part and text != CALM)
    return Faults({int(number): FaultKind(kind) for number, kind in pairs})


def parts_of(scenarios: Sequence[Scenario], seeds: int, enumerated: bool) -> list[Part]:
    """The pieces of a soak, a piece of every scenario before a second one of any: what is wrong shows early. An
    enumeration strikes the writes of the first seed."""
    if enumerated:
        return [Part(one.name, True, first, SLICES) for first in range(1, SLICES + 1) for one in scenarios]
    return [
        Part(one.name, False, first, min(first + SEEDS_A_PART - 1, seeds))
        for first in range(1, seeds + 1, SEEDS_A_PART)
        for one in scenarios
    ]


def _runs(part: Part) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """(command that shows it again, crashes, what is wrong) of each run of a part."""
    scenario = Scenario.parse(part.scenario)
    if part.enumerated:
        for case in enumerate_faults(scenario, 1, first=part.first, every=part.last):
            yield case.replay(part.scenario, 1), case.trace.crashes, case.wrong
        return
    for seed in range(part.first, part.last + 1):
        trace = simulate(scenario, seed, random_faults(seed), standing_for(scenario, seed))
        command = f"python -m risen.sim.soak --scenario {part.scenario} --replay {seed}"
        yield command, trace.crashes, trace.violations


def soak(part: Part) -> tuple[Part, Outcome]:
    """Run a part."""
    outcome, began = Outcome(), _cpu_seconds()
    for command, crashes, wrong in _runs(part):
        outcome.schedules += 1
        outcome.crashes += crashes
        if wrong:
            outcome.violations += 1
            outcome.failures.append({"replay": command, "wrong": list(wrong[:5])})
    outcome.cpu_seconds = round(_cpu_seconds() - began, 1)
    return part, outcome


def _cpu_seconds() -> float:
    """Of this process and of those it waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def soak_all(record: Record, parts: Sequence[Part], jobs: int, out: Path | None) -> None:
    """Run the parts that the record lacks, and tell of each."""
    lacking = [part for part in parts if part.key not in record.parts]
    with multiprocessing.Pool(jobs) as pool:
        for number, (part, outcome) in enumerate(pool.imap_unordered(soak, lacking), 1):
            record.parts[part.key] = outcome
            if out is not None:
                record.write(out)
            print(
                f"{number:4}/{len(lacking)}  {part.key:44} {outcome.schedules:5} schedules"
                f"  {outcome.violations} wrong  {outcome.cpu_seconds:7.1f} s"
            )
            for failure in outcome.failures:
                print(f"           {failure['wrong']}\n           {failure['replay']}")
            sys.stdout.flush()


def replay(scenario: Scenario, seed: int, named: Faults | None) -> int:
    """Show one run; exit status 1 when something is wrong. One with named faults must end as the calm one does."""
    standing = standing_for(scenario, seed)
    trace = simulate(scenario, seed, random_faults(seed) if named is None else named, standing)
    wrong = trace.violations
    if named is not None:
        wrong = judged(simulate(scenario, seed, NO_FAULTS, standing), trace, scenario.happening)
    print("\n".join([*map(str, trace.lines[-SHOWN_LINES:]), *trace.said[-SHOWN_LINES:], *trace.state]))
    print(f"{trace.writes} writes, {trace.crashes} crashes, {trace.seconds:.1f}s virtual, hash {trace.hash}")
    print("\n".join(f"VIOLATION {text}" for text in wrong) or "no violation")
    return 1 if wrong else 0


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


def code_of(source: Path) -> str:
    """A hash over the text of all that decides how a simulated run goes."""
    digest = hashlib.sha256()
    for file in sorted(file for name in PACKAGES for file in (source / name).rglob("*.py")):
        digest.update(f"{file.relative_to(source)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def started(bench: str, out: Path | None) -> Record:
    """A new record, or the one in `out` when it is of the same code and kind."""
    record = Record(bench, commit_of(SOURCE / "sim"), code_of(SOURCE))
    if out is None or not out.exists():
        return record
    old: Mapping[str, object] = json.loads(out.read_text())
    parts = old.get("parts")
    if (old.get("bench"), old.get("code")) == (record.bench, record.code) and isinstance(parts, dict):
        record.parts = {key: Outcome(**outcome) for key, outcome in parts.items()}
    return record


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit status 1 when anything was violated."""
    parser = argparse.ArgumentParser(prog="python -m risen.sim.soak", description=__doc__)
    parser.add_argument(
        "--scenario",
        action="append",
        help="CONTROLPLANE+WORKERS[:HAPPENING[/BEHAVIOUR]], such as 3+2:kill-leader; all if none is given",
    )
    parser.add_argument("--seeds", type=int, default=100, help="random runs of each scenario")
    parser.add_argument("--enumerate", action="store_true", help="strike every write of one seed instead")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes")
    parser.add_argument("--out", type=Path, help="JSON; an unfinished one is carried on")
    parser.add_argument("--replay", type=int, metavar="SEED", help="show one run of one scenario")
    parser.add_argument("--faults", default="", help="with --replay: WRITE:KIND,… or `calm`")
    options = parser.parse_args(arguments)
    scenarios = tuple(map(Scenario.parse, options.scenario)) if options.scenario else catalogue()
    if options.replay is not None:
        if len(scenarios) != 1:
            parser.error("--replay needs one --scenario")
        return replay(scenarios[0], options.replay, parse_faults(options.faults) if options.faults else None)
    record = started("soak-enumerate" if options.enumerate else "soak-random", options.out)
    parts = parts_of(scenarios, options.seeds, options.enumerate)
    soak_all(record, parts, options.jobs, options.out)
    told = record.as_json()
    print(
        json.dumps({key: told[key] for key in ("bench", "schedules", "crashes", "violations", "cpu_seconds")})
    )
    return 1 if told["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
