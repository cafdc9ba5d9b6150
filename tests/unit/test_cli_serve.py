"""`risen serve` at its start."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from risen.adapters.local.heartbeat import Heartbeat
from risen.cli.serve import COLLECT_EVERY, _until_stopped, serve


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
