"""A run of these tests that is killed leaves nothing that the next one does not clear, and that one only its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from crashed import clear_crashed
from local_ground import settings_of, traces_of

pytestmark = pytest.mark.root

RUN = """
import asyncio, subprocess, sys, time
from pathlib import Path
from local_ground import make_ground, request
ground = make_ground(Path(sys.argv[1]), 8)
asyncio.run(ground.site.prepare())
asyncio.run(ground.provider.launch(request()))
where = ("ip", "-n", ground.settings.netns, "link")
subprocess.run([*where, "add", "stranger", "type", "veth", "peer", "name", "far"], check=True)
subprocess.run([*where, "set", "stranger", "master", "br0"], check=True)
print("there", flush=True)
time.sleep(600)
"""


def test_what_a_killed_run_left_is_cleared_and_nothing_of_one_that_runs(tmp_path: Path) -> None:
    temporary = tmp_path / "pytest-of-root"
    path = os.pathsep.join(entry for entry in sys.path if entry)
    homes = {name: temporary / "pytest-0" / f"test-{name}" for name in ("killed", "running")}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, str(folder)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        for name, folder in homes.items()
    ]
    settings = [
        settings_of(run.pid, 8, folder / "home") for run, folder in zip(runs, homes.values(), strict=True)
    ]
    try:
        for run in runs:
            assert run.stdout is not None
            assert run.stdout.readline() == b"there\n"
        runs[0].kill()
        runs[0].wait()
        assert clear_crashed(temporary) == (settings[0].name,)
        assert traces_of(settings[0]) == {}
        assert {"links", "mounts", "cgroups", "programs"} <= traces_of(settings[1]).keys()
    finally:
        for run in runs:
            run.kill()
            run.wait()
        clear_crashed(temporary)
    assert traces_of(settings[1]) == {}


def test_a_cluster_of_somebodys_that_only_has_such_a_name_is_left_alone(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    namespace = f"risen-t{gone.pid}-1"
    where = ("ip", "-n", namespace, "link")
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    try:
        subprocess.run([*where, "add", "br0", "type", "bridge"], check=True)
        subprocess.run([*where, "set", "br0", "alias", "risen somebody's"], check=True)
        assert clear_crashed(tmp_path) == ()
        assert subprocess.run([*where, "show", "br0"], check=False, capture_output=True).returncode == 0
    finally:
        subprocess.run(["ip", "netns", "del", namespace], check=True)
