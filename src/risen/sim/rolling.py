"""Rollouts of a run: what people apply and order, and what they want in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from risen.codec import records
from risen.core.events import Born
from risen.core.names import InstanceName, PoolName
from risen.core.spec import ClusterSpec, Gate, PoolSpec, Share
from risen.core.step import Birth
from risen.sim.images import Behaviour
from risen.sim.people import People, with_pool
from risen.sim.scenario import CONTROL_PLANE, WORKER, Happening, release
from risen.sim.world import World

ONLY_WORKERS_TELL = frozenset({Behaviour.DIES_UNDER_LOAD, Behaviour.PODS_FAIL, Behaviour.PODS_NEVER_READY})
"""Shown by the pods that a first instance takes over: a control-plane one soaks beside all others."""
ONLY_CONTROL_PLANES_TELL = frozenset(
    {Behaviour.NO_APISERVER, Behaviour.FAILS_ENDPOINT_CHECK, Behaviour.NO_SCHEDULER}
)
"""Workers have no apiserver and no scheduler."""
GATE = Gate("smoke", url="https://shop.example/health")
EXPIRE_SECONDS = 3600.0


def victim(world: World, what: Happening) -> InstanceName:
    """The first instance that fits the happening's name."""
    leader = world.etcd.name_of(world.etcd.leader)
    ours = [item for item in world.instances.all.values() if item.cluster == world.uid]
    if "leader" in what.value:
        return leader
    if "follower" in what.value:
        return next(item.name for item in ours if item.holds_etcd and item.name != leader)
    return next(item.name for item in ours if not item.holds_etcd)


def roll(
    people: People, *pools: PoolName, change: Callable[[ClusterSpec], ClusterSpec] | None = None
) -> None:
    """Apply the second release of these pools; where its images are bad the first of them is revoked."""
    before, behaviour = people.ending, people.scenario.behaviour
    bad = [pool for pool in pools if _tells(pool, behaviour)]
    if behaviour is Behaviour.BREAKS_GATE:
        people.world.failing_gates = frozenset((GATE.name, release(pool, 2).release) for pool in pools)
        change = _gated
    people.apply(dict.fromkeys(pools, 2), behaviour, change=change)
    if bad:
        people.ending = people.ending.gone_back_from(before, frozenset({release(bad[0], 2).release}))


def _tells(pool: PoolName, behaviour: Behaviour) -> bool:
    if behaviour in ONLY_CONTROL_PLANES_TELL:
        return pool == CONTROL_PLANE
    if behaviour in ONLY_WORKERS_TELL:
        return pool != CONTROL_PLANE
    return behaviour is not Behaviour.GOOD


def _gated(spec: ClusterSpec) -> ClusterSpec:
    return replace(spec, gates=(GATE,))


def _roll_workers(people: People) -> None:
    roll(people, WORKER)


def _roll_control_plane(people: People) -> None:
    roll(people, CONTROL_PLANE)


def roll_all(people: People, change: Callable[[ClusterSpec], ClusterSpec] | None = None) -> None:
    """Every pool that there is."""
    roll(people, CONTROL_PLANE, *_workers(people), change=change)


def _workers(people: People) -> tuple[PoolName, ...]:
    return (WORKER,) if people.scenario.workers else ()


def last(people: People) -> PoolName:
    """The pool that is rolled last."""
    return (CONTROL_PLANE, *_workers(people))[-1]


def surging(surge: int, unavailable: int) -> Callable[[ClusterSpec], ClusterSpec]:
    """Workers with another strategy."""

    def changed(pool: PoolSpec) -> PoolSpec:
        strategy = replace(pool.strategy, max_surge=Share(surge), max_unavailable=Share(unavailable))
        return replace(pool, strategy=strategy)

    return lambda spec: with_pool(spec, WORKER, changed)


def voters(more: int) -> Callable[[ClusterSpec], ClusterSpec]:
    """So many control-plane instances more are wanted, or fewer."""
    return lambda spec: with_pool(
        spec, CONTROL_PLANE, lambda pool: replace(pool, replicas=pool.replicas + more)
    )


def _undo(people: People) -> None:
    roll_all(people)
    people.later("undo", people.serves(last(people)), lambda: _apply_first(people))


def _apply_first(people: People) -> None:
    people.apply()


def _abort(people: People) -> None:
    before = people.ending
    roll_all(people)

    def abort() -> None:
        people.order("abort")
        people.ending = people.ending.gone_back_from(before)

    people.later("abort", people.serves(last(people)), abort)


