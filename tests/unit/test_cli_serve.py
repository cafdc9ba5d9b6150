"""`risen serve` at its start."""

from __future__ import annotations

import gc
from pathlib import Path

from click.testing import CliRunner

from risen.cli.serve import COLLECT_EVERY, serve


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
