"""What became of each real-cluster test, kept with the code it ran on: the whole of `make e2e` takes hours.

A record is added to test by test, so what a killed run saw is not lost. With `--left`, files that have passed whole
on today's code are left out; the files of the one cluster's story count as one.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = "tests/e2e"
CODE = ("src", HERE, ":(exclude)src/risen/sim")
"""The files that decide whether a test would see the same again. Other tests' files do not, nor does the simulator,
which takes no part in a real cluster."""
CHANGED = "changed"
"""Of code that is not committed: what ran on it counts for nothing later."""


@dataclass(frozen=True)
class Kept:
    """One test's last run. `code` is what `code_now` said."""

    outcome: str
    seconds: float
    commit: str
    code: str
    date: str
    machine: str


def git(*words: str, root: Path = ROOT) -> str:
    """What git answers about a checkout. Raises CalledProcessError."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def code_now(file: str, root: Path = ROOT) -> str:
    """A digest of what a test file runs on: the product, what the tests share, and the file itself; or `CHANGED`."""
    if git("status", "--porcelain", "--", *CODE, root=root):
        return CHANGED
    entries = git("ls-files", "--stage", "--", *CODE, root=root).splitlines()
    other_tests = f"\t{HERE}/test_"
    counted = [entry for entry in entries if other_tests not in entry or entry.endswith(f"/{file}")]
    return hashlib.sha256("\n".join(counted).encode()).hexdigest()[:12]


def read(path: Path) -> dict[str, Kept]:
    """By test; empty where there is no record yet. Raises ValueError on what is none."""
    if not path.exists():
        return {}
    return {test: Kept(**kept) for test, kept in json.loads(path.read_text()).items()}


def write(path: Path, kept: dict[str, Kept]) -> None:
    """The whole record, in place at once: a killed run leaves the old or the new one."""
    plain = {test: asdict(one) for test, one in sorted(kept.items())}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
    new.replace(path)


def not_yet_passed(
    groups: Iterable[list[str]], kept: dict[str, Kept], code_of: Callable[[str], str]
) -> set[str]:
    """The tests of all groups of which one at least has not passed on today's code. `code_of` takes a file's name."""

    def passed(test: str) -> bool:
        one = kept.get(test)
        return one is not None and one.outcome == "passed" and one.code == code_of(file_of(test)) != CHANGED

    return {test for group in groups if not all(map(passed, group)) for test in group}


def file_of(test: str) -> str:
    """The file's name in a node id of pytest's."""
    return test.partition("::")[0].rpartition("/")[2]


class RecordKeeper:
    """A pytest plugin: notes each test's end in the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._commit = git("rev-parse", "HEAD")
        self._code: dict[str, str] = {}
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What they run on is what there is now, not what may be there when they end."""
        self._code = {file: code_now(file) for file in {file_of(item.nodeid) for item in session.items}}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test counts as passed when set-up, call and tear-down did."""
        test = report.nodeid
        self._seconds[test] = self._seconds.get(test, 0.0) + report.duration
        if not report.passed:
            self._failed.add(test)
        if report.when == "teardown":
            write(self._path, {**read(self._path), test: self._kept(test)})

    def _kept(self, test: str) -> Kept:
        return Kept(
            outcome="failed" if test in self._failed else "passed",
            seconds=round(self._seconds[test], 1),
            commit=self._commit,
            code=self._code[file_of(test)],
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            machine=f"{os.cpu_count()} CPU, Linux {platform.release()}",
        )
