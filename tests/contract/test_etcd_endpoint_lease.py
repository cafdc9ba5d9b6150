"""Where a real kube-apiserver says in etcd that it is an endpoint of its Service, and that taken away."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubernetes_objects import eventually
from servers import api_server

from risen.adapters.answer_file import noted
from risen.adapters.etcd import EtcdClient
from risen.interfaces.etcd import Etcd

pytestmark = pytest.mark.root

RENEWED_SECONDS = 10.0


async def test_a_dead_apiserver_s_endpoint_lease_is_seen_and_taken_away_before_it_runs_out(
    tmp_path: Path,
) -> None:
    with api_server(tmp_path, "--endpoint-reconciler-type=lease") as server:
        addresses = tuple(member.address for member in server.etcd.members)
        etcd = noted(EtcdClient(server.etcd.identity), Etcd)

        async def seen() -> bool | None:
            return (await etcd.observe(addresses)).endpoint_leases == ("127.0.0.1",) or None

        assert await eventually(seen, RENEWED_SECONDS)
        server.program.kill()
        await etcd.remove_endpoint_lease("127.0.0.2")
        assert (await etcd.observe(addresses)).endpoint_leases == ("127.0.0.1",)
        await etcd.remove_endpoint_lease("127.0.0.1")
        assert (await etcd.observe(addresses)).endpoint_leases == ()
        await etcd.remove_endpoint_lease("127.0.0.1")
        await etcd.close()