def _abort_draining(people: People) -> None:
    before, nodes = people.ending, people.world.kubernetes.nodes
    roll(people, CONTROL_PLANE)

    def is_drained() -> bool:
        old = {one.name for one in people.of_release(CONTROL_PLANE, 1)}
        return any(nodes[name].unschedulable for name in sorted(old & nodes.keys()))

    def abort() -> None:
        people.order("abort")
        people.ending = people.ending.gone_back_from(before)

    people.later("abort", is_drained, abort)


def _pause_resume(people: People) -> None:
    roll_all(people)
    people.later("pause", people.runs(last(people)), lambda: people.order("pause"))
    people.later(
        "resume", people.seconds_after(people.runs(last(people)), 60.0), lambda: people.order("resume")
    )


def _newer_apply(people: People) -> None:
    roll_all(people)
    generations = dict.fromkeys((CONTROL_PLANE, *_workers(people)), 3)
    people.later("apply another", people.serves(last(people)), lambda: _apply(people, generations))


def _apply(people: People, generations: Mapping[PoolName, int]) -> None:
    people.apply(generations)


def _apply_twice(people: People) -> None:
    roll_all(people)
    people.apply(dict.fromkeys((CONTROL_PLANE, *_workers(people)), 3))


def _again_after_bad(people: People) -> None:
    before = people.ending
    people.apply({last(people): 2}, Behaviour.NO_KUBELET)
    bad = release(last(people), 2).release
    people.ending = people.ending.gone_back_from(before, frozenset({bad}))
    people.later("apply a good one", people.revoked(bad), lambda: _apply(people, {last(people): 3}))


def _replace(people: People, what: Happening) -> None:
    people.replace_instance(victim(people.world, what))


def _expire(people: People) -> None:
    old = [item.name for item in people.world.instances.all.values() if item.cluster == people.world.uid]
    _age(people.world, 2 * EXPIRE_SECONDS)

    def expiring(spec: ClusterSpec) -> ClusterSpec:
        pools = tuple(replace(pool, expire_after_seconds=EXPIRE_SECONDS) for pool in spec.pools)
        return replace(spec, pools=pools)

    people.apply(change=expiring)
    people.ending.gone.update(old)


def _storm_rolling(people: People) -> None:
    """A release whose first instance dies in it is gone back from: nobody can tell of what it died."""
    before = people.ending
    roll_all(people)
    people.ending.if_ill_fated = before
    people.world.instances.storm()


def _age(world: World, seconds: float) -> None:
    """Let every birth lie further back."""

    def older(birth: Birth) -> Birth:
        return replace(birth, born_unix=birth.born_unix - seconds)

    for key in world.store.list(records.BIRTHS):
        birth = older(records.decode(world.store.objects[key].data, Birth, key))
        world.store.put(key, records.encode(birth), None)
    stream = world.store.streams[records.EVENTS]
    for number, data in enumerate(stream):
        match records.decode_event(data, number + 1):
            case Born(unix=unix, birth=birth):
                stream[number] = records.encode(Born(unix - seconds, older(birth)))
            case _:
                pass
    world.known, world.known_seq = None, 0


def _autoscaled(people: People) -> None:
    count = people.scenario.workers

    def owned(spec: ClusterSpec) -> ClusterSpec:
        return with_pool(spec, WORKER, lambda pool: replace(pool, max_replicas=count + 2))

    roll_all(people, owned)
    people.scale(WORKER, count + 2)
    people.later("scale down", people.serves(WORKER), lambda: people.scale(WORKER, count + 1))


ROLLED: Mapping[Happening, Callable[[People], None]] = MappingProxyType(
    {
        Happening.ROLL_WORKERS: _roll_workers,
        Happening.ROLL_CONTROL_PLANE: _roll_control_plane,
        Happening.ROLL_ALL: roll_all,
        Happening.SURGE_0: lambda people: roll(people, WORKER, change=surging(0, 1)),
        Happening.SURGE_2: lambda people: roll(people, WORKER, change=surging(2, 1)),
        Happening.UNDO: _undo,
        Happening.ABORT: _abort,
        Happening.ABORT_DRAINING: _abort_draining,
        Happening.PAUSE_RESUME: _pause_resume,
        Happening.NEWER_APPLY: _newer_apply,
        Happening.APPLY_TWICE: _apply_twice,
        Happening.AGAIN_AFTER_BAD: _again_after_bad,
        Happening.REPLACE_WORKER: lambda people: _replace(people, Happening.REPLACE_WORKER),
        Happening.REPLACE_FOLLOWER: lambda people: _replace(people, Happening.REPLACE_FOLLOWER),
        Happening.REPLACE_LEADER: lambda people: _replace(people, Happening.REPLACE_LEADER),
        Happening.EXPIRE: _expire,
        Happening.AUTOSCALED: _autoscaled,
        Happening.STORM_ROLLING: _storm_rolling,
    }
)
