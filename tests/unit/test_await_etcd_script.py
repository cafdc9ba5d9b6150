"""What holds the API server back until the instance's own etcd member serves, run with a curl of the test's."""

from __future__ import annotations

import os
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

SCRIPT = files("risen.instance").joinpath("files", "await-etcd")
SERVES, TIMED_OUT, REFUSED = 0, 28, 22
"""Exit statuses of curl(1); a learner's refusal is an HTTP error."""


class Member:
    """A root with a data directory, and programs on the path that answer as told and note what was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.snapshots = folder / "var/lib/etcd/member/snap"
        self.snapshots.mkdir(parents=True)
        (folder / "var/lib/risen").mkdir()
        self._programs = folder / "programs"
        self._programs.mkdir()
        self._write("systemctl", f'echo "$*" >> {folder}/asked-systemd')
        self._write("sleep", "exit 0")

    def awaited(self, *curl_statuses: int) -> list[str]:
        """Run the script against a curl that ends with these, one after the other; what systemd was asked."""
        plan = self.folder / "plan"
        plan.write_text("".join(f"{status}\n" for status in curl_statuses))
        self._write("curl", f"status=$(head -n 1 {plan}); sed -i 1d {plan}; exit $status")
        environment = {
            **os.environ,
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "RISEN_ROOT": str(self.folder),
        }
        subprocess.run(["sh", str(SCRIPT)], env=environment, check=True, timeout=30)
        assert plan.read_text() == "", "it did not ask as often as it should"
        asked = self.folder / "asked-systemd"
        return asked.read_text().splitlines() if asked.exists() else []

    def _write(self, name: str, body: str) -> None:
        program = self._programs / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)


@pytest.fixture
def member(tmp_path: Path) -> Member:
    return Member(tmp_path)


def test_a_member_that_took_a_snapshot_and_does_not_serve_is_started_again_once(member: Member) -> None:
    (member.snapshots / "0000000000000002-00000000000008b0.snap").touch()
    assert member.awaited(REFUSED, TIMED_OUT, TIMED_OUT, TIMED_OUT, SERVES) == [
        "kill --signal=TERM etcd.service"
    ]


def test_a_member_that_never_took_one_is_let_be(member: Member) -> None:
    assert member.awaited(TIMED_OUT, TIMED_OUT, SERVES) == []


def test_a_member_that_still_takes_one_is_let_be(member: Member) -> None:
    (member.snapshots / "0000000000000002-00000000000008b0.snap").touch()
    (member.snapshots / "00000000000008b0.snap.db").touch()
    assert member.awaited(TIMED_OUT, SERVES) == []


def test_a_learner_that_serves_and_refuses_reads_is_let_be(member: Member) -> None:
    (member.snapshots / "0000000000000002-00000000000008b0.snap").touch()
    assert member.awaited(REFUSED, REFUSED, SERVES) == []


def test_at_a_later_boot_a_member_that_waits_for_the_others_is_let_be(member: Member) -> None:
    assert member.awaited(SERVES) == []
    (member.snapshots / "0000000000000002-00000000000008b0.snap").touch()
    assert member.awaited(TIMED_OUT, SERVES) == []
