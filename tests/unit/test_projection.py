"""What a plan foresees: waves and their order, how long they take, and what stands in the way, by name."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import CP, SUPPLIES, Cluster, W, life_of, pod_of
from risen.core.history import Entry, Life, Revoked, RolloutIntent
from risen.core.judge.verdict import judge
from risen.core.names import InstanceName, PoolName, ReleaseId, Role
from risen.core.picture import BudgetSeen
from risen.core.projection import How, Projection, Spread, hindrances, pinned, progress, project, quorum_words
from risen.core.projection.forecast import ASSUMED_BOOT, NOTHING, boots, certain, drains
from risen.core.reasons import REPLACE, ROLLOUT
from risen.core.rules.view import View
from risen.core.safety.quorum import quorum_of
from risen.core.spec import Share, Strategy
from risen.core.step import WriteBirth

BOOT, DRAIN, SOAK = 9.0, 12.0, 10.0
"""Of `life_of`: launched and Ready 9 s later; `with_past` adds drains of 12 s."""
CYCLE = BOOT + SOAK + DRAIN


def view_of(cluster: Cluster) -> View:
    facts = cluster.facts()
    return View(cluster.revision, facts, judge(facts), SUPPLIES)


def later_life(name: str, **changes: object) -> Life:
    """One that was raised beside a standing cluster."""
    life = life_of(name, **changes)
    return replace(life, birth=replace(life.birth, reason="roll to r-x"))


def with_past(cluster: Cluster) -> Cluster:
    """One instance of each pool was rolled before: its drain took 12 s."""
    for name in ("cp-z", "w-z"):
        opened = cluster.now.unix - 500.0
        cluster.lives[name] = later_life(name, gone_at_unix=opened + DRAIN)
        entry = Entry(
            f"{name}-1", InstanceName(name), ROLLOUT, ("r-old → r-w",), opened, opened + 20, "rolled"
        )
        cluster.entries[entry.id] = entry
    return cluster


def rolling(*pools: PoolName, workers: int = 5, strategy: Strategy | None = None) -> Cluster:
    """Three and `workers`, with a new release for these pools."""
    cluster = with_past(Cluster.standing(3, workers))
    spec = cluster.revision.spec
    changed = tuple(replace(pool, strategy=strategy or pool.strategy) for pool in spec.pools)
    return cluster.apply(*pools, pools=changed)


def shape(projection: Projection) -> list[tuple[str, int, How, int]]:
    return [(wave.pool, wave.count, wave.how, wave.width) for wave in projection.waves]


def test_nothing_is_foreseen_of_a_cluster_that_is_what_is_wanted() -> None:
    projection = project(view_of(Cluster.standing()))
    assert (projection.waves, projection.count, projection.takes) == ((), 0, NOTHING)


def test_the_control_plane_goes_first_then_one_worker_alone_then_the_others() -> None:
    strategy = Strategy(max_surge=Share(2))
    assert shape(project(view_of(rolling(CP, W, strategy=strategy)))) == [
        ("cp", 3, How.ONE_BY_ONE, 1),
        ("w", 1, How.ALONE, 1),
        ("w", 4, How.SURGE, 2),
    ]


def test_what_an_older_revision_still_tries_is_foreseen_to_go_first_and_then_everything_else() -> None:
    cluster = rolling(W, workers=3)
    cluster.serve("w-x").of_release("w-x")
    for part in (cluster.lives, cluster.instances, cluster.nodes):
        part.pop("w-c")
    cluster.apply(CP, W, release="newer")
    foreseen = project(view_of(cluster))
    assert shape(foreseen) == [
        ("w", 1, How.SURGE, 1),
        ("cp", 3, How.ONE_BY_ONE, 1),
        ("w", 1, How.ALONE, 1),
        ("w", 2, How.SURGE, 1),
    ]
    assert [wave.release for wave in foreseen.waves] == ["r-w", "r-cp-newer", "r-w-newer", "r-w-newer"]
    assert foreseen.takes.mean == sum(wave.takes.mean for wave in foreseen.waves)
    workers = progress(view_of(cluster))[1]
    assert (workers.release, workers.done, workers.to_go) == ("r-w-newer", 0, 3)


def test_a_release_that_has_passed_needs_no_first_instance_of_its_own() -> None:
    cluster = rolling(W)
    cluster.passed[ReleaseId("r-w-new")] = ("served",)
    assert shape(project(view_of(cluster))) == [("w", 5, How.SURGE, 1)]


def test_going_back_the_workers_go_first() -> None:
    cluster = rolling(CP, W)
    for name in ("cp-a", "w-a"):
        cluster.of_release(name)
    bad = ReleaseId("r-w-new")
    cluster.revoked[bad] = Revoked(bad, W, 2, ("never Ready",), cluster.now.unix)
    projection = project(view_of(cluster))
    assert shape(projection) == [("w", 1, How.SURGE, 1), ("cp", 1, How.ONE_BY_ONE, 1)]
    assert projection.back == "r-w-new is revoked: never Ready"


@pytest.mark.parametrize(("aborted", "order"), [(False, ["w", "cp"]), (True, ["cp", "w"])])
def test_an_undo_goes_workers_first_too_and_giving_it_up_is_forward_again(
    aborted: bool, order: list[str]
) -> None:
    cluster = rolling(CP, W)
    cluster.revision = replace(cluster.revision, number=3, back_to=1)
    for pool in (CP, W):
        cluster.passed[ReleaseId(f"r-{pool}-new")] = ("completed",)
    if aborted:
        for name in ("cp-a", "w-a"):
            cluster.of_release(name)
        cluster.orders[3] = RolloutIntent("o", 3, "abort", "jane")
    assert [pool for pool, *_ in shape(project(view_of(cluster)))] == order
    assert [step.birth.pool for step in cluster.steps(WriteBirth)] == order[:1]  # type: ignore[attr-defined]


def test_without_surge_they_are_ended_first_as_many_as_may_be_out() -> None:
    cluster = rolling(W, strategy=Strategy(Share(0), Share(2)))
    assert shape(project(view_of(cluster)))[1:] == [("w", 4, How.FEWER, 2)]


def test_the_time_is_what_boots_soak_and_drains_took_before_by_rounds() -> None:
    projection = project(view_of(rolling(CP, W, strategy=Strategy(max_surge=Share(2)))))
    cp, first, rest = projection.waves
    assert (cp.takes.mean, first.takes.mean, rest.takes.mean) == (3 * CYCLE, CYCLE + SOAK, 2 * CYCLE)
    assert projection.takes.mean == 6 * CYCLE + SOAK
    assert projection.takes.least == projection.takes.mean and projection.takes.records == 1


def test_pools_go_side_by_side_but_for_their_first_instances() -> None:
    cluster = rolling(W)
    other = PoolName("x")
    pool = replace(cluster.revision.spec.pool(W) or pytest.fail(), name=other, replicas=2)
    releases = tuple(replace(one, pool=other, release=ReleaseId("r-x")) for one in cluster.settled[1:])
    cluster.settled += releases
    cluster.passed[ReleaseId("r-x")] = ("completed",)
    new = tuple(replace(one, release=ReleaseId("r-x-new")) for one in releases)
    spec = replace(cluster.revision.spec, pools=(*cluster.revision.spec.pools, pool))
    cluster.revision = replace(cluster.revision, spec=spec, releases=(*cluster.revision.releases, *new))
    for name in ("x-a", "x-b"):
        cluster.serve(name)
        life = cluster.lives[name]
        cluster.lives[name] = replace(life, birth=replace(life.birth, role=Role.WORKER))
    projection = project(view_of(cluster))
    assert [(wave.pool, wave.how) for wave in projection.waves] == [
        ("w", How.ALONE), ("x", How.ALONE), ("w", How.SURGE), ("x", How.SURGE),
    ]  # fmt: skip
    first = CYCLE + SOAK
    assert projection.takes.mean == max(first + 4 * CYCLE, 2 * first + CYCLE)


def test_what_is_under_way_is_counted_with_the_time_it_has_behind_it() -> None:
    cluster = rolling(W)
    cluster.passed[ReleaseId("r-w-new")] = ("served",)
    before = project(view_of(cluster)).takes.mean
    entry = Entry("w-a-1", InstanceName("w-a"), ROLLOUT, (), cluster.now.unix - 5.0)
    cluster.serve("w-n").of_release("w-n").entries[entry.id] = entry
    projection = project(view_of(cluster))
    assert projection.count == 5
    assert projection.takes.mean == pytest.approx(before - BOOT - SOAK - 5.0)


def test_a_first_instance_that_took_over_has_only_its_soak_ahead() -> None:
    cluster = rolling(W)
    cluster.serve("w-n").of_release("w-n")
    cluster.lives["w-a"] = replace(cluster.lives["w-a"], gone_at_unix=cluster.now.unix - 4.0)
    for table in (cluster.instances, cluster.nodes):
        del table["w-a"]
    entry = Entry(
        "w-a-1", InstanceName("w-a"), ROLLOUT, (), cluster.now.unix - 16.0, cluster.now.unix - 3, "rolled"
    )
    cluster.entries[entry.id] = entry
    first, rest = project(view_of(cluster)).waves
    assert (first.count, first.how, first.takes.mean) == (0, How.ALONE, pytest.approx(SOAK - 4.0))
    assert rest.count == 4


def test_without_surge_what_comes_in_the_place_of_the_ended_is_still_owed() -> None:
    cluster = rolling(W, strategy=Strategy(Share(0), Share(1)))
    cluster.passed[ReleaseId("r-w-new")] = ("served",)
    whole = project(view_of(cluster)).takes.mean
    entry = Entry("w-a-1", InstanceName("w-a"), ROLLOUT, (), cluster.now.unix - 5.0)
    cluster.entries[entry.id] = entry
    assert project(view_of(cluster)).takes.mean == pytest.approx(whole - 5.0)


def test_progress_tells_done_going_and_not_touched_yet() -> None:
    cluster = rolling(W, workers=3).serve("w-n").of_release("w-n")
    entry = Entry("w-a-1", InstanceName("w-a"), ROLLOUT, (), cluster.now.unix)
    cluster.entries[entry.id] = entry
    control_plane, workers = progress(view_of(cluster))
    assert (control_plane.done, control_plane.wanted, control_plane.to_go) == (3, 3, 0)
    assert (workers.release, workers.done, workers.wanted) == ("r-w-new", 1, 3)
    assert (workers.going, workers.to_go) == (("w-a",), 2)


def test_without_any_record_the_forecast_says_that_it_assumes() -> None:
    history = Cluster.nothing().history()
    assert boots(history, Role.WORKER) == ASSUMED_BOOT
    assert drains(Cluster.standing().history(), Role.WORKER).records == 0


def test_only_the_last_twenty_boots_of_that_role_count() -> None:
    cluster = Cluster.standing(3, 0)
    for number in range(30):
        at = 20000.0 + number
        took = 100.0 if number < 10 else 20.0
        life = later_life(f"w-{number}", launched_at_unix=at - took, ready_at_unix=at)
        cluster.lives[f"w-{number}"] = life
    assert boots(cluster.history(), Role.WORKER) == Spread(20.0, 0.0, 20.0, 20)


def test_boots_of_the_bring_up_count_while_there_are_no_others_and_promise_no_speed() -> None:
    cluster = Cluster.standing(3, 2)
    assert boots(cluster.history(), Role.WORKER) == Spread(BOOT, 0.0, 5.0, 2), (
        "5 s to join, then the bring-up"
    )
    cluster.lives["w-z"] = later_life("w-z", ready_at_unix=10003.0)
    assert boots(cluster.history(), Role.WORKER) == Spread(3.0, 0.0, 3.0, 1)


def test_drains_of_repairs_and_of_people_who_kill_say_nothing_of_a_rollout() -> None:
    cluster = with_past(Cluster.standing())
    for key, reason in (("w-z-1", "repair"), ("cp-z-1", REPLACE)):
        cluster.entries[key] = replace(cluster.entries[key], reason=reason)
    assert drains(cluster.history(), Role.WORKER).records == 0
    assert drains(cluster.history(), Role.CONTROL_PLANE).mean == DRAIN


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=20),
    st.integers(1, 50),
)
def test_a_longer_rollout_is_forecast_more_closely_than_its_parts(seconds: list[int], count: int) -> None:
    from risen.core.projection.forecast import of_records

    one = of_records(seconds, ASSUMED_BOOT)
    all_of_them = one.times(count)
    assert all_of_them.least <= all_of_them.mean + 1e-6 <= all_of_them.p90 + 2e-6
    assert all_of_them.p90 <= one.p90 * count + 1e-6
    assert (one + certain(3.0)).mean == pytest.approx(one.mean + 3.0)


# --- what stands in the way ---------------------------------------------------------------------------------
def blocked(cluster: Cluster) -> list[tuple[str, str, str]]:
    return [(item.name, item.subject, item.why) for item in hindrances(view_of(cluster))]


def test_a_budget_that_allows_nothing_is_named_with_its_pod_and_arithmetic() -> None:
    cluster = rolling(W)
    cluster.pods.append(pod_of("api-1", "w-a", labels=(("app", "api"),), owner="ReplicaSet/api"))
    cluster.budgets.append(BudgetSeen("default", "api", 0, 4, 4, (("app", "api"),)))
    cluster.budgets.append(BudgetSeen("default", "free", 1, 4, 3, (("app", "other"),)))
    why = (
        "PodDisruptionBudget default/api allows 0 (4 ready, needs 4): default/api-1 stays until it allows one; "
        "the others go on"
    )
    assert blocked(cluster) == [("budget", "w-a", why)]


def test_a_control_plane_instance_that_cannot_be_drained_is_said_to_hold_the_workers() -> None:
    cluster = Cluster.standing(3, 2).apply(CP, W)
    cluster.pods = [pod_of(f"api-{name}", name, labels=(("app", "api"),)) for name in ("cp-a", "w-a")]
    cluster.budgets = [BudgetSeen("default", "api", 0, 2, 2, (("app", "api"),))]
    ends = {item.subject: item.why.rpartition("allows one; ")[2] for item in hindrances(view_of(cluster))}
    assert ends == {"cp-a": "the others of its role go on, workers wait", "w-a": "the others go on"}


def test_a_budget_over_many_instances_is_one_line() -> None:
    cluster = rolling(W)
    for letter in "abcde":
        cluster.pods.append(pod_of(f"p-{letter}", f"w-{letter}", owner="ReplicaSet/p"))
    cluster.budgets.append(BudgetSeen("default", "all", 0, 5, 5, None))
    ((_, subject, why),) = blocked(cluster)
    assert subject == "w-a, w-b, w-c and 2 more"
    assert "default/p-a, default/p-b, default/p-c and 2 more stays until" in why and "if its selector" in why


def test_two_budgets_on_one_pod_are_named_for_kubernetes_never_evicts_it() -> None:
    cluster = rolling(W)
    cluster.pods.append(pod_of("api-1", "w-a", labels=(("app", "api"),), owner="ReplicaSet/api"))
    cluster.budgets += [BudgetSeen("default", name, 1, 4, 3, (("app", "api"),)) for name in ("one", "two")]
    assert blocked(cluster) == [
        ("budget", "w-a", "one and two both count pod default/api-1: Kubernetes evicts none that two count")
    ]


def test_daemons_and_pods_of_instances_that_stay_stand_in_nobodys_way() -> None:
    cluster = rolling(CP)
    cluster.pods.append(pod_of("d", "cp-a", daemon=True, owner="DaemonSet/d"))
    cluster.pods.append(pod_of("api", "w-a", owner="ReplicaSet/api", protected=True))
    cluster.budgets.append(BudgetSeen("default", "all", 0, 1, 1, None))
    assert blocked(cluster) == [] and pinned(view_of(cluster)) == ()


def test_protected_pods_are_named() -> None:
    cluster = rolling(W)
    cluster.pods.append(pod_of("job", "w-b", protected=True, owner="Job/job"))
    ((name, subject, why),) = blocked(cluster)
    assert (name, subject) == ("do-not-disrupt", "w-b") and why.startswith("default/job asks not to be")


def test_what_has_finished_stands_in_nobodys_way_and_is_no_loss() -> None:
    cluster = rolling(W)
    cluster.pods.append(pod_of("once", "w-b", ready=False, finished=True, protected=True, owner=""))
    cluster.budgets.append(BudgetSeen("default", "all", 0, 1, 1, None))
    assert blocked(cluster) == [] and pinned(view_of(cluster)) == ()


def test_a_control_plane_is_rolled_beside_whole_etcd_only() -> None:
    cluster = rolling(CP)
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], healthy=False)
    assert blocked(cluster) == [("quorum", "cp", "2 of 3 voters are healthy: all must be first")]
    cluster.unseen["etcd"] = "Unreachable"
    assert [name for name, _, _ in blocked(cluster)] == ["cannot-see"]


def test_pods_that_nothing_brings_elsewhere_are_named() -> None:
    cluster = rolling(W)
    cluster.pods += [
        pod_of("bare", "w-a", owner=""),
        pod_of("db-0", "w-a", owner="StatefulSet/db", local_volume=True),
        pod_of("static", "w-b", mirror=True),
        pod_of("web", "w-b", owner="ReplicaSet/web"),
    ]
    assert [(one.instance, one.pod, one.why.split(":")[0]) for one in pinned(view_of(cluster))] == [
        ("w-a", "default/bare", "a bare pod"),
        ("w-a", "default/db-0", "its volume is on this node alone and ends with it"),
        ("w-b", "default/static", "a static pod"),
    ]


@pytest.mark.parametrize(
    ("voters", "said"),
    [
        (1, "1 voter: add a 2nd (needs 2 of 2), remove the old one (needs 1 of 1); no loss is survived"),
        (3, "3 voters: add a 4th (needs 3 of 4), remove the old one (needs 2 of 3); one loss is survived"),
        (5, "5 voters: add a 6th (needs 4 of 6), remove the old one (needs 3 of 5); 2 losses are survived"),
    ],
)
def test_the_quorum_line_does_the_arithmetic(voters: int, said: str) -> None:
    assert quorum_words(voters) == f"{said} at every step"


def test_the_quorum_line_never_promises_more_than_either_step_survives() -> None:
    for voters in range(1, 10):
        losses = {"no": 0, "one": 1}
        word = quorum_words(voters).split("; ")[1].split()[0]
        promised = losses.get(word) if word in losses else int(word)
        survives = min(count - quorum_of(count) for count in (voters, voters + 1))
        assert promised == survives


def test_shuffled_pods_and_budgets_give_one_answer() -> None:
    cluster = rolling(W)
    for letter in "abc":
        labels = (("app", letter),)
        cluster.pods.append(pod_of(f"p-{letter}", f"w-{letter}", owner="ReplicaSet/p", labels=labels))
    budgets = [BudgetSeen("default", letter, 0, 1, 1, (("app", letter),)) for letter in "abc"]
    answers = set()
    for order in itertools.permutations(budgets):
        cluster.budgets = list(order)
        cluster.pods.reverse()
        answers.add(hindrances(view_of(cluster)))
    assert len(answers) == 1
