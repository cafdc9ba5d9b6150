"""The launcher's other half, where systemd is process 1: stops in order, and the unit that starts at boot.

Elsewhere these are no tests at all: the launcher that such hosts use is held by the other files.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from local_ground import Ground, end_ground, make_ground, request, until

from risen.adapters.local.boot_unit import LIBRARY, UNITS
from risen.adapters.local.haproxy import ask
from risen.adapters.local.host import is_systemd_host
from risen.adapters.local.site import LocalSite
from risen.core.names import InstanceName
from risen.core.picture import InstanceState
from risen.interfaces.errors import InterfaceError

NAME = InstanceName("worker-bcdfg")


def out(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def answers(ground: Ground) -> bool:
    try:
        return ask(ground.settings, "show info") != ""
    except InterfaceError:
        return False


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    ground = make_ground(tmp_path, 7)
    await ground.site.prepare()
    yield ground
    await end_ground(ground.settings)


if is_systemd_host():

    @pytest.mark.root
    async def test_a_unit_stopped_by_systemd_powers_its_machine_off_in_order(ground: Ground) -> None:
        await ground.provider.launch(request())
        assert until(lambda: ground.proof(NAME) == ["up"])
        await asyncio.to_thread(out, "systemctl", "stop", f"risen-{ground.settings.name}.{NAME}.service")
        state = (await ground.provider.get(NAME)).state
        assert (state, ground.proof(NAME)) == (InstanceState.STOPPED, ["up", "stopping"])

    @pytest.mark.root
    async def test_a_boot_unit_is_wanted_outside_of_etc_and_removed_with_the_site(ground: Ground) -> None:
        command, before = ("/bin/echo", "$HOME", "50%"), (LIBRARY / "systemd").exists()
        await LocalSite(replace(ground.settings, boot_command=command)).prepare()
        unit = f"{ground.settings.netns}.service"
        wanted_by = out("systemctl", "show", "-p", "WantedBy", "--value", unit)
        await asyncio.to_thread(out, "systemctl", "start", unit)
        await LocalSite(replace(ground.settings, boot_command=command)).clear()
        assert (wanted_by, (UNITS / unit).exists()) == ("multi-user.target", False)
        assert (LIBRARY / "systemd").exists() == before

    @pytest.mark.root
    async def test_the_controller_is_started_as_its_unit_and_one_that_fails_is_told(
        ground: Ground, tmp_path: Path
    ) -> None:
        unit = f"{ground.settings.netns}.service"
        serves = '[ "$0" != serve ] || exec sleep 900'
        ends = LocalSite(replace(ground.settings, boot_command=("/bin/sh", "-c", "exit 3")))
        lives = LocalSite(replace(ground.settings, boot_command=("/bin/sh", "-c", serves)))
        failing = ends.start_controller(tmp_path / "log")
        assert until(failing.ended)
        assert until(lambda: out("systemctl", "show", "-p", "SubState", "--value", unit) == "auto-restart")
        living = lives.start_controller(tmp_path / "log")
        assert until(lambda: out("systemctl", "show", "-p", "SubState", "--value", unit) == "running")
        pid = out("systemctl", "show", "-p", "MainPID", "--value", unit)
        assert not living.ended()
        out("kill", "-9", pid)
        assert until(living.ended)
        assert until(lambda: out("systemctl", "show", "-p", "MainPID", "--value", unit) not in ("0", pid))

    @pytest.mark.root
    async def test_a_dead_haproxy_is_started_again_by_systemd_itself(ground: Ground) -> None:
        unit = f"risen-{ground.settings.name}._endpoint.service"
        before = out("systemctl", "show", "-p", "MainPID", "--value", unit)
        out("kill", "-9", before)
        show = ("systemctl", "show", "-p", "MainPID", "--value", unit)
        assert until(lambda: out(*show) not in ("0", before) and answers(ground))
        assert await ground.endpoint.list() == ()
