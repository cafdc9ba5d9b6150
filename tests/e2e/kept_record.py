"""What became of each real-cluster test, kept with the code it ran on: the whole of `make e2e` takes hours.

A record is added to test by test, so what a killed run saw is not lost. With `--left`, files that have passed whole
on today's code are left out; the files of the one cluster's story count as one.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ("src", "tests/e2e")
"""The folders whose contents decide whether a test would see the same again."""
CHANGED = "changed"
"""Of code that is not committed: what ran on it counts for nothing later."""


@dataclass(frozen=True)
class Kept:
    """One test's last run. `code` is git's name of the contents of `CODE`, or `CHANGED`."""

    outcome: str
    seconds: float
    commit: str
    code: str
    date: str
    machine: str


def git(*words: str) -> str:
    """What git answers about the checkout. Raises CalledProcessError."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def code_now() -> str:
    """git's names of the trees in `CODE`, in short, or `CHANGED`."""
    if git("status", "--porcelain", "--", *CODE):
        return CHANGED
    return " ".join(git("rev-parse", "--short=12", f"HEAD:{folder}") for folder in CODE)


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


def not_yet_passed(groups: Iterable[list[str]], kept: dict[str, Kept], code: str) -> set[str]:
    """The tests of all groups of which one at least has not passed on this code."""

    def passed(test: str) -> bool:
        one = kept.get(test)
        return one is not None and one.outcome == "passed" and one.code == code != CHANGED

    return {test for group in groups if not all(map(passed, group)) for test in group}


class RecordKeeper:
    """A pytest plugin: notes each test's end in the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._code, self._commit = code_now(), git("rev-parse", "HEAD")
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()

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
            code=self._code,
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            machine=f"{os.cpu_count()} CPU, Linux {platform.release()}",
        )
