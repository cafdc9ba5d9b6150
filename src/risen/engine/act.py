"""Act: carry out one step as one request to one interface. No waiting inside, no deciding."""

from __future__ import annotations

from collections.abc import Awaitable

from risen.core.history import History
from risen.core.names import InstanceName
from risen.core.step import (
    AddBackend,
    AddLearner,
    ApplyAddon,
    CloseEntry,
    CompleteRevision,
    CordonNode,
    DeleteNode,
    DeletePod,
    Destroy,
    DrainBackend,
    EvictPod,
    ForceDrain,
    FreePod,
    HaltRelease,
    Launch,
    MarkNode,
    MoveLeader,
    OpenEntry,
    PassRelease,
    PowerOn,
    PressPowerButton,
    PromoteMember,
    RecordClusterId,
    ReleaseLease,
    RemoveBackend,
    RemoveEndpointLease,
    RemoveMember,
    RevokeRelease,
    Step,
    TaintOutOfService,
    UncordonNode,
    WriteBirth,
    WriteBootstrap,
)
from risen.engine.record import Records
from risen.engine.world import EngineWorld
from risen.interfaces.errors import Conflict, InterfaceError, NotFound, OutcomeUnknown
from risen.interfaces.provider import LaunchRequest


async def act(world: EngineWorld, records: Records, step: Step) -> None:
    """Carry out `step`. Raises what the interface raises; what was wanted already counts as done."""
    match step:
        case WriteBootstrap() | WriteBirth() | RecordClusterId() | OpenEntry() | ForceDrain() | CloseEntry():
            await _write(records, step)
        case PassRelease() | HaltRelease() | RevokeRelease() | CompleteRevision():
            await records.write_verdict(step)
        case Launch() | PowerOn() | PressPowerButton() | Destroy():
            await _ask_provider(world, records, step)
        case AddLearner() | PromoteMember() | MoveLeader() | RemoveMember() | RemoveEndpointLease():
            await _ask_etcd(world, step)
        case AddBackend(instance=name, address=address):
            await world.endpoint.add(name, address)
        case DrainBackend(instance=name):
            await world.endpoint.drain(name)
        case RemoveBackend(instance=name):
            await world.endpoint.remove(name)
        case _:
            await _ask_kubernetes(world, step)


async def _write(records: Records, step: Step) -> None:
    match step:
        case WriteBootstrap(bootstrap=bootstrap):
            await records.write_bootstrap(bootstrap)
        case WriteBirth(birth=birth):
            await records.write_birth(birth)
        case RecordClusterId(cluster_id=cluster_id):
            await records.write_cluster_id(cluster_id)
        case OpenEntry():
            await records.open_entry(step)
        case ForceDrain():
            await records.force_drain(step)
        case CloseEntry():
            await records.close_entry(step)


async def _ask_provider(world: EngineWorld, records: Records, step: Step) -> None:
    match step:
        case Launch(instance=name):
            await _launch(world, records, name)
        case PowerOn(provider_id=provider_id):
            await world.provider.power_on(provider_id)
        case PressPowerButton(provider_id=provider_id):
            await world.provider.press_power_button(provider_id)
        case Destroy(provider_id=provider_id):
            try:
                await world.provider.destroy(provider_id)
            except NotFound:
                return


async def _launch(world: EngineWorld, records: Records, name: InstanceName) -> None:
    """A refusal is tried again for ever: the ledger says so, or nobody would know what it waits for."""
    request = launch_request(world, records.history, name)
    try:
        provider_id = await world.provider.launch(request)
    except OutcomeUnknown:
        raise
    except InterfaceError as refusal:
        await records.launch_refused(name, f"{type(refusal).__name__}: {refusal}")
        raise
    await records.launched(name, provider_id)


def launch_request(world: EngineWorld, history: History, name: str) -> LaunchRequest:
    """The request of a birth record; the same bytes however often it is made. Raises KeyError if not born."""
    birth = next(life.birth for key, life in history.lives.items() if key == name)
    return LaunchRequest(
        birth.instance, history.cluster, birth.pool, birth.role, birth.image, world.user_data(birth)
    )


async def _ask_etcd(world: EngineWorld, step: Step) -> None:
    match step:
        case AddLearner(peer_url=peer_url):
            try:
                await world.etcd.add_learner(peer_url)
            except Conflict:
                return
        case PromoteMember(member=member):
            await world.etcd.promote(member)
        case MoveLeader(leader=leader, to=to):
            await world.etcd.move_leader(leader, to)
        case RemoveMember(member=member):
            try:
                await world.etcd.remove(member)
            except NotFound:
                return
        case RemoveEndpointLease(address=address):
            await world.etcd.remove_endpoint_lease(address)


async def _ask_kubernetes(world: EngineWorld, step: Step) -> None:
    kubernetes = world.kubernetes
    match step:
        case ApplyAddon(key=key, digest=digest):
            await kubernetes.apply(await world.manifest(key, digest))
        case MarkNode(node=node, uid=uid, labels=labels, taints=taints):
            await kubernetes.patch_node(node, uid, dict(labels), taints)
        case CordonNode(node=node, uid=uid):
            await kubernetes.cordon(node, uid)
        case UncordonNode(node=node, uid=uid):
            await kubernetes.cordon(node, uid, on=False)
        case TaintOutOfService(node=node, uid=uid):
            await kubernetes.taint_out_of_service(node, uid)
        case EvictPod(namespace=namespace, pod=pod, uid=uid):
            await _gone_is_done(kubernetes.evict(namespace, pod, uid))
        case DeletePod(namespace=namespace, pod=pod, uid=uid):
            await _gone_is_done(kubernetes.evict(namespace, pod, uid, past_budgets=True))
        case FreePod(namespace=namespace, pod=pod, uid=uid):
            await _gone_is_done(kubernetes.free_pod(namespace, pod, uid))
        case DeleteNode(node=node, uid=uid):
            await _gone_is_done(kubernetes.delete_node(node, uid))
        case ReleaseLease(lease=lease, holder=holder):
            await kubernetes.release_lease(lease, holder)
        case _:
            raise AssertionError(f"no interface carries out {step!r}")


async def _gone_is_done(request: Awaitable[None]) -> None:
    try:
        await request
    except NotFound:
        return
