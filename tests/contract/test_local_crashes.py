"""Risen killed before every single thing it does to the host, and run again: it carries on, and nothing is left.

The victim is another Python that SIGKILLs itself at its k-th side effect (a program started, a file renamed or
removed, a folder made); k goes up until it ends by itself, so that a new side effect is a new case.
"""

from __future__ import annotations

import asyncio
import base64
import pickle
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from local_ground import Ground, end_ground, host_values, make_ground, request, traces_of

from risen.adapters.local import cgroups
from risen.adapters.local.disk import disk_file
from risen.adapters.local.power import destroy_all, start_all, stop_all
from risen.adapters.local.records import read_record, request_digest, write_record
from risen.adapters.local.settings import provider_id
from risen.core.names import InstanceName, ProviderId
from risen.core.picture import InstanceState

pytestmark = pytest.mark.root
NAME = InstanceName("worker-bcdfg")
MOST_EFFECTS = 120
BEGUN = (InstanceState.STARTING, InstanceState.RUNNING)
EACH = pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.e2e)], ids=["some", "each"])
"""Every seventh side effect in the contract run, each of them end to end."""

VICTIM = """
import asyncio, base64, os, pickle, signal, sys
sys.path[:0] = pickle.loads(base64.b64decode(sys.argv[1]))
from risen.adapters.local.provider import LocalProvider
from risen.adapters.local.site import LocalSite
act, deadly, settings, images, argument = pickle.loads(base64.b64decode(sys.argv[2]))
count = 0
def count_effects(event, arguments):
    global count
    if event in ("subprocess.Popen", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"):
        count += 1
        if count == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
owner = LocalSite(settings) if act in ("prepare", "clear") else LocalProvider(settings, images)
sys.addaudithook(count_effects)
asyncio.run(getattr(owner, act)(*argument))
"""


def run_victim(ground: Ground, act: str, deadly: int, *argument: object) -> bool:
    """Whether it was killed at its `deadly`-th side effect; False when it ended before that."""
    path = base64.b64encode(pickle.dumps([p for p in sys.path if p])).decode()
    value = (act, deadly, ground.settings, ground.provider.images, argument)
    argv = [sys.executable, "-c", VICTIM, path, base64.b64encode(pickle.dumps(value)).decode()]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    ground = make_ground(tmp_path, 6)
    yield ground
    await end_ground(ground.settings)


@EACH
async def test_a_launch_killed_anywhere_and_repeated_gives_the_one_instance(
    ground: Ground, every: int
) -> None:
    await ground.site.prepare()
    clean = traces_of(ground.settings)
    for deadly in range(1, MOST_EFFECTS, every):
        wanted = request(f"worker-{deadly:05d}")
        killed = await asyncio.to_thread(run_victim, ground, "launch", deadly, wanted)
        seen = await ground.provider.get(wanted.instance)
        left = (ground.settings.instances / wanted.instance).exists()
        assert seen.state in ((*BEGUN, InstanceState.UNFINISHED) if left else (InstanceState.GONE,))
        identity = await ground.provider.launch(wanted)
        inits = cgroups.inits(ground.group(wanted.instance))
        await ground.provider.destroy(identity)
        expected = provider_id(ground.settings.name, wanted.instance, request_digest(wanted)[:12])
        assert (identity, len(inits), traces_of(ground.settings)) == (expected, 1, clean)
        assert list(ground.settings.instances.iterdir()) == []
        if not killed:
            return
    pytest.fail(f"more than {MOST_EFFECTS} side effects")


async def half_launched(ground: Ground) -> ProviderId:
    """A launch that was killed when its disk was made and nothing was started."""
    for deadly in range(1, MOST_EFFECTS):
        wanted = request(f"worker-{deadly:05d}")
        assert await asyncio.to_thread(run_victim, ground, "launch", deadly, wanted)
        if disk_file(ground.settings.instances / wanted.instance).exists():
            return (await ground.provider.get(wanted.instance)).provider_id
        await destroy_all(ground.settings.home, ground.settings.name)
    raise AssertionError("no launch leaves a disk")


async def test_half_a_launch_is_stopped_at_once_and_started_like_the_others(ground: Ground) -> None:
    await ground.site.prepare()
    identity = await half_launched(ground)
    home, name = ground.settings.home, ground.settings.name
    (stopped,) = await stop_all(home, name, 5)
    (started,) = await start_all(home, name)
    seen = await ground.provider.get(started.instance)
    assert (stopped.state, stopped.trouble) == (InstanceState.UNFINISHED, "")
    assert (started.state, started.trouble, seen.provider_id) == (InstanceState.RUNNING, "", identity)


async def test_half_a_launch_is_destroyed_without_a_trace(ground: Ground) -> None:
    await ground.site.prepare()
    clean = traces_of(ground.settings)
    await ground.provider.destroy(await half_launched(ground))
    assert (traces_of(ground.settings), list(ground.settings.instances.iterdir())) == (clean, [])


async def test_that_an_instance_runs_whose_launch_was_killed_is_kept_for_when_it_has_stopped(
    ground: Ground,
) -> None:
    await ground.site.prepare()
    await ground.provider.launch(request())
    folder = ground.settings.instances / NAME
    record = read_record(folder)
    assert record is not None and record.starts == 1
    write_record(folder, replace(record, starts=0))
    (seen,) = (await ground.provider.list()).instances
    cgroups.kill(ground.group(NAME), 10)
    assert (seen.state, read_record(folder)) == (InstanceState.RUNNING, record)
    assert (await ground.provider.get(NAME)).state is InstanceState.STOPPED


@EACH
async def test_a_destroy_killed_anywhere_and_repeated_leaves_nothing(ground: Ground, every: int) -> None:
    await ground.site.prepare()
    clean = traces_of(ground.settings)
    for deadly in range(1, MOST_EFFECTS, every):
        wanted = request(f"worker-{deadly:05d}")
        identity = await ground.provider.launch(wanted)
        killed = await asyncio.to_thread(run_victim, ground, "destroy", deadly, identity)
        await ground.provider.destroy(identity)
        state = (await ground.provider.get(wanted.instance)).state
        assert (state, traces_of(ground.settings)) == (InstanceState.GONE, clean)
        assert list(ground.settings.instances.iterdir()) == []
        if not killed:
            return
    pytest.fail(f"more than {MOST_EFFECTS} side effects")


@EACH
@pytest.mark.parametrize("mend", [True, False], ids=["prepared-again", "cleared-at-once"])
async def test_a_prepare_killed_anywhere_is_mended_or_cleared(ground: Ground, mend: bool, every: int) -> None:
    before = host_values()
    for deadly in range(1, MOST_EFFECTS, every):
        killed = await asyncio.to_thread(run_victim, ground, "prepare", deadly)
        if mend:
            await ground.site.prepare()
            assert await ground.endpoint.list() == ()
        await ground.site.clear()
        assert (traces_of(ground.settings), host_values()) == ({}, before)
        if not killed:
            return
    pytest.fail(f"more than {MOST_EFFECTS} side effects")


@EACH
async def test_a_clear_killed_anywhere_and_repeated_leaves_nothing(ground: Ground, every: int) -> None:
    before = host_values()
    for deadly in range(1, MOST_EFFECTS, every):
        await ground.site.prepare()
        killed = await asyncio.to_thread(run_victim, ground, "clear", deadly)
        await ground.site.clear()
        assert (traces_of(ground.settings), host_values()) == ({}, before)
        if not killed:
            return
    pytest.fail(f"more than {MOST_EFFECTS} side effects")
