"""What surrounds a local cluster: prepared twice, cleared whole or half made, and refused where it collides."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from local_ground import (
    NET,
    Ground,
    end_ground,
    haproxy_pids,
    host_values,
    make_authority,
    make_ground,
    recorded_values,
    request,
    traces_of,
)

from risen.adapters.local import outside
from risen.adapters.local.settings import API_PORT
from risen.adapters.local.site import LocalSite
from risen.adapters.system import SystemClock
from risen.core.names import ClusterUid
from risen.interfaces.errors import Conflict, Invalid
from risen.services.site_keeper import SiteKeeper

pytestmark = pytest.mark.root


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    ground = make_ground(tmp_path, 3)
    yield ground
    await end_ground(ground.settings)


def out(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


async def test_preparing_twice_changes_nothing(ground: Ground) -> None:
    await ground.site.prepare()
    once = (traces_of(ground.settings), haproxy_pids(ground))
    await ground.site.prepare()
    assert (traces_of(ground.settings), haproxy_pids(ground)) == once


async def test_a_dead_haproxy_is_started_by_the_next_prepare(ground: Ground) -> None:
    await ground.site.prepare()
    (dead,) = haproxy_pids(ground)
    out("kill", "-9", str(dead))
    await ground.site.prepare()
    (alive,) = haproxy_pids(ground)
    assert alive != dead


async def test_the_keeper_brings_a_dead_haproxy_back_and_says_so(ground: Ground) -> None:
    await ground.site.prepare()
    (dead,) = haproxy_pids(ground)
    said: list[str] = []
    keeper = SiteKeeper(ground.site, ground.endpoint, SystemClock(), said.append)
    await keeper.look()
    assert said == []
    out("kill", "-9", str(dead))
    await keeper.look()
    assert haproxy_pids(ground) not in ([], [dead])
    assert len(said) == 1


async def test_another_cluster_ca_restarts_haproxy(ground: Ground) -> None:
    await ground.site.prepare()
    before = haproxy_pids(ground)
    other = make_authority("other").pem
    await LocalSite(replace(ground.settings, cluster_ca=other)).prepare()
    assert haproxy_pids(ground) != before


async def test_without_any_cluster_ca_nothing_is_prepared(ground: Ground) -> None:
    with pytest.raises(Invalid, match="without the CA"):
        await LocalSite(replace(ground.settings, cluster_ca=None)).prepare()
    assert traces_of(ground.settings) == {}


async def test_a_socket_listens_inside_and_answers_the_host(ground: Ground) -> None:
    await ground.site.prepare()
    address = ground.settings.gateway
    with ground.site.listen(address, 9443) as listener:
        port = f"/dev/tcp/{address}/9443"
        out("bash", "-c", f"exec 3<>{port}")
        assert listener.getsockname() == (address, 9443)


async def test_the_host_reaches_the_endpoint_whatever_ports_come_and_go(ground: Ground) -> None:
    """A bridge takes the lowest address of its ports; who had learned another one then spoke to nobody for as long
    as a neighbour counts as reachable."""
    await ground.site.prepare()
    where = ("ip", "-n", ground.settings.netns, "link")
    door = f"/dev/tcp/{ground.settings.gateway}/{API_PORT}"
    for last in (2, 1):
        mac = f"02:00:00:00:00:0{last}"
        out(*where, "add", f"port{last}", "address", mac, "type", "veth", "peer", "name", f"far{last}")
        out(*where, "set", f"port{last}", "master", "br0", "up")
        out("timeout", "5", "bash", "-c", f"exec 3<>{door}")
    out(*where, "del", "port1")
    out("timeout", "5", "bash", "-c", f"exec 3<>{door}")
    out(*where, "del", "port2")


async def test_the_namespace_forwards_and_the_host_is_routed_only_where_it_has_an_outside(
    ground: Ground,
) -> None:
    await ground.site.prepare()
    routes = out("ip", "-n", ground.settings.netns, "route", "show", "default")
    wanted = f"default via {ground.settings.host_address} dev br0 \n" if outside.has_outside() else ""
    assert routes == wanted


async def test_a_subnet_that_the_host_routes_is_refused_and_nothing_is_added(ground: Ground) -> None:
    out("ip", "route", "add", "blackhole", f"{NET}.3.128/25")
    try:
        with pytest.raises(Conflict, match=rf"{re.escape(NET)}\.3\.128/25.*choose another"):
            await ground.site.prepare()
        links = out("ip", "-br", "link")
    finally:
        out("ip", "route", "del", "blackhole", f"{NET}.3.128/25")
    assert ground.settings.host_link not in links


async def test_a_link_of_that_name_that_is_not_ours_is_refused_and_left(ground: Ground) -> None:
    out("ip", "link", "add", ground.settings.host_link, "type", "veth", "peer", "name", "zz-far")
    try:
        with pytest.raises(Conflict, match="belongs to something else"):
            await ground.site.prepare()
        await ground.site.clear()
        assert ground.settings.host_link in out("ip", "-br", "link")
    finally:
        out("ip", "link", "del", ground.settings.host_link)


async def test_a_namespace_of_that_name_that_is_not_ours_is_refused_and_left(ground: Ground) -> None:
    netns = ground.settings.netns
    out("ip", "netns", "add", netns)
    out("ip", "-n", netns, "link", "add", "br0", "type", "bridge")
    try:
        with pytest.raises(Conflict, match="belongs to something else"):
            await ground.site.prepare()
        await ground.site.clear()
        assert "br0" in out("ip", "-n", netns, "-br", "link")
    finally:
        out("ip", "netns", "del", netns)


async def test_a_cluster_of_the_same_name_and_another_uid_is_not_ours(ground: Ground) -> None:
    await ground.site.prepare()
    with pytest.raises(Conflict, match="belongs to something else"):
        await LocalSite(replace(ground.settings, uid=ClusterUid("another"))).prepare()


async def test_clearing_is_refused_while_an_instance_has_a_disk(ground: Ground) -> None:
    await ground.site.prepare()
    await ground.provider.launch(request())
    with pytest.raises(Conflict, match="worker-bcdfg"):
        await ground.site.clear()


async def test_clearing_what_was_never_prepared_changes_nothing(ground: Ground) -> None:
    before = host_values()
    await ground.site.clear()
    assert (traces_of(ground.settings), host_values()) == ({}, before)


async def test_host_sysctls_are_recorded_before_their_change_and_put_back_by_the_last_cluster(
    ground: Ground, tmp_path: Path
) -> None:
    before, earlier = host_values(), recorded_values()
    other = make_ground(tmp_path / "other", 4)
    await ground.site.prepare()
    await other.site.prepare()
    recorded = recorded_values()
    await ground.site.clear()
    file, least = next(iter(outside.LEAST.items()))
    raised = file.read_text()
    await other.site.clear()
    assert (int(raised) >= least, host_values()) == (True, before)
    wanted = {name: before[name.removeprefix("/proc/sys/")] for name in recorded} | earlier
    assert (recorded, recorded_values()) == (wanted, earlier)


def lose(ground: Ground, lost: str) -> None:
    settings = ground.settings
    match lost:
        case "namespace":
            out("ip", "netns", "del", settings.netns)
        case "link":
            out("ip", "link", "del", settings.host_link)
        case "table" if outside.has_outside():
            out("nft", "delete", "table", "ip", settings.table)
        case "haproxy":
            out("kill", "-9", *map(str, haproxy_pids(ground)))
        case _:
            shutil.rmtree(settings.folder / "endpoint")


@pytest.mark.parametrize("lost", ["namespace", "link", "table", "haproxy", "folder"])
async def test_a_half_made_site_is_mended_and_then_cleared_whole(ground: Ground, lost: str) -> None:
    settings, before = ground.settings, host_values()
    await ground.site.prepare()
    lose(ground, lost)
    await ground.site.prepare()
    assert (len(haproxy_pids(ground)), settings.netns in out("ip", "netns")) == (1, True)
    await ground.site.clear()
    assert (traces_of(ground.settings), host_values()) == ({}, before)


async def test_a_stranger_on_the_bridge_is_refused_by_name_while_an_instance_lives(ground: Ground) -> None:
    where = ("ip", "-n", ground.settings.netns, "link")
    await ground.site.prepare()
    await ground.provider.launch(request())
    await ground.site.refuse_while_foreign()
    out(*where, "add", "stranger", "type", "veth", "peer", "name", "far")
    out(*where, "set", "stranger", "master", "br0")
    with pytest.raises(Conflict, match="stranger; unplug them first"):
        await ground.site.refuse_while_foreign()
    out(*where, "del", "stranger")
