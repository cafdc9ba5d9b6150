"""The API endpoint by a real HAProxy, in front of real HTTPS servers in the cluster's own namespace."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from local_ground import NET, Ground, end_ground, haproxy_pids, make_authority, make_ground, serving, until

from risen.adapters.local import haproxy
from risen.adapters.local.haproxy import BACKEND, SLOTS, Slot, leaving, read_slots, shown_slots, write_slots
from risen.core.names import InstanceName
from risen.core.picture import BackendSeen
from risen.interfaces.errors import NoCapacity, OutcomeUnknown, Unreachable

pytestmark = pytest.mark.root
A, B = InstanceName("control-plane-bbbbb"), InstanceName("control-plane-ccccc")
AT_A, AT_B = f"{NET}.5.10", f"{NET}.5.11"


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    ground = make_ground(tmp_path, 5)
    await ground.site.prepare()
    yield ground
    await end_ground(ground.settings)


def connect(ground: Ground) -> ssl.SSLSocket:
    context = ssl.create_default_context(cadata=ground.authority.pem.decode())
    raw = socket.create_connection((ground.settings.gateway, 6443), timeout=5)
    return context.wrap_socket(raw, server_hostname="kubernetes")


def ask(link: ssl.SSLSocket) -> str:
    """Who answers on this connection; empty when it was ended."""
    try:
        link.sendall(b"GET /who HTTP/1.1\r\nHost: kubernetes\r\n\r\n")
        answer = b""
        while b"\r\n\r\n10." not in answer:
            data = link.recv(4096)
            if not data:
                return ""
            answer += data
    except OSError:
        return ""
    return answer.rsplit(b"\r\n\r\n", 1)[1].decode()


def is_up(ground: Ground, *names: str) -> bool:
    slots = {slot.server: slot.instance for slot in read_slots(ground.settings)}
    shown = shown_slots(ground.settings)
    return {slots[key] for key, state in shown.items() if key in slots and state.up and state.checked} == set(
        names
    )


async def test_a_backend_serves_only_once_its_readyz_answers(ground: Ground, tmp_path: Path) -> None:
    await ground.endpoint.add(A, AT_A)
    before = await ground.endpoint.list()
    with serving(ground, AT_A, ground.authority.issue(tmp_path, "kubernetes")):
        assert until(lambda: is_up(ground, A))
        with connect(ground) as link:
            assert ask(link) == AT_A
        after = await ground.endpoint.list()
    assert (before, after) == ((BackendSeen(A, AT_A, up=False),), (BackendSeen(A, AT_A, up=True),))


async def test_a_server_of_another_authority_name_or_health_never_gets_traffic(
    ground: Ground, tmp_path: Path
) -> None:
    await ground.endpoint.add(A, AT_A)
    pems = (
        (make_authority("stranger").issue(tmp_path, "kubernetes"), 200),
        (ground.authority.issue(tmp_path, "worker-zzzzz"), 200),
        (ground.authority.issue(tmp_path, "kubernetes"), 500),
    )
    for pem, status in pems:
        with serving(ground, AT_A, pem, status):
            assert not until(lambda: is_up(ground, A), 1.0)


async def test_adding_twice_keeps_one_backend_and_its_connections(ground: Ground, tmp_path: Path) -> None:
    await ground.endpoint.add(A, AT_A)
    with serving(ground, AT_A, ground.authority.issue(tmp_path, "kubernetes")):
        assert until(lambda: is_up(ground, A))
        with connect(ground) as link:
            await ground.endpoint.add(A, AT_A)
            assert (ask(link), [seen.up for seen in await ground.endpoint.list()]) == (AT_A, [True])


async def test_draining_keeps_connections_and_sends_new_ones_elsewhere(
    ground: Ground, tmp_path: Path
) -> None:
    pem = ground.authority.issue(tmp_path, "kubernetes")
    await ground.endpoint.add(A, AT_A)
    with serving(ground, AT_A, pem), serving(ground, AT_B, pem):
        assert until(lambda: is_up(ground, A))
        with connect(ground) as old:
            await ground.endpoint.add(B, AT_B)
            assert until(lambda: is_up(ground, A, B))
            await ground.endpoint.drain(A)
            answers = set()
            for _ in range(5):
                with connect(ground) as link:
                    answers.add(ask(link))
            draining = {seen.name: seen.draining for seen in await ground.endpoint.list()}
            assert (ask(old), answers, draining) == (AT_A, {AT_B}, {A: True, B: False})


async def seen_of(ground: Ground, name: InstanceName) -> BackendSeen:
    return next(seen for seen in await ground.endpoint.list() if seen.name == name)


async def test_a_drained_backend_is_checked_on_and_shows_when_its_apiserver_has_ended(
    ground: Ground, tmp_path: Path
) -> None:
    """It stops in order: /readyz fails first, while it takes connections still; then its port is closed."""
    pem = ground.authority.issue(tmp_path, "kubernetes")
    await ground.endpoint.add(A, AT_A)
    with serving(ground, AT_A, pem):
        assert until(lambda: is_up(ground, A))
        await ground.endpoint.drain(A)
        drained = await seen_of(ground, A)
    assert until(lambda: _silent(ground))
    ended = await seen_of(ground, A)
    with serving(ground, AT_A, pem, 500):
        assert until(lambda: not _silent(ground))
        stopping = await seen_of(ground, A)
    assert drained == BackendSeen(A, AT_A, up=True, draining=True)
    assert replace(ended, down_seconds=0.0) == BackendSeen(A, AT_A, up=False, draining=True, silent=True)
    assert replace(stopping, down_seconds=0.0) == BackendSeen(A, AT_A, up=False, draining=True)


async def test_for_how_long_a_backend_has_been_down_is_counted_and_not_from_before_it_was_added(
    ground: Ground, tmp_path: Path
) -> None:
    assert until(lambda: min(shown.changed_seconds for shown in shown_slots(ground.settings).values()) >= 2)
    await ground.endpoint.add(A, AT_A)
    assert (await seen_of(ground, A)).down_seconds < 2
    assert until(lambda: _down_seconds(ground) >= 2)
    with serving(ground, AT_A, ground.authority.issue(tmp_path, "kubernetes")):
        assert until(lambda: is_up(ground, A))
        assert (await seen_of(ground, A)).down_seconds == 0


def _down_seconds(ground: Ground) -> float:
    slots = {slot.server for slot in read_slots(ground.settings) if slot.instance == A}
    return max(shown.changed_seconds for name, shown in shown_slots(ground.settings).items() if name in slots)


def _silent(ground: Ground) -> bool:
    slots = {slot.server for slot in read_slots(ground.settings) if slot.instance == A}
    return any(shown.silent for server, shown in shown_slots(ground.settings).items() if server in slots)


async def test_a_drained_backend_whose_readyz_fails_loses_its_connections(
    ground: Ground, tmp_path: Path
) -> None:
    """Clients of an apiserver that stops go elsewhere at once, instead of being told to come back after seconds."""
    pem = ground.authority.issue(tmp_path, "kubernetes")
    await ground.endpoint.add(A, AT_A)
    with serving(ground, AT_A, pem) as server:
        assert until(lambda: is_up(ground, A))
        with connect(ground) as link:
            assert ask(link) == AT_A
            await ground.endpoint.drain(A)
            assert ask(link) == AT_A
            run("ip", "-n", ground.settings.netns, "addr", "del", f"{AT_A}/32", "dev", "br0")
            link.settimeout(4)
            assert link.recv(1) == b""
        assert server.poll() is None


async def test_removing_ends_its_connections_at_once(ground: Ground, tmp_path: Path) -> None:
    await ground.endpoint.add(A, AT_A)
    with serving(ground, AT_A, ground.authority.issue(tmp_path, "kubernetes")):
        assert until(lambda: is_up(ground, A))
        with connect(ground) as link:
            assert ask(link) == AT_A
            await ground.endpoint.remove(A)
            await ground.endpoint.remove(A)
            assert (ask(link), await ground.endpoint.list()) == ("", ())


@pytest.mark.parametrize("told", [(), ("state maint",)])
async def test_a_removal_that_was_cut_short_is_seen_and_done_again(
    ground: Ground, told: tuple[str, ...]
) -> None:
    await ground.endpoint.add(A, AT_A)
    (slot,) = read_slots(ground.settings)
    write_slots(ground.settings, (leaving(slot),))
    for words in told:
        haproxy.ask(ground.settings, f"set server {BACKEND}/{slot.server} {words}")
    seen = await ground.endpoint.list()
    await ground.endpoint.remove(A)
    assert [(one.name, one.address, one.up, one.draining) for one in seen] == [(A, AT_A, False, True)]
    assert (await ground.endpoint.list(), read_slots(ground.settings)) == ((), ())


async def test_an_adding_that_was_cut_short_is_seen_and_done_again(ground: Ground) -> None:
    write_slots(ground.settings, (Slot(1, A, AT_A),))
    before = await seen_of(ground, A)
    await ground.endpoint.add(A, AT_A)
    after = await seen_of(ground, A)
    assert [(one.up, one.draining) for one in (before, after)] == [(False, True), (False, False)]


async def test_a_dead_backend_loses_its_connections_within_two_checks(ground: Ground, tmp_path: Path) -> None:
    await ground.endpoint.add(A, AT_A)
    with serving(ground, AT_A, ground.authority.issue(tmp_path, "kubernetes")) as server:
        assert until(lambda: is_up(ground, A))
        with connect(ground) as link:
            assert ask(link) == AT_A
            address = ("ip", "-n", ground.settings.netns, "addr", "del", f"{AT_A}/32", "dev", "br0")
            run(*address)
            link.settimeout(4)
            assert link.recv(1) == b""
        assert server.poll() is None


def run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


async def test_backends_outlive_haproxy(ground: Ground, tmp_path: Path) -> None:
    await ground.endpoint.add(A, AT_A)
    await ground.endpoint.add(B, AT_B)
    await ground.endpoint.drain(B)
    (pid,) = haproxy_pids(ground)
    run("kill", "-9", str(pid))
    assert until(lambda: not haproxy_pids(ground))
    with pytest.raises(Unreachable):
        await ground.endpoint.list()
    await ground.site.prepare()
    seen = await ground.endpoint.list()
    await ground.endpoint.add(B, AT_B)
    again = await ground.endpoint.list()
    assert [(one.name, one.address, one.draining) for one in seen] == [(A, AT_A, False), (B, AT_B, True)]
    assert [one.draining for one in again] == [False, False]


async def test_to_who_only_looks_a_silent_haproxy_is_unreachable_to_who_changes_the_outcome_unknown(
    ground: Ground,
) -> None:
    (pid,) = haproxy_pids(ground)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unreachable):
            await ground.endpoint.list()
        with pytest.raises(OutcomeUnknown):
            await ground.endpoint.add(A, AT_A)
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_more_apiservers_than_slots_are_refused_by_name(ground: Ground) -> None:
    for number in range(SLOTS):
        await ground.endpoint.add(InstanceName(f"control-plane-{number}"), f"{NET}.5.{20 + number}")
    with pytest.raises(NoCapacity, match="no free slot"):
        await ground.endpoint.add(A, AT_A)
