"""`risen plan`: waves, times and hindrances in lines; a plan in a file is good only while the world has not moved on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from baking_ground import lay_recipe
from builders import CP, SUPPLIES, W, pod_of
from builders import Cluster as Picture
from cli_ground import Ground, ground_in
from risen.bootstrap import Cluster, Host, create_cluster, open_cluster
from risen.cli.grounds import grounds, moved
from risen.cli.output import at_most
from risen.cli.planning import how_words, plan_lines, record_words, surged_at_once
from risen.codec import records
from risen.core.events import Event, PoolScaled, ReleaseRevoked, RevisionCompleted, RolloutOrdered
from risen.core.judge.verdict import judge
from risen.core.names import PoolName
from risen.core.picture import BudgetSeen
from risen.core.projection import How, Spread, Wave, project
from risen.core.rules.view import View
from risen.core.spec import Gate, Revision, Share, Strategy
from risen.services.revise import read_newest


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ground:
    """A cluster of one control-plane instance and one worker, baked and applied, but not up."""
    found = ground_in(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("RISEN_BY", "jane")
    lay_recipe(found.folder, found.home)
    asyncio.run(create_cluster(Host(found.home, found.home / "cache"), "lab"))
    found.file(found.yaml())
    assert found.risen("apply", "--yes").code == 0
    return found


@pytest.mark.parametrize(("now", "then", "told"), [
    (1, 3, "launch 2, etcd's members one by one; one loss is survived then"),
    (3, 1, "drain and delete 2, etcd's members one by one; no loss is survived then"),
])  # fmt: skip
def test_another_number_of_voters_says_what_is_survived_then(
    ground: Ground, now: int, then: int, told: str
) -> None:
    for voters in (now, then):
        ground.file(ground.yaml().replace("replicas: 1", f"replicas: {voters}", 1))
        plan = ground.risen("plan").out
        assert ground.risen("apply", "--yes").code == 0
    assert f"  control-plane: {told}" in plan.splitlines()


def opened(ground: Ground) -> Cluster:
    return asyncio.run(open_cluster(Host(ground.home, ground.home / "cache"), "lab"))


def newest(ground: Ground) -> Revision:
    found = asyncio.run(read_newest(opened(ground).store))
    assert found is not None
    return found


def tell(ground: Ground, event: Event) -> None:
    store = opened(ground).store
    asyncio.run(store.append(records.EVENTS, records.encode(event)))


def pods(ground: Ground, number: int) -> None:
    """Change what rolls the workers."""
    ground.file(ground.yaml().replace("# kubelet: {maxPods: 110}", f"kubelet: {{maxPods: {number}}}"))


# --- a plan in a file ---------------------------------------------------------------------------------------
def test_a_plan_in_a_file_is_applied_as_it_was_shown(ground: Ground) -> None:
    pods(ground, 60)
    told = ground.risen("plan", "--out", "plan")
    assert told.code == 0 and "next    risen apply plan" in told.out, told.both
    ground.file(ground.yaml(workers=7))
    applied = ground.risen("apply", "plan", "--reason", "agreed on Monday")
    second = newest(ground)
    assert applied.code == 0, applied.both
    assert [pool.max_pods for pool in second.spec.pools if pool.name == "worker"] == [60]
    assert (second.number, second.by, second.reason) == (2, "jane", "agreed on Monday")
    assert second.spec.pools[1].replicas == 1, "the file on disk has changed since; the plan has not"


def test_a_plan_is_refused_once_the_world_moved_on(ground: Ground) -> None:
    pods(ground, 60)
    ground.risen("plan", "--out", "plan")
    pods(ground, 70)
    ground.risen("apply", "--yes")
    told = ground.risen("apply", "plan")
    assert told.code == 1 and newest(ground).number == 2
    assert (
        "the world moved on: the plan stands on revision 1, and the newest is revision 2 by jane" in told.err
    )


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (PoolScaled(1.0, "i", PoolName("worker"), 2, "ci"), "is “worker: 2 wanted, 0 healthy”"),
        (RolloutOrdered(1.0, "i", 1, "pause", "ci", ""), "is “revision 1 is paused”"),
    ],
)
def test_a_plan_is_refused_once_somebody_scaled_or_ordered_something(
    ground: Ground, event: Event, said: str
) -> None:
    text = ground.yaml().replace("replicas: 1\n", "minReplicas: 1\n    maxReplicas: 3\n")
    ground.file(text if isinstance(event, PoolScaled) else ground.yaml())
    ground.risen("apply", "--yes")
    applied = (ground.folder / "cluster.yaml").read_text()
    ground.file(applied.replace("# kubelet: {maxPods: 110}", "kubelet: {maxPods: 60}"))
    assert ground.risen("plan", "--out", "plan").code == 0
    tell(ground, event)
    number = newest(ground).number
    told = ground.risen("apply", "plan")
    assert told.code == 1 and newest(ground).number == number
    assert "the world moved on since the plan" in told.err and said in told.err, told.err


def test_what_a_reader_of_a_plan_counts_as_moved() -> None:
    before = grounds(view_of(Picture.standing(3, 2)))
    assert before == (
        "revision 1 is headed for", "cp: 3 wanted, 3 healthy", "w: 2 wanted, 2 healthy", "etcd has all its voters",
    )  # fmt: skip
    lost = Picture.standing(3, 2).lose("w-a")
    assert moved(before, grounds(view_of(lost))) == (
        "it was “w: 2 wanted, 2 healthy” and is “w: 2 wanted, 1 healthy”"
    )
    voter, quorum, unseen = (
        Picture.standing(3, 2).lose("cp-a"),
        Picture.standing(3, 2),
        Picture.standing(3, 2),
    )
    quorum.quorum_lost = True
    unseen.unseen["etcd"] = "Unreachable: timed out"
    assert [grounds(view_of(one))[-1] for one in (voter, quorum, unseen)] == [
        "etcd lacks 1 voters", "etcd has lost its quorum", "etcd is not seen",
    ]  # fmt: skip


def test_an_instance_more_while_one_is_replaced_is_no_move() -> None:
    cluster = Picture.standing(3, 2)
    before = grounds(view_of(cluster))
    cluster.serve("w-x").serve("cp-x")
    assert moved(before, grounds(view_of(cluster))) == ""


def test_a_plan_that_was_applied_already_is_no_error(ground: Ground) -> None:
    pods(ground, 60)
    ground.risen("plan", "--out", "plan")
    ground.risen("apply", "plan")
    again = ground.risen("apply", "plan")
    assert (again.code, "this plan was applied already" in again.out, newest(ground).number) == (0, True, 2)


def test_a_plan_for_another_cluster_of_that_name_is_refused(ground: Ground) -> None:
    pods(ground, 60)
    ground.risen("plan", "--out", "plan")
    file = ground.folder / "plan"
    plan = records.decode(file.read_bytes(), records.PlanFile, "plan")
    file.write_bytes(records.encode(replace(plan, cluster="another")))
    told = ground.risen("apply", "plan")
    assert told.code == 1 and "for another cluster that was called lab" in told.err


def test_what_is_no_plan_is_told_from_one(ground: Ground) -> None:
    assert "a cluster.yaml is given by -f cluster.yaml" in ground.risen("apply", "cluster.yaml").err
    assert "`risen plan --out none` writes one" in ground.risen("apply", "none").err
    ground.file("{}", "broken")
    assert "broken: not a record of Risen" in ground.risen("apply", "broken").err
    assert ground.risen("apply", "plan", "-f", "cluster.yaml").code == 64


def test_no_plan_is_written_of_what_could_not_be_applied_as_it_is(ground: Ground) -> None:
    assert "nothing would change" in ground.risen("plan", "--out", "plan").err
    lay_recipe(ground.folder, ground.home, sysctls='{vm.swappiness: "1"}')
    told = ground.risen("plan", "--out", "plan")
    assert told.code == 1 and "`risen bake` bakes them" in told.err
    assert not (ground.folder / "plan").exists()


def test_a_release_revoked_since_the_plan_is_not_applied_by_it(ground: Ground) -> None:
    pods(ground, 60)
    ground.risen("plan", "--out", "plan")
    plan = records.decode((ground.folder / "plan").read_bytes(), records.PlanFile, "plan")
    bad = plan.revision.release_of(PoolName("worker"))
    tell(ground, RevisionCompleted(1.0, 1, newest(ground).releases))
    tell(ground, ReleaseRevoked(2.0, bad.release, bad.pool, 2, ("never Ready",)))
    told = ground.risen("apply", "plan")
    assert told.code == 1 and "never Ready" in told.err and newest(ground).number == 1
    shown = ground.risen("plan")
    assert f"REFUSED  revoked ({bad.release}: never Ready): apply wants --override-revocation" in shown.out
    assert ground.risen("apply", "plan", "--override-revocation", "the registry was down").code == 0


def test_what_a_plan_stands_on_is_what_was_applied_not_by_whom(ground: Ground) -> None:
    first = newest(ground)
    by_another = replace(first, by="ci", reason="x", applied_unix=7.0)
    assert records.foundation(first) == records.foundation(by_another)
    assert records.foundation(first) != records.foundation(replace(first, number=2))
    assert records.foundation(first) != records.foundation(replace(first, releases=first.releases[:1]))


# --- the lines ----------------------------------------------------------------------------------------------
def view_of(cluster: Picture) -> View:
    facts = cluster.facts()
    return View(cluster.revision, facts, judge(facts), SUPPLIES)


def changed(*pools: PoolName, workers: int = 5, surge: int = 2) -> Picture:
    cluster = Picture.standing(3, workers)
    strategy = Strategy(max_surge=Share(surge), min_ready_seconds=60.0)
    spec = cluster.revision.spec
    return cluster.apply(*pools, pools=tuple(replace(pool, strategy=strategy) for pool in spec.pools))


def test_the_lines_tell_waves_total_quorum_and_what_stands_in_the_way(ground: Ground) -> None:
    cluster = changed(CP, W)
    cluster.pods.append(pod_of("api-1", "w-a", owner="ReplicaSet/api"))
    cluster.pods.append(pod_of("bare", "w-b", owner=""))
    cluster.budgets.append(BudgetSeen("default", "api", 0, 4, 4, ()))
    lines = plan_lines(view_of(cluster))
    assert lines[:4] == [
        "WAVE  POOL            REPLACE  HOW                                EXPECTED",
        "1     cp              3        one at a time, etcd's leader last  4m57s",
        "2     w               1        alone, under load, then 60s        2m39s",
        "3     w               4        surge 2                            3m18s",
    ]
    assert lines[4].startswith("total 10m54s (p90 11m") and "assumed" in lines[4]
    assert lines[5].startswith("QUORUM   3 voters: add a 4th (needs 3 of 4)")
    rest = [line for line in lines[6:] if not line.startswith("CAPACITY")]
    assert rest[0].startswith("BLOCKED  budget: w-a, w-b: PodDisruptionBudget default/api allows 0 (4 ready")
    assert rest[1] == "PINNED   w-b: default/bare, a bare pod: nothing makes it again elsewhere"


def test_the_control_plane_alone_has_a_quorum_line_and_workers_alone_none() -> None:
    assert not any(line.startswith("QUORUM") for line in plan_lines(view_of(changed(W))))
    assert any(line.startswith("QUORUM") for line in plan_lines(view_of(changed(CP))))


def test_nothing_to_replace_is_no_table() -> None:
    assert plan_lines(view_of(changed())) == []


def test_gates_are_named_beside_the_first_instance_of_a_release() -> None:
    cluster = changed(W)
    spec = replace(cluster.revision.spec, gates=(Gate("web", "http://x"), Gate("db", job="{}")))
    cluster.revision = replace(cluster.revision, spec=spec)
    first = next(line for line in plan_lines(view_of(cluster)) if " alone" in line)
    assert first.endswith(" + gates web, db")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (How.ONE_BY_ONE, "one at a time, etcd's leader last"),
        (How.ALONE, "alone, under load, then 10s"),
        (How.SURGE, "surge 2"),
        (How.FEWER, "2 fewer at a time"),
    ],
)
def test_how_a_wave_goes_is_said_in_words(how: How, said: str) -> None:
    assert how_words(Wave(W, cluster_release(), 4, how, 2, 10.0, Spread(1.0, 0.0))) == said


def cluster_release() -> str:
    return changed(W).revision.release_of(W).release


@pytest.mark.parametrize(
    ("pools", "surge", "more"),
    [((CP,), 2, 1), ((W,), 2, 2), ((W,), 0, 0), ((CP, W), 3, 3)],
)
def test_room_is_asked_for_as_many_as_are_launched_ahead(
    pools: tuple[PoolName, ...], surge: int, more: int
) -> None:
    cluster = changed(*pools, surge=surge)
    if surge == 0:
        spec = cluster.revision.spec
        strategy = Strategy(Share(0), Share(1))
        cluster.revision = replace(
            cluster.revision,
            spec=replace(spec, pools=tuple(replace(p, strategy=strategy) for p in spec.pools)),
        )
    view = view_of(cluster)
    assert surged_at_once(view, project(view)) == more


def test_a_forecast_says_what_it_stands_on() -> None:
    assert "assumed" in record_words(Spread(1.0, 0.0, records=0))
    assert record_words(Spread(1.0, 0.0, records=7)) == "; by the last 7 of each kind here"


def test_many_lines_are_cut_and_counted() -> None:
    lines = [str(number) for number in range(20)]
    assert at_most(lines, 3, "BLOCKED  ", "there")[-1] == "BLOCKED  and 17 more: there"
    assert at_most(lines, 20, "", "") == lines
