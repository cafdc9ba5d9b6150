"""What `PortClient` makes of a real scheduler, and of servers on loopback that answer in other ways or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from servers import (
    ApiServer,
    Authority,
    Program,
    component_binary,
    free_ports,
    wait_until_ok,
    write_identity,
)

from risen.adapters.kubernetes.ports import PortClient
from risen.core.names import InstanceName
from risen.core.ports import Door

pytestmark = pytest.mark.root
SCHEDULER, PROXY, KUBELET = "kube-scheduler", "kube-proxy", "kubelet"

authority = pytest.fixture(scope="module")(lambda: Authority("ports"))


def door(program: str, port: int) -> Door:
    return Door(InstanceName("w-a"), "127.0.0.1", program, port)


async def answer(trusted: Authority, *doors: Door) -> tuple[bool, ...]:
    client = PortClient(trusted.pem)
    try:
        return await client.ask(doors)
    finally:
        await client.close()


# --- the real one ------------------------------------------------------------------------------------------
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: {url}, certificate-authority: {ca}}}}}]
users: [{{name: u, user: {{client-certificate: {certificate}, client-key: {key}}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""


@pytest.fixture(scope="module")
def scheduler(real_api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, int]]:
    """kube-scheduler, served as on an instance, and its port."""
    folder = tmp_path_factory.mktemp("scheduler")
    certificate, key, ca = write_identity(folder, "scheduler", real_api.admin)
    config = folder / "scheduler.conf"
    config.write_text(KUBECONFIG.format(url=real_api.url, ca=ca, certificate=certificate, key=key))
    (port,) = free_ports(1)
    flags = {
        "kubeconfig": config, "authentication-kubeconfig": config, "authorization-kubeconfig": config,
        "bind-address": "127.0.0.1", "secure-port": port, "tls-cert-file": certificate,
        "tls-private-key-file": key, "client-ca-file": ca, "leader-elect": "true",
    }  # fmt: skip
    arguments = [str(component_binary(SCHEDULER)), *(f"--{name}={value}" for name, value in flags.items())]
    program = Program(arguments, folder / "scheduler.log")
    program.start()
    try:
        wait_until_ok(f"https://127.0.0.1:{port}/healthz", real_api.admin, folder, program)
        yield program, port
    finally:
        program.kill()


async def test_a_scheduler_that_works_one_that_hangs_and_one_that_has_ended(
    real_api: ApiServer, scheduler: tuple[Program, int]
) -> None:
    program, port = scheduler
    client = PortClient(real_api.authority.pem)
    assert await client.ask((door(SCHEDULER, port),)) == (True,)
    program.pause()
    try:
        assert await client.ask((door(SCHEDULER, port),)) == (False,)
    finally:
        program.go_on()
    assert await client.ask((door(SCHEDULER, port),)) == (True,)
    program.kill()
    assert await client.ask((door(SCHEDULER, port),)) == (False,)
    await client.close()


# --- others ------------------------------------------------------------------------------------------------
@contextlib.asynccontextmanager
async def saying(status: str, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """The port of a server that gives everybody this answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def tls(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    certificate, key, _ = write_identity(tmp_path, "server", authority.identity("server"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize(
    ("program", "status", "answers"),
    [
        (SCHEDULER, "200 OK", True),
        (SCHEDULER, "500 Internal Server Error", False),
        (SCHEDULER, "403 Forbidden", True),
        (KUBELET, "401 Unauthorized", True),
    ],
)
async def test_who_says_that_it_is_not_well_is_not_and_who_wants_to_know_who_asks_answers(
    authority: Authority, tls: ssl.SSLContext, program: str, status: str, answers: bool
) -> None:
    async with saying(status, tls) as port:
        assert await answer(authority, door(program, port)) == (answers,)


async def test_a_kube_proxy_whose_node_is_being_emptied_answers(authority: Authority) -> None:
    async with saying("503 Service Unavailable", None) as port:
        assert await answer(authority, door(PROXY, port)) == (True,)


async def test_who_is_not_of_the_cluster_does_not_answer_for_it(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async with saying("200 OK", tls) as port:
        assert await answer(Authority("stranger"), door(SCHEDULER, port)) == (False,)


async def test_each_is_told_apart(authority: Authority, tls: ssl.SSLContext) -> None:
    (closed,) = free_ports(1)
    async with saying("200 OK", tls) as port:
        assert await answer(authority, door(SCHEDULER, port), door(SCHEDULER, closed)) == (True, False)
    assert await answer(authority) == ()
