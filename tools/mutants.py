"""Puts each bug of tests/mutants/mutants.toml alone into a copy of the code, and says which tests catch it.

    python tools/mutants.py [--jobs N] [--only WORD] [--out FILE]

Runs the tests of the rules, of safety and of the engine, then the simulator where the bug names a scenario. The test
that caught a bug when FILE was last written is tried alone first. Never touches the checkout. Exit status 1 when a
bug survives both, or when the code without a bug does not pass.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from risen import __version__
from risen.sim.soak import commit_of

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
MUTANTS = ROOT / "tests" / "mutants" / "mutants.toml"
TESTS = (
    *(
        "tests/scenarios",
        "tests/unit/test_rules_*.py",
        "tests/unit/test_safety*.py",
        "tests/unit/test_judge*.py",
    ),
    *("tests/unit/test_fold.py", "tests/unit/test_engine_*.py", "tests/unit/test_kubernetes_*.py"),
    *("tests/sim/test_engine_*.py", "tests/unit/test_sim_truth.py"),
)
SEEDS = 4
BOUND_SECONDS = 240
"""What does not end within it counts as caught: the code as it is needs a tenth."""
FAILED = 1
"""Exit status of pytest, and of the simulator, when what ran has failed; others mean that it could not run."""
OF_THE_COPY = "import risen, sys; risen.__file__.startswith(sys.argv[1]) or sys.exit(3); "
PYTEST = OF_THE_COPY + "import pytest; sys.exit(pytest.main(sys.argv[2:]))"
SIMULATE = OF_THE_COPY + (
    "from risen.sim.soak import Part, soak; _, outcome = soak(Part(sys.argv[2], False, 1, int(sys.argv[3]))); "
    "wrong = [one for failure in outcome.failures for one in failure['wrong']]; "
    "print(*wrong[:1]); sys.exit(1 if wrong else 0)"
)


@dataclass(frozen=True)
class Mutant:
    """One bug: `old`, which stands once in `file`, is replaced by `new`. `scenario` is empty where none shows it."""

    bug: str
    file: str
    old: str
    new: str
    scenario: str = ""

    def of(self, text: str) -> str:
        """The file's text with the bug. Raises ValueError unless `old` stands there exactly once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.bug}: its text stands {text.count(self.old)} times in {self.file}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Fate:
    """By what a mutant was caught: the test that failed first, what the simulator found wrong; empty if not."""

    bug: str
    test: str
    simulator: str
    seconds: float

    @property
    def survives(self) -> bool:
        """Whether nothing caught it."""
        return not self.test and not self.simulator


class CouldNotRun(Exception):
    """Tests ended in another way than by passing or failing."""


def mutants() -> tuple[Mutant, ...]:
    """All of them, in the file's order."""
    return tuple(Mutant(**one) for one in tomllib.loads(MUTANTS.read_text())["mutant"])


