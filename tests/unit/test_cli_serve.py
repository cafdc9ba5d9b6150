"""`risen serve` at its start."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from click.testing import CliRunner

from risen.adapters.local.heartbeat import Heartbeat
from risen.cli.serve import COLLECT_EVERY, _ended_early, _note, _until_stopped, serve


def test_the_controller_collects_garbage_as_often_as_python_does_though_short_commands_do_not(
    tmp_path: Path,
) -> None:
    before = gc.get_threshold()
    gc.set_threshold(50_000)
    try:
        done = CliRunner().invoke(serve, ["-c", "nobody"], env={"RISEN_HOME": str(tmp_path)})
        assert done.exit_code == 1
        assert gc.get_threshold() == COLLECT_EVERY
    finally:
        gc.set_threshold(*before)


class ThreeCycles:
    """An engine that asks before each cycle whether it is to stop."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self.stopping, self.cycles = stopping, 0

    async def keep(self, stop: Callable[[], bool]) -> None:
        while not stop():
            self.cycles += 1
            if self.cycles == 3:
                self.stopping.set()


async def test_the_controller_shows_a_sign_of_life_before_each_cycle() -> None:
    stopping, beats = asyncio.Event(), []
    engine = ThreeCycles(stopping)
    await _until_stopped(engine, lambda: beats.append(engine.cycles), stopping)  # type: ignore[arg-type]
    assert beats == [0, 1, 2, 3]


def test_a_sign_of_life_is_the_time_of_a_file(tmp_path: Path) -> None:
    heart = Heartbeat(tmp_path / "run" / "controller")
    assert heart.seen_unix() is None
    heart.beat()
    os.utime(heart.file, (1000.0, 1000.0))
    assert heart.seen_unix() == 1000.0
    heart.beat()
    assert (heart.seen_unix() or 0.0) > 1000.0


def test_a_controller_that_cannot_show_it_goes_on(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("no folder")
    heart = Heartbeat(tmp_path / "run" / "controller")
    heart.beat()
    assert heart.seen_unix() is None


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Under the log: nothing that is written there is taken."""
    # The last line's rest is not taken either, at the end.
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as log, contextlib.redirect_stdout(log):
        yield


def test_a_log_line_that_cannot_be_written_is_dropped() -> None:
    written = 0
    with full_disk():
        for number in range(200):
            _note(f"line {number} of a long night")
            written += 1
    assert written == 200


async def test_a_duty_that_ended_ends_the_controller_whatever_becomes_of_its_line() -> None:
    stopping, faults = asyncio.Event(), list[str]()

    async def fail() -> None:
        raise OSError(28, "No space left on device")

    duty = asyncio.create_task(fail())
    await asyncio.wait({duty})
    with full_disk():
        _ended_early(stopping, faults, duty)
    assert stopping.is_set()
    assert "No space left" in faults[0]
