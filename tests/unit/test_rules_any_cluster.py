"""What holds of every plan, whatever befell the cluster: equal for shuffled inputs, safe, without overlaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from random import Random
from typing import Any, TypeVar

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import CP, NOW, SUPPLIES, Cluster, W, life_of, pod_of
from risen.core.deciding import decide
from risen.core.history import History, ReplaceIntent, Revoked, RolloutIntent, TaskResult
from risen.core.judge.facts import look
from risen.core.names import InstanceName, ReleaseId
from risen.core.picture import (
    BackendSeen,
    BudgetSeen,
    EtcdSeen,
    InstanceState,
    KubernetesSeen,
    Picture,
    PortSeen,
    ProviderSeen,
    Seen,
    Unseen,
)
from risen.core.plan import Plan
from risen.core.safety.invariants import violations
from risen.core.spec import Gate
from risen.core.step import Destroy, RemoveMember, WriteBootstrap, claims_of

T = TypeVar("T")
BEFALLS = (
    "stop", "stop-now", "lose", "unknown", "unlisted", "unready", "unjoined", "repair-entry", "kill-entry",
    "kill", "scale-down-entry", "unhealthy", "learner", "podded", "stateful", "cordoned", "no-backend",
)  # fmt: skip
ROLLS = (
    *BEFALLS,
    "new",
    "new",
    "bad",
    "rollout-entry",
    "rollback-entry",
    "replace",
    "attached",
    "protected",
    "pressed",
)
"""Where a rollout is under way these may befall an instance too."""
NEW, BAD = "new", "bad"


def befall(cluster: Cluster, name: str, what: str) -> None:
    """Let one thing happen to one instance."""
    match what:
        case "stop" | "stop-now":
            cluster.stop(name, ago=60.0 if what == "stop" else 0.5)
        case "lose":
            cluster.lose(name)
        case "unknown":
            cluster.instances[name] = replace(cluster.instances[name], state=InstanceState.UNKNOWN)
        case "unready" if name in cluster.nodes:
            cluster.nodes[name] = replace(cluster.nodes[name], ready=False)
        case "cordoned" if name in cluster.nodes:
            cluster.nodes[name] = replace(cluster.nodes[name], unschedulable=True, labels=())
        case "unjoined":
            cluster.lives[name] = life_of(name, joined_at_unix=None, ready_at_unix=None)
            cluster.nodes.pop(name, None)
            cluster.members.pop(name, None)
        case "repair-entry" | "kill-entry" | "scale-down-entry":
            cluster.open(name, what.removesuffix("-entry"))
        case "kill":
            cluster.kill(name)
        case "unhealthy" | "learner" if name in cluster.members:
            changes = {"healthy": False} if what == "unhealthy" else {"learner": True}
            cluster.members[name] = replace(cluster.members[name], **changes)
        case "podded" | "stateful":
            cluster.pods.append(pod_of(f"pod-{len(cluster.pods)}", name, stateful=what == "stateful"))
        case "no-backend":
            cluster.backends.pop(name, None)
        case _:
            befall_rollout(cluster, name, what)


def befall_rollout(cluster: Cluster, name: str, what: str) -> None:
    match what:
        case "new" | "bad":
            cluster.of_release(name, what)
        case "rollout-entry" | "rollback-entry":
            cluster.open(name, what.removesuffix("-entry"))
        case "replace":
            cluster.replaces.append(ReplaceIntent(f"replace-{name}", InstanceName(name), "jane"))
        case "attached":
            cluster.attachments.append((f"csi-{len(cluster.attachments)}", InstanceName(name)))
        case "protected":
            cluster.pods.append(pod_of(f"job-{len(cluster.pods)}", name, protected=True))
        case "pressed":
            cluster.instances[name] = replace(cluster.instances[name], power_pressed_at=NOW.boot - 5)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """A standing cluster to which up to six things happened, some sections of which may be unseen."""
    cluster = Cluster.standing(draw(st.sampled_from((1, 3, 5))), draw(st.integers(0, 3)))
    names = sorted(cluster.instances)
    for name, what in draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(BEFALLS)), max_size=6)):
        befall(cluster, name, what)
    for name in draw(st.lists(st.sampled_from(names), max_size=1)):
        del cluster.instances[name]
    unseen = draw(st.sets(st.sampled_from(("provider", "kubernetes", "etcd", "endpoint")), max_size=1))
    cluster.unseen = dict.fromkeys(unseen, "Unreachable: timed out")
    cluster.quorum_lost = draw(st.booleans()) and draw(st.booleans())
    cluster.etcd_id = draw(st.sampled_from((cluster.etcd_id, cluster.etcd_id, "")))
    return cluster


@st.composite
def rolling_clusters(draw: st.DrawFn) -> Cluster:
    """A cluster in the middle of a rollout: releases tried, passed, revoked; orders, results, budgets, attachments."""
    cluster = Cluster.standing(3, draw(st.integers(1, 4)))
    pools = draw(st.sets(st.sampled_from((CP, W)), min_size=1))
    cluster.apply(
        *sorted(pools), release=NEW, gates=(Gate("smoke", "http://x"),) if draw(st.booleans()) else ()
    )
    for letter in "xyz"[: draw(st.integers(0, 3))]:
        cluster.serve(f"w-{letter}").of_release(f"w-{letter}", draw(st.sampled_from((NEW, BAD))))
    names = sorted(cluster.instances)
    for name, what in draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(ROLLS)), max_size=8)):
        befall(cluster, name, what)
    for pool in draw(st.sets(st.sampled_from((CP, W)))):
        cluster.passed[ReleaseId(f"r-{pool}-{NEW}")] = ("served",)
    for pool, which in draw(st.sets(st.tuples(st.sampled_from((CP, W)), st.sampled_from((NEW, BAD))))):
        release = ReleaseId(f"r-{pool}-{which}")
        cluster.revoked[release] = Revoked(release, pool, 2, ("never Ready",), NOW.unix - 50)
    for order in draw(st.sets(st.sampled_from(("pause", "resume", "abort")), max_size=1)):
        cluster.orders |= {number: RolloutIntent(f"o-{number}", number, order, "jane") for number in (1, 2)}
    for number in range(draw(st.integers(0, 3))):
        key = f"snapshot/cp-{'abc'[number]}/1"
        cluster.results[key] = TaskResult(draw(st.booleans()), "12 MiB", NOW.unix - 10.0 * number)
        cluster.results[f"gate/2/r-{'cp' if number else 'w'}-new/smoke"] = TaskResult(
            draw(st.booleans()), "200", NOW.unix - 5
        )
    cluster.budgets = [BudgetSeen("default", f"b-{n}", n, 2, 1) for n in range(draw(st.integers(0, 2)))]
    cluster.scaled = dict.fromkeys(draw(st.sets(st.sampled_from((CP, W)))), 3)
    return cluster


def shuffled(picture: Picture, history: History, random: Random) -> tuple[Picture, History]:
    """The same values in another order."""

    def mixed(items: tuple[object, ...]) -> tuple:  # type: ignore[type-arg]
        return tuple(random.sample(items, len(items)))

    changes: dict[str, object] = {}
    for section in ("provider", "kubernetes", "etcd", "endpoint", "ports"):
        match getattr(picture, section):
            case Seen(ProviderSeen() as value, as_of):
                changes[section] = Seen(replace(value, instances=mixed(value.instances)), as_of)
            case Seen(KubernetesSeen() as value, as_of):
                parts = {one.name: mixed(getattr(value, one.name)) for one in fields(value)}
                changes[section] = Seen(KubernetesSeen(**parts), as_of)
            case Seen(EtcdSeen() as value, as_of):
                changes[section] = Seen(replace(value, members=mixed(value.members)), as_of)
            case Seen(tuple() as value, as_of):
                changes[section] = Seen(mixed(value), as_of)
    other = {}
    for one in fields(history):
        match getattr(history, one.name):
            case Mapping() as value:
                other[one.name] = dict(mixed(tuple(value.items())))
            case tuple() as value:
                other[one.name] = mixed(value)
            case value:
                other[one.name] = value
    return replace(picture, **changes), History(**other)  # type: ignore[arg-type]


def again(value: T, kind: Any = None) -> T:
    """What comes back of a value that was written as JSON."""
    back: T = msgspec.json.decode(msgspec.json.encode(value), type=kind or type(value))
    return back


def read_back(picture: Picture) -> Picture:
    """A picture whose sections and steps in flight were each written and read again."""

    def section(seen: Seen[Any] | Unseen, kind: Any = None) -> Any:
        if isinstance(seen, Unseen):
            return again(seen)
        return Seen(again(seen.value, kind), again(seen.as_of), again(seen.since))

    return Picture(
        section(picture.provider), section(picture.kubernetes), section(picture.etcd),
        section(picture.endpoint, tuple[BackendSeen, ...]),
        tuple(replace(one, step=again(one.step)) for one in picture.in_flight),
        section(picture.ports, tuple[PortSeen, ...]),
    )  # fmt: skip


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.one_of(clusters(), rolling_clusters()))
def test_a_plan_is_equal_after_everything_was_written_and_read_again(cluster: Cluster) -> None:
    first = cluster.plan()
    cluster.in_flight = list(first.steps[::2])
    picture, history = read_back(cluster.picture()), again(cluster.history())
    read = decide(again(cluster.revision), picture, history, again(NOW), again(SUPPLIES))
    assert read == cluster.plan()
    assert [again(step) for step in first.steps] == list(first.steps)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.one_of(clusters(), rolling_clusters()), st.integers(0, 2**16))
def test_a_plan_is_equal_for_shuffled_inputs(cluster: Cluster, seed: int) -> None:
    picture, history = shuffled(cluster.picture(), cluster.history(), Random(seed))
    assert decide(cluster.revision, picture, history, NOW, SUPPLIES) == cluster.plan()


def carried_out_in_any_order(cluster: Cluster, plan: Plan) -> list[str]:
    """Invariants that a step breaks though all others of the plan are assumed at their worst."""
    facts = cluster.facts()
    return [
        f"{violation}: {step}"
        for step in plan.steps
        for violation in violations(
            step, replace(facts, steps=tuple(other for other in plan.steps if other != step))
        )
    ]


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.one_of(clusters(), rolling_clusters()))
def test_the_steps_of_a_plan_keep_every_invariant_in_whatever_order_they_go(cluster: Cluster) -> None:
    assert carried_out_in_any_order(cluster, cluster.plan()) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(clusters())
def test_the_steps_of_a_plan_share_no_claim(cluster: Cluster) -> None:
    claims = [claim for step in cluster.plan().steps for claim in claims_of(step)]
    assert len(claims) == len(set(claims))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(clusters())
def test_what_is_in_flight_is_not_planned_again(cluster: Cluster) -> None:
    first = cluster.plan().steps
    cluster.in_flight = list(first)
    assert not set(first) & set(cluster.plan().steps)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(clusters())
def test_a_recorded_etcd_is_never_founded_again_and_without_sight_of_it_nothing_of_it_ends(
    cluster: Cluster,
) -> None:
    steps = cluster.plan().steps
    if cluster.etcd_id:
        assert not any(isinstance(step, WriteBootstrap) for step in steps)
    if "etcd" in cluster.unseen or cluster.quorum_lost:
        harm = [step for step in steps if isinstance(step, RemoveMember)]
        harm += [step for step in steps if isinstance(step, Destroy) and step.holds_data]
        assert harm == []


def test_the_facts_of_a_cluster_are_looked_up_by_name() -> None:
    cluster = Cluster.standing()
    assert list(look(cluster.picture(), cluster.history(), NOW).lives) == sorted(cluster.lives)
