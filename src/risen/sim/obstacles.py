"""Rollouts of a run with something in their way: budgets, lies of the provider, what is away, full, failing or dies."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from risen.core.history import KillIntent
from risen.core.names import InstanceName, PoolName
from risen.core.rules.gates import silent_cause
from risen.core.spec import ClusterSpec, Disruption, Gate, PoolSpec
from risen.sim.images import Behaviour
from risen.sim.people import People, with_pool
from risen.sim.rolling import last, roll, roll_all, victim
from risen.sim.scenario import BATCH, CONTROL_PLANE, WORKER, Happening, release
from risen.sim.workloads import Deployment, Kind, of

DRAIN_SECONDS = 60.0
SOAK_SECONDS = 60.0
GATE_SECONDS = 60.0
SEEN_SECONDS = 90.0
"""After so long a person has seen that something does not serve."""
JOB = Gate("smoke", job='{"apiVersion": "batch/v1", "kind": "Job"}')


def _strict(people: People, on_drain_timeout: str) -> Deployment:
    """An app whose budget allows nothing, and what is to be done when a drain takes too long."""
    app = Deployment("default", "strict", 2, min_available=2)
    people.world.kubernetes.deployments.append(app)
    _roll_strictly(people, on_drain_timeout, WORKER)
    return app


def _roll_strictly(people: People, on_drain_timeout: str, *pools: PoolName) -> None:
    roll(people, *pools, change=_draining(on_drain_timeout))


def _draining(on_drain_timeout: str) -> Callable[[ClusterSpec], ClusterSpec]:
    return lambda spec: replace(spec, disruption=Disruption(DRAIN_SECONDS, on_drain_timeout))


def _budget_blocks(people: People) -> None:
    app = _strict(people, "stop")
    when = people.seconds_after(people.serves(WORKER), 2 * DRAIN_SECONDS)
    people.later("give way", when, lambda: _give_way(people, app))


def _give_way(people: People, app: Deployment) -> None:
    """The budget's owner lets one be away."""
    api, eased = people.world.kubernetes, replace(app, min_available=app.min_available - 1)
    api.deployments[api.deployments.index(app)] = eased
    for pod in api.pods.values():
        if pod.deployment == app:
            pod.deployment = eased


def _budgets_hold(people: People) -> None:
    api = people.world.kubernetes
    ours = [item.name for item in people.world.instances.all.values() if item.request.pool == WORKER]
    held = {name: _hold(people, name) for name in sorted(ours)[:2]}
    _roll_strictly(people, "stop", WORKER)
    late: list[InstanceName] = []

    def ease_the_other() -> None:
        late.extend(name for name in held if api.nodes[name].unschedulable)
        for name in held.keys() - late:
            _give_way(people, held[name])

    passed = release(WORKER, 2).release
    people.later("let another be drained", lambda: passed in people.world.history().passed, ease_the_other)
    all_others = people.serves(WORKER, count=people.scenario.workers)
    people.later("give way", all_others, lambda: _give_way(people, held[late[0]]))


def _pool_held(people: People) -> None:
    first = next(item for item in people.world.instances.all.values() if item.request.pool == BATCH)
    app = _hold(people, first.name)
    _roll_strictly(people, "stop", BATCH, WORKER)
    people.later("give way", people.serves(WORKER), lambda: _give_way(people, app))


def _hold(people: People, name: InstanceName) -> Deployment:
    """An app of one pod on this instance, whose budget allows nothing."""
    api, app = people.world.kubernetes, Deployment("default", f"strict-{name}", 1, min_available=1)
    api.deployments.append(app)
    api.bind(api.create_pod(app), name)
    return app


def _budget_skipped(people: People) -> None:
    _strict(people, "skip")
    people.ending.mixed.add(WORKER)


def _kill_draining(people: People) -> None:
    app, nodes = _strict(people, "stop"), people.world.kubernetes.nodes

    def drained() -> list[InstanceName]:
        old = [item.name for item in people.of_release(WORKER, 1) if item.name in nodes]
        return [name for name in old if nodes[name].unschedulable]

    def kill() -> None:
        name = drained()[0]
        people.ending.gone.add(name)
        people.ask(lambda key: KillIntent(key, name, "it hangs"))

    people.later("kill it", lambda: bool(drained()), kill)
    people.later("give way", people.in_seconds(2 * DRAIN_SECONDS), lambda: _give_way(people, app))


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


