"""What a launcher asks systemd for, where systemd is slow or knows nothing of the unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from risen.adapters.local.host import run
from risen.adapters.local.launcher import SystemdLauncher
from risen.interfaces.errors import OutcomeUnknown


def systemctl(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `systemctl` of this host that runs `script`."""
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_systemd_that_is_too_slow_to_stop_a_unit_leaves_its_outcome_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl(tmp_path, "exec sleep 60", monkeypatch)
    with pytest.raises(OutcomeUnknown, match=r"systemctl stop risen-dev\.w-a\.service: no end within 0\.2 s"):
        SystemdLauncher("dev", stop_seconds=0.2).halt("w-a")


def test_a_unit_that_systemd_does_not_know_is_as_good_as_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl(tmp_path, f'echo "$*" > {tmp_path}/asked; exit 5', monkeypatch)
    SystemdLauncher("dev").halt("w-a")
    assert (tmp_path / "asked").read_text() == "stop risen-dev.w-a.service\n"


def test_a_program_of_the_host_that_is_too_slow_leaves_its_outcome_unknown() -> None:
    with pytest.raises(OutcomeUnknown, match=r"sleep 60: no end within 0\.2 s"):
        run(["sleep", "60"], timeout_seconds=0.2)
