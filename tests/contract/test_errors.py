"""Every type in `interfaces.errors` is met in earnest: raised by a real part, and by the simulator."""

from __future__ import annotations

import inspect
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_proxy import Fault, fault_proxy
from servers import ApiServer, EtcdServers, free_ports

from fidelity.simulated import of_rare, of_requests
from risen.adapters.answer_file import noted
from risen.adapters.etcd import EtcdClient
from risen.adapters.kubernetes import KubernetesClient
from risen.adapters.kubernetes.api import Credentials
from risen.adapters.store.directory import DirectoryStore
from risen.core.names import MemberId
from risen.interfaces import errors
from risen.interfaces.etcd import Etcd
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.store import IfAbsent, Store

pytestmark = pytest.mark.root

ERRORS = {
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.InterfaceError) and kind is not errors.InterfaceError
}
MANIFEST = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "default"}}


@dataclass(frozen=True)
class Parts:
    """The real parts that are asked."""

    etcd: EtcdServers
    api: ApiServer
    folder: Path

    @property
    def store(self) -> DirectoryStore:
        return noted(DirectoryStore.create(self.folder / "store"), Store)

    def change_stored(self, old: bytes, new: bytes) -> None:
        """Change the bytes of the object `cluster` behind the store's back."""
        file = self.folder / "store" / "objects" / "cluster.OBJECT"
        file.write_bytes(file.read_bytes().replace(old, new))


@pytest.fixture
def parts(real_etcd: EtcdServers, real_api: ApiServer, tmp_path: Path) -> Parts:
    return Parts(real_etcd, real_api, tmp_path)


async def of_etcd(parts: Parts, address: str, ask: Callable[[EtcdClient], Awaitable[object]]) -> None:
    client = noted(EtcdClient(parts.etcd.identity), Etcd)
    try:
        await client.observe((address,))
        await ask(client)
    finally:
        await client.close()


async def later(parts: Parts) -> None:
    async def of_the_future(etcd: EtcdClient) -> None:
        member = (await etcd.observe((parts.etcd.members[0].address,))).members[0]
        await etcd.hash_kv(member.id, member.revision + 1000)

    await of_etcd(parts, parts.etcd.members[0].address, of_the_future)


async def unreachable(parts: Parts) -> None:
    await of_etcd(parts, f"127.0.0.1:{free_ports(1)[0]}", lambda etcd: etcd.promote(MemberId("1")))


async def outcome_unknown(parts: Parts) -> None:
    async with fault_proxy(parts.etcd.members[0].client_port) as proxy:

        async def unheard(etcd: EtcdClient) -> None:
            await proxy.set(Fault.CUT_ANSWER)
            await etcd.remove(MemberId("12345"))

        await of_etcd(parts, proxy.address, unheard)


async def not_found(parts: Parts) -> None:
    await of_etcd(parts, parts.etcd.members[0].address, lambda etcd: etcd.promote(MemberId("12345")))


async def denied(parts: Parts) -> None:
    nobody = Credentials(parts.api.url, parts.api.authority.identity("nobody"))
    client = noted(KubernetesClient(nobody), Kubernetes)
    try:
        await client.apply(MANIFEST)
    finally:
        await client.close()


async def invalid(parts: Parts) -> None:
    client = noted(KubernetesClient(Credentials(parts.api.url, parts.api.admin)), Kubernetes)
    try:
        await client.apply({**MANIFEST, "data": "no mapping"})
    finally:
        await client.close()


async def conflict(parts: Parts) -> None:
    for _ in range(2):
        await parts.store.put("cluster", b"uid", IfAbsent())


async def corrupt(parts: Parts) -> None:
    await parts.store.put("cluster", b"uid")
    parts.change_stored(b"uid", b"xyz")
    await parts.store.get("cluster")


async def too_new(parts: Parts) -> None:
    await parts.store.put("cluster", b"uid")
    parts.change_stored(b"risen-object 2 ", b"risen-object 3 ")
    await parts.store.get("cluster")


async def no_capacity(parts: Parts) -> None:
    with small_disk(parts.folder / "store"):
        await parts.store.put("cluster", b"x" * 200_000)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "risen-test", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


REAL: dict[type[errors.InterfaceError], Callable[[Parts], Awaitable[None]]] = {
    errors.Later: later,
    errors.Unreachable: unreachable,
    errors.OutcomeUnknown: outcome_unknown,
    errors.Conflict: conflict,
    errors.NotFound: not_found,
    errors.Denied: denied,
    errors.Invalid: invalid,
    errors.Corrupt: corrupt,
    errors.TooNew: too_new,
    errors.NoCapacity: no_capacity,
}


def test_no_type_of_error_is_left_out() -> None:
    assert set(REAL) == ERRORS


@pytest.mark.parametrize("kind", REAL, ids=lambda kind: kind.__name__)
async def test_a_real_part_raises_it(kind: type[errors.InterfaceError], parts: Parts) -> None:
    with pytest.raises(errors.InterfaceError) as raised:
        await REAL[kind](parts)
    assert type(raised.value) is kind, raised.value


def test_the_simulator_raises_each_of_them() -> None:
    assert {kind.__name__ for kind in ERRORS} - {
        answer.outcome for answer in of_requests() | of_rare()
    } == set()
