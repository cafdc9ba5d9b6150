"""What befalls the standing cluster of a run: one function for each happening that is more than a single act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from risen.codec import records
from risen.core.events import Born
from risen.core.history import KillIntent
from risen.core.names import InstanceName, PoolName
from risen.core.spec import ClusterSpec, Disruption, PoolSpec, Share
from risen.core.step import Birth
from risen.sim.images import Behaviour
from risen.sim.people import People, with_pool
from risen.sim.scenario import CONTROL_PLANE, WORKER, Happening, release
from risen.sim.workloads import Deployment, Kind
from risen.sim.world import World

TELLS = frozenset(Behaviour) - {Behaviour.GOOD}
"""Behaviours that a release is revoked for, if its pool is one that shows them."""
DRAIN_SECONDS = 60.0
EXPIRE_SECONDS = 3600.0


def befall(people: People, what: Happening) -> None:
    """Let it happen, before the controller starts."""
    if what in ROLLOUTS:
        ROLLOUTS[what](people)
    else:
        _to_instances(people, what)


def _to_instances(people: People, what: Happening) -> None:
    world, workers = people.world, people.scenario.workers
    match what:
        case Happening.NOTHING:
            return
        case Happening.KILL_WORKER | Happening.KILL_FOLLOWER | Happening.KILL_LEADER:
            world.instances.kill(victim(world, what))
        case Happening.LOSE_WORKER | Happening.LOSE_FOLLOWER | Happening.LOSE_LEADER:
            world.instances.lose(victim(world, what))
        case Happening.POWER_CUT:
            world.instances.power_cut()
        case Happening.STORM:
            world.instances.storm()
        case Happening.ASK_KILL_WORKER | Happening.ASK_KILL_LEADER:
            intent = KillIntent("kill-1", victim(world, what), "somebody asked")
            world.store.put(records.intent_key(intent.id), records.encode(intent), None)
        case Happening.SCALE_UP:
            people.apply(workers=workers + 1)
        case Happening.SCALE_DOWN:
            people.apply(workers=workers - 1)
        case Happening.NEVER_JOINS:
            world.instances.never_joins = world.instances.ever + 1
            people.apply(workers=workers + 1)
        case _:
            raise AssertionError(f"nothing befalls by {what}")


def victim(world: World, what: Happening) -> InstanceName:
    """The first instance that fits the happening's name."""
    leader = world.etcd.name_of(world.etcd.leader)
    ours = [item for item in world.instances.all.values() if item.cluster == world.uid]
    if "leader" in what.value:
        return leader
    if "follower" in what.value:
        return next(item.name for item in ours if item.holds_etcd and item.name != leader)
    return next(item.name for item in ours if not item.holds_etcd)


# --- rollouts -----------------------------------------------------------------------------------------------
def roll(
    people: People, *pools: PoolName, change: Callable[[ClusterSpec], ClusterSpec] | None = None
) -> None:
    """Apply the second release of these pools; where its images are bad the first of them is revoked."""
    before, behaviour = people.ending, people.scenario.behaviour
    people.apply(dict.fromkeys(pools, 2), behaviour, change=change)
    bad = [pool for pool in pools if _tells(pool, behaviour)]
    if bad:
        people.ending = people.ending.gone_back_from(before, frozenset({release(bad[0], 2).release}))


def _tells(pool: PoolName, behaviour: Behaviour) -> bool:
    if behaviour is Behaviour.NO_APISERVER:
        return pool == CONTROL_PLANE
    return behaviour in TELLS


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


# --- in the way of a rollout --------------------------------------------------------------------------------
def _strict(people: People, on_drain_timeout: str) -> Deployment:
    """An app whose budget allows nothing, and what is to be done when a drain takes too long."""
    app = Deployment("default", "strict", 2, min_available=2)
    people.world.kubernetes.deployments.append(app)
    disruption = Disruption(DRAIN_SECONDS, on_drain_timeout)
    roll(people, WORKER, change=lambda spec: replace(spec, disruption=disruption))
    return app


def _budget_blocks(people: People) -> None:
    app = _strict(people, "stop")
    when = people.seconds_after(people.serves(WORKER), 2 * DRAIN_SECONDS)
    people.later("give way", when, lambda: _give_way(people, app))


def _give_way(people: People, app: Deployment) -> None:
    """The budget's owner lets one be away."""
    api, eased = people.world.kubernetes, replace(app, min_available=1)
    api.deployments[api.deployments.index(app)] = eased
    for pod in api.pods.values():
        if pod.deployment == app:
            pod.deployment = eased


def _budget_skipped(people: People) -> None:
    _strict(people, "skip")
    people.ending.mixed.add(WORKER)
    people.ending.completed -= 1


def _budget_forced(people: People) -> None:
    _strict(people, "force")


def _protected(people: People) -> None:
    api = people.world.kubernetes
    api.create_pod(Deployment("default", "batch", 0, kind=Kind.BARE, protected=True))
    roll(people, WORKER)
    when = people.seconds_after(people.serves(WORKER), 60.0)
    people.later("delete the pod", when, lambda: _delete_bare(people))


def _delete_bare(people: People) -> None:
    api = people.world.kubernetes
    for pod in [pod for pod in api.pods.values() if pod.deployment.kind is Kind.BARE]:
        api.forget_pod(pod.uid)


def _learner_left_behind(people: People) -> None:
    people.world.etcd.add_learner("https://10.77.0.250:2380")
    roll_all(people)