def _protected_draining(people: People) -> None:
    app, is_drained = _annotate_draining(people, "stop", 1800.0)
    people.later("give way", people.seconds_after(is_drained, 60.0), lambda: _give_way(people, app))
    people.later("ask no more", people.seconds_after(is_drained, 120.0), lambda: _protect(people, app, False))


def _protected_forced(people: People) -> None:
    app, is_drained = _annotate_draining(people, "force", DRAIN_SECONDS)
    when = people.seconds_after(is_drained, 2 * DRAIN_SECONDS)
    people.later("ask no more", when, lambda: _protect(people, app, False))


def _annotate_draining(
    people: People, on_drain_timeout: str, drain_seconds: float
) -> tuple[Deployment, Callable[[], bool]]:
    """A budget holds a pod on the worker that is taken last, until there it asks not to be disrupted; and whether
    that one is drained."""
    api = people.world.kubernetes
    name = victim(people.world, Happening.KILL_WORKER)
    app = _hold(people, name)
    disruption = Disruption(drain_seconds, on_drain_timeout)
    roll(people, WORKER, change=lambda spec: replace(spec, disruption=disruption))

    def is_drained() -> bool:
        return name in api.nodes and api.nodes[name].unschedulable

    people.later("ask not to be disrupted", is_drained, lambda: _protect(people, app, True))
    return app, is_drained


def _protect(people: People, app: Deployment, on: bool) -> None:
    api = people.world.kubernetes
    for pod in of(api, app):
        api.protect(pod, on)


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
    lying = people.world.instances.lying
    lying.full_until = math.inf
    roll_all(people)

    def is_told() -> bool:
        lives = people.world.history().lives.values()
        return any("no instance of this size is free" in life.refused for life in lives)

    def make_room() -> None:
        lying.full_until = 0.0

    people.later("make room", people.seconds_after(is_told, 120.0), make_room)


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


def _resume_halted(people: People) -> None:
    """The daemon is mended only once the rollout has ended."""
    people.world.kubelets.break_app("logs")
    roll(people, WORKER)

    def causes() -> tuple[str, ...]:
        halts = people.world.history().halts.get(people.number, ())
        return tuple(cause for _, cause in halts if cause.endswith("logs fails"))

    people.later("go past it", lambda: bool(causes()), lambda: people.go_past(causes()))
    ended = people.number
    people.later(
        "mend the daemon",
        lambda: people.world.history().completed >= ended,
        lambda: people.world.kubelets.broken.clear(),
    )


def _jobs_come_and_go(people: People) -> None:
    people.world.kubernetes.deployments.append(Deployment("default", "report", 0, kind=Kind.JOB))

    def slowly(pool: PoolSpec) -> PoolSpec:
        return replace(pool, strategy=replace(pool.strategy, min_ready_seconds=SOAK_SECONDS))

    roll(people, WORKER, change=lambda spec: replace(with_pool(spec, WORKER, slowly), gates=(JOB,)))


def _gate_not_pulled(people: People) -> None:
    unpulled = people.world.kubelets.unpulled
    unpulled.add(JOB.name)
    gate = replace(JOB, timeout_seconds=GATE_SECONDS)
    roll(people, WORKER, change=lambda spec: replace(spec, gates=(gate,)))

    def is_halted() -> bool:
        halts = people.world.history().halts.get(people.number, ())
        return (release(WORKER, 2).release, silent_cause(gate.name)) in halts

    when = people.seconds_after(is_halted, 2 * GATE_SECONDS)
    people.later("push the image", when, lambda: unpulled.discard(JOB.name))


def _lose_spare(people: People) -> None:
    nodes = people.world.kubernetes.nodes
    roll(people, CONTROL_PLANE)

    def is_drained() -> bool:
        old = {one.name for one in people.of_release(CONTROL_PLANE, 1)}
        return any(nodes[name].unschedulable for name in sorted(old & nodes.keys()))

    def lose() -> None:
        people.world.instances.lose(people.of_release(CONTROL_PLANE, 2)[0].name)

    people.later("lose the new one", is_drained, lose)


