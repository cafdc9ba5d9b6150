"""The local provider against this host: real systemd machines, each test leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from local_ground import (
    NET,
    Ground,
    end_ground,
    host_values,
    make_ground,
    records_of,
    request,
    traces_of,
    until,
)

from risen.adapters.answer_file import noted
from risen.adapters.local import cgroups
from risen.adapters.local.host import boot_id, boot_seconds, file_lock, memory_mib, mounts_under
from risen.adapters.local.launcher import launcher_for
from risen.adapters.local.power import start_all, stop_all
from risen.adapters.local.provider import LocalProvider
from risen.adapters.local.records import read_record, write_record
from risen.adapters.local.settings import bridge_port
from risen.core.names import ImageDigest, InstanceName, ProviderId
from risen.core.picture import InstanceState
from risen.interfaces.errors import Conflict, Invalid, Later, NoCapacity, NotFound
from risen.interfaces.provider import Provider

pytestmark = pytest.mark.root
NAME = InstanceName("worker-bcdfg")


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    ground = make_ground(tmp_path, 1)
    await ground.site.prepare()
    yield ground
    await end_ground(ground.settings)


def init_of(ground: Ground, name: str = NAME) -> int:
    (pid,) = cgroups.inits(ground.group(name))
    return pid


def program(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def lives(pid: int) -> bool:
    """Whether it runs; one that only waits to be reaped by the host's process 1 does not."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def inside(ground: Ground, *argv: str) -> str:
    entered = ["nsenter", "-t", str(init_of(ground)), "-a", *argv]
    return subprocess.run(entered, capture_output=True, text=True, check=False).stdout.strip()


async def test_a_launched_machine_boots_with_its_name_address_and_seed(ground: Ground) -> None:
    await ground.provider.launch(request(user_data=b"#cloud-config\nx: \xc3\xa9\n"))
    address = ("sh", "-c", "ip -br addr show host0 | grep -o '10[.0-9]*/24'")
    assert until(lambda: ground.proof(NAME) == ["up"] and inside(ground, *address) != "")
    seed = "/var/lib/cloud/seed/nocloud/user-data"
    told = [
        inside(ground, "hostname"),
        inside(ground, *address),
        inside(ground, "ip", "route", "show", "default"),
        inside(ground, "cat", seed),
        inside(ground, "stat", "-c", "%a", seed),
        inside(ground, "sh", "-c", "touch /usr/x 2>/dev/null || echo read-only"),
        inside(ground, "cat", "/run/risen-host/memory"),
    ]
    assert told == [
        NAME,
        f"{NET}.1.10/24",
        f"default via {NET}.1.1 dev host0 proto static",
        "#cloud-config\nx: é",
        "600",
        "read-only",
        f"{memory_mib()}",
    ]


async def test_launching_twice_gives_the_same_instance_and_starts_one_machine(ground: Ground) -> None:
    first, again = await asyncio.gather(ground.provider.launch(request()), ground.provider.launch(request()))
    assert (first, len(cgroups.inits(ground.group(NAME)))) == (again, 1)


async def test_another_request_under_the_same_name_is_refused(ground: Ground) -> None:
    await ground.provider.launch(request())
    with pytest.raises(Invalid, match="launched before"):
        await ground.provider.launch(request(user_data=b"#cloud-config\nother: 1\n"))


async def test_a_launch_of_an_unknown_image_says_not_found_and_adds_nothing(ground: Ground) -> None:
    with pytest.raises(NotFound):
        await ground.provider.launch(replace(request(), image=ImageDigest("sha256:beef")))
    assert (await ground.provider.list()).instances == ()


async def test_user_data_beyond_the_smallest_limit_is_refused(ground: Ground) -> None:
    with pytest.raises(Invalid, match="16384"):
        await ground.provider.launch(request(user_data=b"x" * 16385))


async def test_list_and_get_tell_a_running_instance_with_address_and_boot(ground: Ground) -> None:
    identity = await ground.provider.launch(request())
    listed = await ground.provider.list()
    (seen,) = listed.instances
    assert (seen, listed.host_boot) == (await ground.provider.get(NAME), boot_id())
    assert (seen.provider_id, seen.cluster, seen.state, seen.address, seen.host_boot) == (
        identity, ground.settings.uid, InstanceState.RUNNING, f"{NET}.1.10", boot_id(),
    )  # fmt: skip


async def test_an_instance_never_launched_is_gone(ground: Ground) -> None:
    assert (await ground.provider.get(InstanceName("worker-zzzzz"))).state is InstanceState.GONE


async def test_a_killed_init_is_seen_stopped_and_powered_on_from_its_own_disk(ground: Ground) -> None:
    identity = await ground.provider.launch(request())
    assert until(lambda: ground.proof(NAME) == ["up"])
    os.kill(init_of(ground), signal.SIGKILL)
    assert until(lambda: not cgroups.pids(ground.group(NAME)))
    stopped = await ground.provider.get(NAME)
    await ground.provider.power_on(identity)
    assert until(lambda: ground.proof(NAME) == ["up", "up"])
    assert inside(ground, "cat", "/run/risen-host/memory") == f"{memory_mib()}", (
        "the share it was launched with"
    )
    again = await ground.provider.get(NAME)
    assert (stopped.state, stopped.stopped_at is not None) == (InstanceState.STOPPED, True)
    assert (again.state, again.provider_id, again.address) == (
        InstanceState.RUNNING, identity, stopped.address,
    )  # fmt: skip


