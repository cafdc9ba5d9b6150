"""The real join script against the real join service: sh, curl, openssl and tar over TLS on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from join_world import (
    AUTHORITIES,
    FOUNDER,
    HERE,
    REGISTRY,
    SECOND,
    UID,
    WORKER,
    World,
    birth,
    csrs_of,
    member,
    served,
    ticket_of,
)

from risen.authority.grant import JoinRequest
from risen.core.names import InstanceName, Role
from risen.core.picture import EtcdSeen
from risen.instance import layout
from risen.instance.content import image_content
from risen.services.join_desk import Answered


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with served(tmp_path) as made:
        yield made


def lay_instance(root: Path, world: World, name: InstanceName, role: Role) -> None:
    """What image and cloud-init give an instance for join."""
    for file in image_content(role).files:
        if file.path.startswith(layout.LIBRARY):
            path = root / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
    identity = root / layout.IDENTITY.lstrip("/")
    identity.parent.mkdir(parents=True)
    identity.write_text(
        f"INSTANCE={name}\nPOOL={role}\nCLUSTER={UID}\nJOIN_URL=https://{HERE}:{world.port}\n"
        f"AUTHORITY={AUTHORITIES.join_digest}\nTICKET={ticket_of(birth(name, role))}\n"
    )


async def run_join(root: Path) -> tuple[int, str]:
    running = await asyncio.create_subprocess_exec(
        "sh",
        str(root / "usr/lib/risen/join"),
        stderr=subprocess.PIPE,
        env={**os.environ, "RISEN_ROOT": str(root)},
    )
    _, said = await asyncio.wait_for(running.communicate(), 60)
    return running.returncode or 0, said.decode()


async def test_the_real_join_script_joins_a_worker(world: World, tmp_path: Path) -> None:
    await world.bear(WORKER)
    root = tmp_path / "root"
    lay_instance(root, world, WORKER, Role.WORKER)
    status, said = await run_join(root)
    assert status == 0, said
    for path in layout.answer_paths(Role.WORKER):
        assert (root / path.lstrip("/")).is_file(), path
    assert (root / "var/lib/risen/joined").exists()
    credentials = root / layout.REGISTRY_CREDENTIALS.lstrip("/")
    assert credentials.stat().st_mode & 0o777 == 0o600
    assert json.loads(credentials.read_text()) == {"auths": {REGISTRY: {"auth": "dTpw"}}}


async def test_the_real_join_script_waits_for_etcd_and_then_joins_a_member(
    world: World, tmp_path: Path
) -> None:
    await world.bootstrap(FOUNDER)
    await world.bear(SECOND, Role.CONTROL_PLANE)
    world.facts.etcd = EtcdSeen("1", (member(FOUNDER, "10.77.0.10"),))
    root = tmp_path / "root"
    lay_instance(root, world, SECOND, Role.CONTROL_PLANE)
    joining = asyncio.create_task(run_join(root))
    await world.facts.etcd_asked.wait()
    world.facts.etcd = EtcdSeen("1", (member(FOUNDER, "10.77.0.10"), member("", HERE, learner=True)))
    status, said = await joining
    assert status == 0 and "not a member of etcd yet" in said, said
    assert (root / "etc/kubernetes/pki/sa.key").stat().st_mode & 0o777 == 0o600
    assert (root / "etc/kubernetes/pki/etcd-peer.key").exists()


async def test_the_real_join_script_stops_for_good_when_its_ticket_was_used_before(
    world: World, tmp_path: Path
) -> None:
    await world.bear(WORKER)
    first = JoinRequest(WORKER, ticket_of(birth(WORKER)), csrs_of(Role.WORKER), HERE)
    assert isinstance(await world.service.desk.answer(first), Answered)
    root = tmp_path / "root"
    lay_instance(root, world, WORKER, Role.WORKER)
    status, said = await run_join(root)
    assert status == 78 and "the ticket was used before with other keys" in said
