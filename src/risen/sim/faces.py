"""The interfaces as one incarnation of the controller sees them: each call is a request on its `Line`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from risen.core.names import InstanceName, MemberId, ProviderId
from risen.core.picture import BackendSeen, EtcdSeen, InstanceSeen, KubernetesSeen, ProviderSeen
from risen.core.ports import Door
from risen.core.spec import Taint
from risen.interfaces.errors import Invalid, NotFound, Unreachable
from risen.interfaces.provider import LaunchRequest
from risen.interfaces.store import IfAbsent, IfVersion, Lead, Object
from risen.sim.api_endpoint import EndpointTruth
from risen.sim.bucket import Bucket
from risen.sim.line import Line

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
PAIRS = tuple(one + two for one in ALPHABET for two in ALPHABET)[:512]
ELECTION_SECONDS = 3.0
ELECTION_LOOK_SECONDS = 0.2
FOR_EVER = float("inf")
STORE_SECONDS = (0.0005, 0.003)
PROVIDER_SECONDS = (0.02, 0.4)
DESTROY_SECONDS = (0.2, 1.5)


@dataclass(frozen=True, slots=True)
class SimClock:
    """Virtual time. `boot` is counted from the start of the world."""

    line: Line

    def boot(self) -> float:
        """Seconds; raises Dead after a crash."""
        self.line.incarnation.check()
        return self.line.world.timeline.now

    def unix(self) -> float:
        """Seconds since 1970 of a world that began in 2027."""
        return self.line.world.unix()

    async def sleep(self, seconds: float) -> None:
        """In virtual time."""
        await self.line.pause(seconds)


@dataclass(frozen=True, slots=True)
class SimEntropy:
    """Randomness from the run's seed, apart from the world's own draws."""

    random: Random

    def suffix(self) -> str:
        """5 characters."""
        return (
            PAIRS[self.random.getrandbits(9)]
            + PAIRS[self.random.getrandbits(9)]
            + ALPHABET[self.random.getrandbits(4)]
        )

    def token(self, count: int) -> bytes:
        """`count` bytes."""
        return self.random.randbytes(count)


@dataclass(frozen=True, slots=True)
class SimProvider:
    """See `interfaces/provider.py`."""

    line: Line

    async def launch(self, request: LaunchRequest) -> ProviderId:
        """Idempotent by name."""
        instances = self.line.world.instances
        return await self.line.write(
            "provider.launch", request.instance, lambda: instances.launch(request), PROVIDER_SECONDS,
            half=lambda: instances.begin_launch(request),
        )  # fmt: skip

    async def list(self) -> ProviderSeen:
        """Everything listed by now."""
        return await self.line.read("provider.list", self.line.world.instances.list)

    async def get(self, instance: InstanceName) -> InstanceSeen:
        """The only proof of GONE."""
        return await self.line.read("provider.get", lambda: self.line.world.instances.get(instance))

    async def destroy(self, provider_id: ProviderId) -> None:
        """Ends the instance and its disk; an unknown one counts as done."""
        await self.line.write(
            "provider.destroy", provider_id, lambda: self._destroy(provider_id), DESTROY_SECONDS,
            half=lambda: self.line.world.instances.begin_destroy(provider_id),
        )  # fmt: skip

    def _destroy(self, provider_id: ProviderId) -> None:
        try:
            self.line.world.instances.destroy(provider_id)
        except NotFound:
            return

    async def press_power_button(self, provider_id: ProviderId) -> None:
        """Returns when it was pressed."""
        instances = self.line.world.instances
        await self.line.write(
            "provider.press_power_button", provider_id, lambda: instances.press_power_button(provider_id)
        )

    async def power_on(self, provider_id: ProviderId) -> None:
        """Starts a stopped instance from its disk."""
        instances = self.line.world.instances
        await self.line.write(
            "provider.power_on", provider_id, lambda: instances.power_on(provider_id), PROVIDER_SECONDS
        )

    async def console(self, instance: InstanceName, limit: int = 65536) -> bytes:
        """The last bytes it printed."""
        return await self.line.read("provider.console", lambda: self._console(instance)[-limit:])

    def _console(self, instance: InstanceName) -> bytes:
        there = self.line.world.instances.all.get(instance)
        if there is None:
            raise NotFound(f"no instance {instance}")
        return "\n".join(there.console).encode()


@dataclass(frozen=True, slots=True)
class SimPorts:
    """See `interfaces/ports.py`."""

    line: Line

    async def ask(self, doors: tuple[Door, ...]) -> tuple[bool, ...]:
        """As the programs are."""
        kubelets = self.line.world.kubelets
        return await self.line.read(
            "ports.ask", lambda: tuple(kubelets.answers(door.instance, door.program) for door in doors)
        )


@dataclass(frozen=True, slots=True)
class SimEndpoint:
    """See `interfaces/endpoint.py`."""

    line: Line

    async def list(self) -> tuple[BackendSeen, ...]:
        """As the endpoint's own check finds them."""
        return await self.line.read("endpoint.list", self._list)

    def _list(self) -> tuple[BackendSeen, ...]:
        self.line.world.endpoint.need()
        return self.line.world.endpoint.list()

    async def add(self, instance: InstanceName, address: str) -> None:
        """Idempotent."""
        await self._write("add", instance, lambda endpoint: endpoint.add(instance, address))

    async def drain(self, instance: InstanceName) -> None:
        """Only new sessions stop."""
        await self._write("drain", instance, lambda endpoint: endpoint.drain(instance))

    async def remove(self, instance: InstanceName) -> None:
        """Idempotent."""
        await self._write("remove", instance, lambda endpoint: endpoint.remove(instance))

    async def _write(self, method: str, instance: str, effect: Callable[[EndpointTruth], None]) -> None:
        endpoint = self.line.world.endpoint

        def carried_out() -> None:
            endpoint.need()
            effect(endpoint)

        await self.line.write(f"endpoint.{method}", instance, carried_out)


