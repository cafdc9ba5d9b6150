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
from pathlib import Path

import pytest
from local_ground import Ground, end_ground, host_values, make_ground, request, traces_of

from risen.adapters.local import cgroups
from risen.adapters.local.records import request_digest
from risen.adapters.local.settings import provider_id
from risen.core.names import InstanceName
from risen.core.picture import InstanceState

pytestmark = pytest.mark.root
NAME = InstanceName("worker-bcdfg")
MOST_EFFECTS = 120
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
    await end_ground(ground)


@EACH
async def test_a_launch_killed_anywhere_and_repeated_gives_the_one_instance(
    ground: Ground, every: int
) -> None:
    await ground.site.prepare()
    clean = traces_of(ground)
    for deadly in range(1, MOST_EFFECTS, every):
        wanted = request(f"worker-{deadly:05d}")
        killed = await asyncio.to_thread(run_victim, ground, "launch", deadly, wanted)
        seen = await ground.provider.list()
        assert {one.state for one in seen.instances} <= {
            InstanceState.STARTING, InstanceState.RUNNING, InstanceState.STOPPED,
        }  # fmt: skip
        identity = await ground.provider.launch(wanted)
        inits = cgroups.inits(ground.group(wanted.instance))
        await ground.provider.destroy(identity)
        expected = provider_id(ground.settings.name, wanted.instance, request_digest(wanted)[:12])
        assert (identity, len(inits), traces_of(ground)) == (expected, 1, clean)
        if not killed:
            return
    pytest.fail(f"more than {MOST_EFFECTS} side effects")


@EACH
async def test_a_destroy_killed_anywhere_and_repeated_leaves_nothing(ground: Ground, every: int) -> None:
    await ground.site.prepare()
    clean = traces_of(ground)
    for deadly in range(1, MOST_EFFECTS, every):
        wanted = request(f"worker-{deadly:05d}")
        identity = await ground.provider.launch(wanted)
        killed = await asyncio.to_thread(run_victim, ground, "destroy", deadly, identity)
        await ground.provider.destroy(identity)
        state = (await ground.provider.get(wanted.instance)).state
        assert (state, traces_of(ground)) == (InstanceState.GONE, clean)
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
        assert (traces_of(ground), host_values()) == ({}, before)
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
        assert (traces_of(ground), host_values()) == ({}, before)
        if not killed:
            return
    pytest.fail(f"more than {MOST_EFFECTS} side effects")