def _canary_lost(people: People) -> None:
    """It may have died of its release: nobody can tell, and it is gone back from."""
    before = people.ending
    roll(people, WORKER)
    bad = frozenset({release(WORKER, 2).release})

    def lose() -> None:
        people.world.instances.lose(people.of_release(WORKER, 2)[0].name)
        people.ending = people.ending.gone_back_from(before, bad)

    people.later("lose the first", people.serves(WORKER), lose)


def _overridden(people: People) -> None:
    _canary_lost(people)
    lost = release(WORKER, 2).release

    def take_it() -> None:
        people.apply({WORKER: 2})
        people.lift(lost)

    people.later("take it nevertheless", people.revoked(lost), take_it)


def _skipped_then_bad(people: People) -> None:
    """Only what the bad one brought is gone back from: not the release that all but one worker are on."""
    _budget_skipped(people)
    stood, bad = people.number, release(WORKER, 3).release

    def apply_a_bad_one() -> None:
        before = people.ending
        people.apply({WORKER: 3}, Behaviour.NO_KUBELET, change=_draining("skip"))
        people.ending = people.ending.gone_back_from(before, frozenset({bad}))
        people.ending.mixed.add(WORKER)

    people.later("apply a bad one", lambda: people.world.history().completed >= stood, apply_a_bad_one)


def _rolling(people: People, what: Happening) -> None:
    """Something dies while the last pool is rolled and its release has passed."""
    roll_all(people)

    def dies() -> None:
        if what is Happening.POWER_CUT_ROLLING:
            people.world.instances.power_cut()
        elif what is Happening.HUNG_LEADER_ROLLING:
            _sick(people, people.world.instances.hang, what)
        else:
            people.world.instances.kill(victim(people.world, what))

    passed = release(last(people), 2).release
    people.later("strike", lambda: passed in people.world.history().passed, dies)


def _sick(people: People, befalls: Callable[[str], None], what: Happening) -> None:
    """A control-plane instance that runs on serves no longer; a person who sees it asks for another."""
    name = victim(people.world, what)
    befalls(name)
    people.later("replace it", people.in_seconds(SEEN_SECONDS), lambda: people.replace_instance(name))


HINDERED: Mapping[Happening, Callable[[People], None]] = MappingProxyType(
    {
        Happening.BUDGET_BLOCKS: _budget_blocks,
        Happening.BUDGETS_HOLD: _budgets_hold,
        Happening.POOL_HELD: _pool_held,
        Happening.BUDGET_SKIPPED: _budget_skipped,
        Happening.BUDGET_FORCED: _budget_forced,
        Happening.KILL_DRAINING: _kill_draining,
        Happening.PROTECTED: _protected,
        Happening.PROTECTED_DRAINING: _protected_draining,
        Happening.PROTECTED_FORCED: _protected_forced,
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
        Happening.RESUME_HALTED: _resume_halted,
        Happening.JOBS_COME_AND_GO: _jobs_come_and_go,
        Happening.GATE_NOT_PULLED: _gate_not_pulled,
        Happening.LOSE_SPARE: _lose_spare,
        Happening.CANARY_LOST: _canary_lost,
        Happening.OVERRIDDEN: _overridden,
        Happening.SKIPPED_THEN_BAD: _skipped_then_bad,
        Happening.KILL_WORKER_ROLLING: lambda people: _rolling(people, Happening.KILL_WORKER_ROLLING),
        Happening.KILL_LEADER_ROLLING: lambda people: _rolling(people, Happening.KILL_LEADER_ROLLING),
        Happening.POWER_CUT_ROLLING: lambda people: _rolling(people, Happening.POWER_CUT_ROLLING),
        Happening.HUNG_LEADER_ROLLING: lambda people: _rolling(people, Happening.HUNG_LEADER_ROLLING),
        Happening.HUNG_LEADER: lambda people: _sick(
            people, people.world.instances.hang, Happening.HUNG_LEADER
        ),
        Happening.MUTE_FOLLOWER: lambda people: _sick(
            people, people.world.instances.silence, Happening.MUTE_FOLLOWER
        ),
    }
)