@dataclass(slots=True)
class SimEtcd:
    """See `interfaces/etcd.py`. It asks the members last observed, so it must have observed once."""

    line: Line
    addresses: tuple[str, ...] = ()

    async def observe(self, addresses: tuple[str, ...]) -> EtcdSeen:
        """Raises Unreachable when no member answers. A linearizable read waits an election out."""
        self.addresses = addresses
        etcd, asked_at = self.line.world.etcd, self.line.world.timeline.now
        while etcd.electing() and self.line.world.timeline.now < asked_at + ELECTION_SECONDS:
            await self.line.pause(ELECTION_LOOK_SECONDS)
        return await self.line.read("etcd.observe", lambda: self.line.world.etcd.observe(addresses))

    def _need_address(self) -> None:
        if not self.addresses:
            raise Unreachable("no etcd member is known")

    async def add_learner(self, peer_url: str) -> MemberId:
        """Later while a voter is not connected or another learner is there."""
        self._need_address()
        etcd = self.line.world.etcd
        return await self.line.write("etcd.add_learner", peer_url, lambda: etcd.add_learner(peer_url))

    async def promote(self, member: MemberId) -> None:
        """Later while it is not in sync."""
        self._need_address()
        await self.line.write("etcd.promote", member, lambda: self.line.world.etcd.promote(member))

    async def remove(self, member: MemberId) -> None:
        """Later while too few of the others are connected."""
        self._need_address()
        await self.line.write("etcd.remove", member, lambda: self.line.world.etcd.remove(member))

    async def move_leader(self, leader: MemberId, to: MemberId) -> None:
        """Asked of the leader itself."""
        self._need_address()
        etcd = self.line.world.etcd
        await self.line.write("etcd.move_leader", to, lambda: etcd.move_leader(leader, to))

    async def remove_endpoint_lease(self, address: str) -> None:
        """None there is done."""
        self._need_address()
        etcd = self.line.world.etcd
        await self.line.write(
            "etcd.remove_endpoint_lease", address, lambda: etcd.remove_endpoint_lease(address)
        )

    async def hash_kv(self, member: MemberId, revision: int) -> tuple[int, int]:
        """Equal for all members that hold that revision."""
        return await self.line.read("etcd.hash_kv", lambda: self.line.world.etcd.hash_kv(member, revision))


