"""A controller is started so that it outlives its caller; how one that failed is known."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from risen.adapters.local.controller import (
    LOG_KEPT_BYTES,
    LOG_LIMIT_BYTES,
    DetachedController,
    bound_log,
    start_detached,
    unit_seen,
)


def until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 30
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def end(controller: DetachedController) -> None:
    controller.process.kill()
    controller.process.wait()


def test_a_detached_one_has_a_session_of_its_own_and_its_words_are_added_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    controller = start_detached(("/bin/sh", "-c", "pwd; exec sleep 900"), log)
    try:
        assert until(lambda: log.read_text() == "before\n/\n")
        assert os.getsid(controller.process.pid) == controller.process.pid != os.getsid(0)
        assert not controller.ended()
    finally:
        end(controller)
    assert controller.ended()


def test_of_two_detached_ones_the_one_that_does_not_lead_ends(tmp_path: Path) -> None:
    leads, other = (start_detached(("/bin/sleep", "900"), tmp_path / "log") for _ in range(2))
    leader = f"host {leads.process.pid} 3 0.5"
    try:
        for one in (leads, other):
            one.yield_to(leader)
        assert other.process.wait(30) != 0
        assert not leads.ended()
    finally:
        end(leads)
        end(other)


@pytest.mark.parametrize(
    ("shown", "off", "restarts"),
    [
        ("ActiveState=inactive\nSubState=dead\nNRestarts=0\nJob=812\n", False, 0),
        ("ActiveState=inactive\nSubState=dead\nNRestarts=0\n", True, 0),
        ("ActiveState=activating\nSubState=start-pre\nNRestarts=2\nJob=0\n", False, 2),
        ("NRestarts=0\nSubState=failed\nActiveState=failed\nJob=\n", True, 0),
        ("NRestarts=1\nSubState=running\nActiveState=active\n", False, 1),
    ],
    ids=["start queued", "never started", "started again", "failed", "runs"],
)
def test_a_unit_is_off_only_when_it_neither_runs_nor_is_about_to(
    shown: str, off: bool, restarts: int
) -> None:
    seen = unit_seen(shown)
    assert (seen.off, seen.restarts) == (off, restarts)


@pytest.mark.parametrize(("state", "fell"), [("auto-restart", True), ("start-pre", False), ("start", False)])
def test_of_units_on_their_way_only_one_that_failed_and_waits_has_fallen(state: str, fell: bool) -> None:
    shown = f"ActiveState=activating\nSubState={state}\nNRestarts=1\nJob=\n"
    assert (unit_seen(shown).off, unit_seen(shown).fell) == (False, fell)


def test_a_log_that_has_grown_too_long_keeps_the_lines_at_its_end_and_is_added_to(tmp_path: Path) -> None:
    log = tmp_path / "controller.log"
    bound_log(log)
    with log.open("ab", buffering=0) as writer:
        writer.write(b"".join(b"%099d\n" % number for number in range(LOG_LIMIT_BYTES // 100)))
        bound_log(log)
        whole = log.stat().st_size
        writer.write(b"the last\n" * 10)
        bound_log(log)
        writer.write(b"and one more\n")
    lines = log.read_bytes().splitlines()
    assert whole > LOG_KEPT_BYTES >= log.stat().st_size - 100
    assert (len(lines[0]), lines[-2:]) == (99, [b"the last", b"and one more"])
