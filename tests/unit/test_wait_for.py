"""What the scripts on an instance wait with, run by a shell."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import risen.instance

LIBRARY = Path(risen.instance.__file__).parent / "files" / "wait-for"


def waited(bound: int, command: str, folder: Path) -> tuple[int, int, float]:
    """Exit status, how often the command was asked, and seconds."""
    script = f'set -eu; . "{LIBRARY}"; ask() {{ echo asked >> "{folder}/asked"; {command}; }}; wait_for {bound} ask'
    began = time.monotonic()
    done = subprocess.run(("sh", "-c", script), check=False)
    return done.returncode, len((folder / "asked").read_text().split()), time.monotonic() - began


def test_what_succeeds_at_once_is_asked_once(tmp_path: Path) -> None:
    assert waited(60, "true", tmp_path)[:2] == (0, 1)


def test_it_waits_until_the_command_succeeds(tmp_path: Path) -> None:
    assert waited(60, f'[ "$(wc -l < "{tmp_path}/asked")" -ge 3 ]', tmp_path)[:2] == (0, 3)


def test_it_fails_once_the_time_is_over_however_long_each_try_takes(tmp_path: Path) -> None:
    status, asked, seconds = waited(1, "sleep 0.5; false", tmp_path)
    assert status == 1
    assert asked <= 5 and seconds >= 0.9