async def test_a_killed_nspawn_leaves_the_machine_found_by_its_label(ground: Ground) -> None:
    identity = await ground.provider.launch(request())
    parent = parent_of(init_of(ground))
    os.kill(parent, signal.SIGKILL)
    assert until(lambda: not lives(parent))
    seen = await ground.provider.get(NAME)
    await ground.provider.destroy(identity)
    gone = await ground.provider.get(NAME)
    assert (seen.state in (InstanceState.RUNNING, InstanceState.STOPPED), gone.state) == (
        True, InstanceState.GONE,
    )  # fmt: skip


async def test_the_power_button_stops_units_in_order_before_the_machine_is_off(ground: Ground) -> None:
    identity = await ground.provider.launch(request())
    assert until(lambda: ground.proof(NAME) == ["up"])
    await ground.provider.press_power_button(identity)
    assert until(lambda: not cgroups.pids(ground.group(NAME)))
    assert ((await ground.provider.get(NAME)).state, ground.proof(NAME)) == (
        InstanceState.STOPPED, ["up", "stopping"],
    )  # fmt: skip


async def test_a_pressed_button_is_released_before_the_next_start(ground: Ground) -> None:
    identity = await ground.provider.launch(request())
    assert until(lambda: ground.proof(NAME) == ["up"])
    assert (await ground.provider.get(NAME)).power_pressed_at is None
    await ground.provider.press_power_button(identity)
    seen = await ground.provider.get(NAME)
    since = boot_seconds() - (seen.power_pressed_at or 0.0)
    assert seen.state is InstanceState.STOPPED or 0 <= since < 5
    assert until(lambda: not cgroups.pids(ground.group(NAME)))
    await ground.provider.power_on(identity)
    assert until(lambda: ground.proof(NAME) == ["up", "stopping", "up"])
    assert not (ground.settings.instances / NAME / "button" / "power").exists()


async def test_destroy_leaves_no_trace_but_the_console(ground: Ground) -> None:
    before = traces_of(ground.settings)
    identity = await ground.provider.launch(request())
    assert until(lambda: ground.proof(NAME) == ["up"])
    pids = cgroups.pids(ground.group(NAME))
    await ground.provider.destroy(identity)
    await ground.provider.destroy(identity)
    after = traces_of(ground.settings)
    port = bridge_port(ground.settings.name, NAME)
    links = program("ip", "-n", ground.settings.netns, "link")
    assert after == before
    assert [pid for pid in pids if lives(pid)] == []
    assert (port in links, (ground.settings.instances / NAME).exists()) == (False, False)
    assert b"systemd" in await ground.provider.console(NAME)


async def test_destroying_one_is_whole_while_another_started_later_lives(ground: Ground) -> None:
    first = await ground.provider.launch(request())
    await ground.provider.launch(request("worker-zzzzz"))
    await ground.provider.destroy(first)
    states = {seen.name: seen.state for seen in (await ground.provider.list()).instances}
    assert states == {"worker-zzzzz": InstanceState.RUNNING}


async def test_a_destroyed_name_is_never_launched_again(ground: Ground) -> None:
    identity = await ground.provider.launch(request())
    await ground.provider.destroy(identity)
    with pytest.raises(Invalid, match="destroyed"):
        await ground.provider.launch(request())


async def test_destroy_with_the_id_of_another_launch_touches_nothing(ground: Ground) -> None:
    identity = await ground.provider.launch(request())
    await ground.provider.destroy(ProviderId(identity[:-1] + "?"))
    assert (await ground.provider.get(NAME)).state is InstanceState.RUNNING


async def test_an_id_of_another_cluster_is_refused(ground: Ground) -> None:
    with pytest.raises(Invalid, match="no provider id of cluster"):
        await ground.provider.destroy(ProviderId("risen-local://other/worker-bcdfg/1"))


async def test_a_foreign_link_on_the_bridge_is_listed_and_left_alone(ground: Ground) -> None:
    where = ("ip", "-n", ground.settings.netns, "link")
    program(*where, "add", "vb-stranger", "type", "veth", "peer", "name", "far")
    program(*where, "set", "vb-stranger", "master", "br0")
    listed = await ground.provider.list()
    with pytest.raises(Conflict, match="vb-stranger"):
        await ground.site.clear()
    program(*where, "del", "vb-stranger")
    assert [(seen.name, seen.cluster) for seen in listed.instances] == [("vb-stranger", None)]


async def test_a_machine_whose_folder_was_lost_is_still_listed_by_its_label(ground: Ground) -> None:
    identity = await ground.provider.launch(request())
    record = ground.settings.instances / NAME / "instance.json"
    record.unlink()
    seen = await ground.provider.get(NAME)
    await ground.provider.destroy(identity)
    assert (seen.state, seen.provider_id) == (InstanceState.RUNNING, identity)