@dataclass(frozen=True)
class Copy:
    """A copy of code and tests that bugs are put into, one at a time."""

    folder: Path
    likely: Mapping[str, str] = field(default_factory=dict)
    """By bug, the test that caught it before: tried alone first, for all of them take ten times as long to begin."""

    @staticmethod
    def make(folder: Path, likely: Mapping[str, str]) -> Copy:
        """What the tests need of the checkout."""
        ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
        for part in ("src", "tests"):
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", folder)
        subprocess.run([sys.executable, "-m", "compileall", "-q", "src", "tests"], cwd=folder, check=True)
        return Copy(folder, likely)

    def fate_of(self, mutant: Mutant) -> Fate:
        """Put it in, run, take it out. Its compiled file goes for good: two texts may be of one size and second."""
        began, file = time.monotonic(), self.folder / mutant.file
        text = file.read_text()
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            compiled.unlink()
        file.write_text(mutant.of(text))
        try:
            test = self.likely_test(mutant.bug) or self.failing_test()
            simulator = self.violation(mutant.scenario)
        finally:
            file.write_text(text)
        return Fate(mutant.bug, test, simulator, time.monotonic() - began)

    def failing_test(self) -> str:
        """The first test that fails; empty when all pass."""
        return self._pytest(
            *(str(path.relative_to(self.folder)) for name in TESTS for path in sorted(self.folder.glob(name)))
        )

    def likely_test(self, bug: str) -> str:
        """The test that caught it before, when it fails again; empty when it passes or is there no more."""
        known = self.likely.get(bug, "")
        if not (self.folder / known.partition("::")[0]).is_file():
            return ""
        try:
            return self._pytest(known)
        except CouldNotRun:
            return ""

    def _pytest(self, *chosen: str) -> str:
        options = [
            "-q",
            "-x",
            "--no-header",
            "-p",
            "no:cacheprovider",
            "-m",
            "not root and not sim",
        ]
        said = self._run(PYTEST, *options, *chosen)
        failed = (line for line in said.splitlines() if line.startswith(("FAILED ", "does not end")))
        return next(failed, said and "failed").removeprefix("FAILED ").partition(" - ")[0]

    def violation(self, scenario: str) -> str:
        """What the simulator finds wrong; empty when nothing is, or when there is no scenario."""
        if not scenario:
            return ""
        said = self._run(SIMULATE, scenario, str(SEEDS)).strip().splitlines()
        return f"{scenario}: {said[-1]}" if said else ""

    def _run(self, program: str, *words: str) -> str:
        """What is said by a run that fails; empty for one that passes. Raises CouldNotRun."""
        env = {**os.environ, "PYTHONPATH": str(self.folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [sys.executable, "-c", program, str(self.folder), *words]
        try:
            done = subprocess.run(
                argv,
                cwd=self.folder,
                env=env,
                capture_output=True,
                text=True,
                timeout=BOUND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "does not end"
        if done.returncode not in (0, FAILED):
            raise CouldNotRun(f"exit status {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
        return (done.stdout + done.stderr[-500:]) if done.returncode else ""


def caught_before(record: Path | None) -> Mapping[str, str]:
    """By bug, the test that caught it according to an earlier record; empty where there is none."""
    if record is None or not record.exists():
        return {}
    fates = json.loads(record.read_text())["fates"]
    return {bug: fate["test"] for bug, fate in fates.items() if "::" in fate["test"]}


def fates_of(chosen: Sequence[Mutant], jobs: int, folder: Path, likely: Mapping[str, str]) -> list[Fate]:
    """Each bug's fate, in their order, told as they come. Raises CouldNotRun when the code as it is fails."""
    copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    for number in range(jobs):
        copies.put(Copy.make(folder / str(number), likely))

    def with_copy(run: Callable[[Copy], T]) -> T:
        copy = copies.get()
        try:
            return run(copy)
        finally:
            copies.put(copy)

    def told(mutant: Mutant) -> Fate:
        fate = with_copy(lambda copy: copy.fate_of(mutant))
        print(line_of(fate), flush=True)
        return fate

    scenarios = sorted({one.scenario for one in chosen})
    with ThreadPoolExecutor(jobs) as pool:
        calm = pool.map(lambda name: with_copy(lambda copy: copy.violation(name)), scenarios)
        wrong = with_copy(Copy.failing_test) or next(filter(None, calm), "")
        if wrong:
            raise CouldNotRun(f"without any bug: {wrong}")
        return list(pool.map(told, chosen))


def line_of(fate: Fate) -> str:
    """A row of the table: the bug, the first test that catches it, what the simulator says of it."""
    test = fate.test.rpartition("::")[2] or "-"
    verdict = "SURVIVES" if fate.survives else "caught"
    return f"{verdict:8}  {fate.bug:62}  {fate.seconds:4.0f} s  {test[:70]:70}  {fate.simulator[:110] or '-'}"


def record_of(fates: Sequence[Fate], seconds: float) -> Mapping[str, Any]:
    """The bench record's shape, as a soak's."""
    return {
        "bench": "mutants",
        "commit": commit_of(Path(__file__).resolve()),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"python": platform.python_version(), "system": platform.platform()},
        "versions": {"risen": __version__},
        "mutants": len(fates),
        "caught_by_tests": sum(1 for fate in fates if fate.test),
        "caught_by_simulator": sum(1 for fate in fates if fate.simulator),
        "survivors": [fate.bug for fate in fates if fate.survives],
        "seconds": round(seconds, 1),
        "fates": {fate.bug: {"test": fate.test, "simulator": fate.simulator} for fate in fates},
        "figures": {},
    }


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="how many at a time")
    parser.add_argument(
        "--only", action="append", help="bugs that have this in their name; may be given again"
    )
    parser.add_argument("--out", type=Path, help="where the record goes, as JSON")
    asked = parser.parse_args(arguments)
    chosen = [one for one in mutants() if any(word in one.bug for word in asked.only or [""])]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        fates = fates_of(chosen, max(1, asked.jobs), Path(folder), caught_before(asked.out))
    record = record_of(fates, time.monotonic() - began)
    if asked.out is not None:
        asked.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    survivors = record["survivors"]
    print(
        f"{len(fates)} bugs in {record['seconds']:.0f} s: {record['caught_by_tests']} caught by tests, "
        f"{record['caught_by_simulator']} by the simulator, {len(survivors)} by none"
    )
    return 1 if survivors or not fates else 0


if __name__ == "__main__":
    sys.exit(main())