def _member_without_instance(people: People) -> None:
    people.world.instances.lose(victim(people.world, Happening.LOSE_FOLLOWER))
    roll_all(people)


def _provider_lying(people: People) -> None:
    lying = people.world.instances.lying
    lying.until, lying.hangs_share = people.world.timeline.now + 150.0, 0.0
    roll_all(people)


def _boot_hangs(people: People) -> None:
    people.world.instances.never_joins = people.world.instances.ever + 2
    roll(people, last(people))


def _no_capacity(people: People) -> None:
    people.world.instances.lying.full_until = people.world.timeline.now + 120.0
    roll_all(people)


def _store(people: People, attribute: str, seconds: float) -> None:
    roll_all(people)
    begins = people.runs(last(people))
    store = people.world.store
    people.later("lose the store", begins, lambda: setattr(store, attribute, True))
    people.later(
        "have it back", people.seconds_after(begins, seconds), lambda: setattr(store, attribute, False)
    )


def _api_away(people: People) -> None:
    roll_all(people)
    begins, endpoint = people.serves(last(people)), people.world.endpoint
    people.later("lose the endpoint", begins, lambda: setattr(endpoint, "away", True))
    people.later(
        "have it back", people.seconds_after(begins, 120.0), lambda: setattr(endpoint, "away", False)
    )


def _network_pending(people: People) -> None:
    people.world.kubelets.network_from = people.world.timeline.now + 150.0
    roll_all(people)


def _pulls_fail(people: People) -> None:
    people.world.kubelets.pulls_from = people.world.timeline.now + 200.0
    roll(people, WORKER)


def _fails_everywhere(people: People) -> None:
    people.world.kubelets.break_app("web")
    roll(people, WORKER)
    when = people.seconds_after(people.runs(WORKER), 120.0)
    people.later("mend the app", when, lambda: people.world.kubelets.broken.clear())


def _canary_lost(people: People) -> None:
    """It may have died of its release: nobody can tell, and it is gone back from."""
    before = people.ending
    roll(people, WORKER)
    bad = frozenset({release(WORKER, 2).release})

    def lose() -> None:
        people.world.instances.lose(people.of_release(WORKER, 2)[0].name)
        people.ending = people.ending.gone_back_from(before, bad)

    people.later("lose the first", people.serves(WORKER), lose)


def _rolling(people: People, what: Happening) -> None:
    """Something dies while the last pool is rolled and its release has passed."""
    roll_all(people)

    def dies() -> None:
        if what is Happening.POWER_CUT_ROLLING:
            people.world.instances.power_cut()
        else:
            people.world.instances.kill(victim(people.world, what))

    passed = release(last(people), 2).release
    people.later("strike", lambda: passed in people.world.history().passed, dies)


ROLLOUTS: Mapping[Happening, Callable[[People], None]] = MappingProxyType(
    {
        Happening.ROLL_WORKERS: _roll_workers,
        Happening.ROLL_CONTROL_PLANE: _roll_control_plane,
        Happening.ROLL_ALL: roll_all,
        Happening.SURGE_0: lambda people: roll(people, WORKER, change=surging(0, 1)),
        Happening.SURGE_2: lambda people: roll(people, WORKER, change=surging(2, 1)),
        Happening.UNDO: _undo,
        Happening.ABORT: _abort,
        Happening.PAUSE_RESUME: _pause_resume,
        Happening.NEWER_APPLY: _newer_apply,
        Happening.APPLY_TWICE: _apply_twice,
        Happening.AGAIN_AFTER_BAD: _again_after_bad,
        Happening.REPLACE_WORKER: lambda people: _replace(people, Happening.REPLACE_WORKER),
        Happening.REPLACE_FOLLOWER: lambda people: _replace(people, Happening.REPLACE_FOLLOWER),
        Happening.REPLACE_LEADER: lambda people: _replace(people, Happening.REPLACE_LEADER),
        Happening.EXPIRE: _expire,
        Happening.AUTOSCALED: _autoscaled,
        Happening.BUDGET_BLOCKS: _budget_blocks,
        Happening.BUDGET_SKIPPED: _budget_skipped,
        Happening.BUDGET_FORCED: _budget_forced,
        Happening.PROTECTED: _protected,
        Happening.LEARNER_LEFT_BEHIND: _learner_left_behind,
        Happening.MEMBER_WITHOUT_INSTANCE: _member_without_instance,
        Happening.PROVIDER_LYING: _provider_lying,
        Happening.BOOT_HANGS: _boot_hangs,
        Happening.NO_CAPACITY: _no_capacity,
        Happening.STORE_AWAY: lambda people: _store(people, "away", 600.0),
        Happening.STORE_FULL: lambda people: _store(people, "full", 120.0),
        Happening.API_AWAY: _api_away,
        Happening.NETWORK_PENDING: _network_pending,
        Happening.PULLS_FAIL: _pulls_fail,
        Happening.FAILS_EVERYWHERE: _fails_everywhere,
        Happening.CANARY_LOST: _canary_lost,
        Happening.KILL_WORKER_ROLLING: lambda people: _rolling(people, Happening.KILL_WORKER_ROLLING),
        Happening.KILL_LEADER_ROLLING: lambda people: _rolling(people, Happening.KILL_LEADER_ROLLING),
        Happening.POWER_CUT_ROLLING: lambda people: _rolling(people, Happening.POWER_CUT_ROLLING),
    }
)