async def test_an_address_rests_until_the_range_is_used_up(ground: Ground) -> None:
    first = await ground.provider.launch(request())
    await ground.provider.destroy(first)
    await ground.provider.launch(request("worker-zzzzz"))
    assert records_of(ground, "worker-zzzzz")["address"] == f"{NET}.1.11"


async def test_a_lock_held_by_another_risen_answers_later(ground: Ground) -> None:
    lock = ground.settings.folder / "locks" / f"{NAME}.lock"
    with file_lock(lock), pytest.raises(Later, match="another Risen"), file_lock(lock, 0.1):
        pass
    assert await ground.provider.launch(request())


async def test_a_missing_layer_is_not_found_at_power_on(ground: Ground) -> None:
    identity = await ground.provider.launch(request())
    await stop_all(ground.settings.home, ground.settings.name, 20)
    (layer,) = [Path(path) for path in records_of(ground, NAME)["layers"] if "tiny" not in path]  # type: ignore[attr-defined]
    layer.rename(layer.with_name("moved"))
    with pytest.raises(NotFound, match="bake it again"):
        await ground.provider.power_on(identity)


async def test_a_full_host_is_no_capacity(ground: Ground, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    program("mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small))
    try:
        settings = replace(ground.settings, home=small)
        with pytest.raises(NoCapacity):
            provider = noted(LocalProvider(settings, ground.provider.images), Provider)
            await provider.launch(request())
    finally:
        program("umount", str(small))


async def test_stop_and_start_keep_disk_address_and_id_without_any_store(ground: Ground) -> None:
    identity = await ground.provider.launch(request())
    assert until(lambda: ground.proof(NAME) == ["up"])
    stopped = await stop_all(ground.settings.home, ground.settings.name, 20)
    unmounted = not (ground.settings.instances / NAME / "disk" / "etcd").exists()
    started = await start_all(ground.settings.home, ground.settings.name)
    assert until(lambda: ground.proof(NAME) == ["up", "stopping", "up"])
    assert ([one.state for one in stopped], unmounted) == ([InstanceState.STOPPED], True)
    assert ([(one.state, one.trouble) for one in started], (await ground.provider.get(NAME)).provider_id) == (
        [(InstanceState.RUNNING, "")], identity,
    )  # fmt: skip


def cut_power(ground: Ground) -> None:
    """What a power cut leaves: disks, and nothing else."""
    launcher = launcher_for(ground.settings.name)
    for unit in launcher.units():
        cgroups.kill(launcher.group(unit), 10)
        launcher.clear(unit)
    for point in mounts_under(ground.settings.instances / NAME):
        program("umount", point)
    program("ip", "netns", "del", ground.settings.netns)
    program("rm", "-rf", str(ground.settings.runtime))


async def test_after_a_power_cut_start_alone_brings_the_same_instance_back(ground: Ground) -> None:
    identity = await ground.provider.launch(request())
    assert until(lambda: ground.proof(NAME) == ["up"])
    await asyncio.to_thread(cut_power, ground)
    dark = await ground.provider.get(NAME)
    (started,) = await start_all(ground.settings.home, ground.settings.name)
    again = await ground.provider.get(NAME)
    assert until(lambda: ground.proof(NAME) == ["up", "up"])
    assert (dark.state, started.state, again.provider_id, again.address) == (
        InstanceState.STOPPED, InstanceState.RUNNING, identity, dark.address,
    )  # fmt: skip


async def test_what_a_boot_starts_is_what_has_not_run_since(ground: Ground) -> None:
    await ground.provider.launch(request())
    assert until(lambda: ground.proof(NAME) == ["up"])
    home, name = ground.settings.home, ground.settings.name
    await stop_all(home, name, 20)
    same_boot = await start_all(home, name, after_boot=True)
    assert (same_boot, (await ground.provider.get(NAME)).state) == ((), InstanceState.STOPPED)
    folder = ground.settings.instances / NAME
    record = read_record(folder)
    assert record is not None
    write_record(folder, replace(record, host_boot="an earlier boot"))
    (started,) = await start_all(home, name, after_boot=True)
    assert started.state is InstanceState.RUNNING


async def test_a_console_that_grew_too_long_is_cut_to_its_end(ground: Ground) -> None:
    await ground.provider.launch(request())
    file = ground.settings.instances / NAME / "console.log"
    with file.open("ab") as console:
        console.write(b"x" * (2 << 20) + b"the end")
    await ground.provider.list()
    assert (file.stat().st_size < 1 << 20, b"the end" in await ground.provider.console(NAME)) == (True, True)


async def test_the_host_is_as_before_once_the_cluster_is_cleared(tmp_path: Path) -> None:
    before = host_values()
    ground = make_ground(tmp_path, 2)
    await ground.site.prepare()
    await ground.provider.launch(request())
    await end_ground(ground.settings)
    assert (traces_of(ground.settings), host_values()) == ({}, before)