@dataclass(frozen=True, slots=True)
class SimKubernetes:
    """See `interfaces/kubernetes.py`."""

    line: Line

    async def observe(self) -> KubernetesSeen:
        """Raises Unreachable while no apiserver answers through the endpoint."""
        return await self.line.read("kubernetes.observe", self.line.world.kubernetes.observe)

    async def apply(self, manifest: Mapping[str, object]) -> None:
        """Server-side apply. Invalid without kind or name."""
        key, digest = _key_and_digest(manifest)
        kubernetes = self.line.world.kubernetes
        await self.line.write("kubernetes.apply", key, lambda: kubernetes.apply(key, digest))

    async def patch_node(
        self, node: str, uid: str, labels: Mapping[str, str], taints: tuple[Taint, ...]
    ) -> None:
        """Conflict for another uid."""
        kubernetes = self.line.world.kubernetes
        await self.line.write(
            "kubernetes.patch_node", node, lambda: kubernetes.mark(node, uid, dict(labels), taints)
        )

    async def cordon(self, node: str, uid: str, on: bool = True) -> None:
        """Conflict for another uid."""
        kubernetes = self.line.world.kubernetes
        operation = "kubernetes.cordon" if on else "kubernetes.uncordon"
        await self.line.write(operation, node, lambda: kubernetes.cordon(node, uid, on))

    async def taint_out_of_service(self, node: str, uid: str) -> None:
        """Conflict for another uid."""
        kubernetes = self.line.world.kubernetes
        await self.line.write(
            "kubernetes.taint_out_of_service", node, lambda: kubernetes.taint_out_of_service(node, uid)
        )

    async def evict(self, namespace: str, pod: str, uid: str, past_budgets: bool = False) -> None:
        """Later when a budget refuses."""
        kubernetes = self.line.world.kubernetes
        operation = "kubernetes.delete_pod" if past_budgets else "kubernetes.evict"
        await self.line.write(operation, f"{pod} {uid}", lambda: kubernetes.evict(pod, uid, past_budgets))

    async def free_pod(self, namespace: str, pod: str, uid: str) -> None:
        """Grace 0."""
        kubernetes = self.line.world.kubernetes
        await self.line.write("kubernetes.free_pod", pod, lambda: kubernetes.free_pod(pod, uid))

    async def delete_node(self, node: str, uid: str) -> None:
        """Gone is done."""
        kubernetes = self.line.world.kubernetes
        await self.line.write("kubernetes.delete_node", node, lambda: kubernetes.delete_node(node, uid))

    async def release_lease(self, lease: str, holder: str) -> None:
        """Conflict when another holds it."""
        kubernetes = self.line.world.kubernetes
        await self.line.write(
            "kubernetes.release_lease", lease, lambda: kubernetes.release_lease(lease, holder)
        )


def _key_and_digest(manifest: Mapping[str, object]) -> tuple[str, str]:
    """`APIVERSION/KIND/NAMESPACE/NAME` and the digest that its annotation carries. Raises Invalid."""
    metadata = manifest.get("metadata")
    if (
        not isinstance(metadata, Mapping)
        or not {"apiVersion", "kind"} <= manifest.keys()
        or "name" not in metadata
    ):
        raise Invalid("a manifest without apiVersion, kind or name")
    annotations = metadata.get("annotations", {})
    key = "/".join(
        str(part)
        for part in (
            manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"],
        )
    )  # fmt: skip
    return key, str(annotations.get("risen.dev/digest", ""))


@dataclass(frozen=True, slots=True)
class SimStore:
    """See `interfaces/store.py`."""

    line: Line

    async def get(self, key: str) -> Object | None:
        """None for what is absent."""
        return await self.line.read("store.get", lambda: self._there().get(key))

    async def put(self, key: str, data: bytes, condition: IfAbsent | IfVersion | None = None) -> str:
        """Conflict when the condition fails."""
        return await self.line.write(
            "store.put", key, lambda: self._there().put(key, data, condition), STORE_SECONDS
        )

    async def delete(self, key: str) -> None:
        """Absent is done."""
        await self.line.write("store.delete", key, lambda: self._there().delete(key), STORE_SECONDS)

    async def list(self, prefix: str) -> tuple[str, ...]:
        """Sorted."""
        return await self.line.read("store.list", lambda: self._there().list(prefix))

    async def append(self, stream: str, data: bytes) -> int:
        """Sequence number."""
        return await self.line.write(
            "store.append", stream, lambda: self._there().append(stream, data), STORE_SECONDS
        )

    async def read(
        self, stream: str, after: int = 0, most: int | None = None
    ) -> tuple[tuple[int, bytes], ...]:
        """Records after a sequence number."""
        return await self.line.read("store.read", lambda: self._there().read(stream, after, most))

    def _there(self) -> Bucket:
        self.line.world.store.need()
        return self.line.world.store


@dataclass(frozen=True, slots=True)
class SimLead:
    """The lock of a directory store: it dies with its holder."""

    line: Line

    @property
    def valid_until(self) -> float:
        """For ever: the lock cannot be lost by a living holder."""
        return FOR_EVER

    async def release(self) -> None:
        """Let another lead."""
        self.line.incarnation.check()
        store = self.line.world.store
        if store.leader == self.line.incarnation.number:
            store.leader = None


@dataclass(frozen=True, slots=True)
class SimLeadership:
    """See `interfaces/store.py`."""

    line: Line

    async def try_lead(self, holder: str) -> Lead | None:
        """None while a living incarnation holds the lock. Raises Denied on a read-only store."""
        self.line.incarnation.check()
        self.line.world.store.may_lead()
        store, number = self.line.world.store, self.line.incarnation.number
        if store.leader not in (None, number):
            return None
        store.leader, store.holder = number, holder
        return SimLead(self.line)

    async def leader(self) -> str | None:
        """Who leads."""
        return self.line.world.store.holder if self.line.world.store.leader is not None else None
