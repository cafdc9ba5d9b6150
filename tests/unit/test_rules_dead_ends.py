"""States that once led nowhere: nothing went on, and nobody was told why."""

from __future__ import annotations

from dataclasses import replace

from builders import BORN_UNIX, CP, NOW, Cluster, W, birth_of, life_of, pod_of
from risen.core.history import ReplaceIntent, Revoked, RolloutIntent
from risen.core.names import InstanceName, PoolName, ReleaseId, Role
from risen.core.picture import BudgetSeen
from risen.core.spec import PoolSpec
from risen.core.step import (
    CloseEntry,
    CompleteRevision,
    Destroy,
    EvictPod,
    OpenEntry,
    PowerOn,
    UncordonNode,
    WriteBirth,
)

NEW = ReleaseId("r-x")


def opened(cluster: Cluster) -> list[tuple[str, str]]:
    return [(step.subject, step.reason) for step in cluster.steps(OpenEntry)]  # type: ignore[attr-defined]


# --- an entry whose replacement came to nothing -------------------------------------------------------------
def came_to_nothing() -> Cluster:
    """`w-b` died; the replacement that was born for it is gone too, its own entry closed; the pool is whole."""
    cluster = Cluster.standing(3, 2)
    cluster.lives["w-d"] = life_of("w-d", gone_at_unix=NOW.unix - 100)
    cluster.open("w-d", "repair", opened=NOW.unix - 120)
    cluster.lives["w-e"] = replace(
        life_of("w-e", gone_at_unix=NOW.unix - 60, ready_at_unix=None), birth=birth_of("w-e", "w-d-1")
    )
    return cluster.open("w-e", "scale-down", opened=NOW.unix - 90)


def test_an_entry_is_closed_whose_replacement_came_to_nothing_where_the_pool_has_all_it_wants() -> None:
    cluster = came_to_nothing()
    cluster.entries["w-e-1"] = replace(cluster.entries["w-e-1"], closed_unix=NOW.unix - 50, outcome="removed")
    assert cluster.steps(CloseEntry) == [CloseEntry("w-d-1", "removed")]
    cluster.lives.pop("w-b")
    cluster.instances.pop("w-b")
    assert cluster.steps(CloseEntry) == [], "one is owed"


def test_while_the_replacement_is_there_it_is_waited_for() -> None:
    cluster = came_to_nothing()
    assert cluster.steps(CloseEntry) == [CloseEntry("w-e-1", "removed")]


# --- a kill of what is being drained, or came back ----------------------------------------------------------
def test_what_a_person_wants_ended_now_is_let_go_by_its_drain_and_ended() -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    cluster.passed[ReleaseId("r-w-new")] = ("tried",)
    cluster.serve("w-x").of_release("w-x").open("w-a", "rollout", opened=NOW.unix - 10)
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], unschedulable=True, our_cordon=True)
    cluster.pods = [pod_of("web", "w-a", labels=(("app", "web"),))]
    cluster.budgets = [BudgetSeen("default", "web", 0, 4, 4, (("app", "web"),))]
    assert cluster.steps(CloseEntry, Destroy) == []
    cluster.kill("w-a")
    assert cluster.steps(CloseEntry, EvictPod, UncordonNode) == [CloseEntry("w-a-1", "called off")]
    cluster.entries["w-a-1"] = replace(cluster.entries["w-a-1"], closed_unix=NOW.unix, outcome="called off")
    assert ("w-a", "kill") in opened(cluster)


def test_what_came_back_and_never_serves_is_ended_when_a_person_says_so() -> None:
    cluster = Cluster.standing(3, 2).open("w-a", "repair")
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], ready=False)
    assert cluster.steps(Destroy) == []
    cluster.kill("w-a")
    assert [step.instance for step in cluster.steps(Destroy)] == ["w-a"]  # type: ignore[attr-defined]


def handing_over(control_plane: int) -> Cluster:
    """An old control-plane instance is being drained beside the new one, which serves."""
    cluster = Cluster.standing(control_plane, 2).apply(CP).serve("cp-x").of_release("cp-x")
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    return cluster.open("cp-a", "rollout", opened=NOW.unix - 10)


def test_a_kill_that_may_not_be_done_lets_the_handover_go_on() -> None:
    solo, three = handing_over(1).kill("cp-a"), handing_over(3).kill("cp-a")
    assert solo.steps(CloseEntry) == [], "of two voters both are needed"
    assert three.steps(CloseEntry) == [CloseEntry("cp-a-1", "called off")]


def test_what_was_to_go_beside_a_spare_stays_once_that_is_gone() -> None:
    cluster = handing_over(3)
    assert cluster.steps(CloseEntry) == []
    cluster.bury("cp-x").open("cp-x", "repair")
    assert CloseEntry("cp-a-1", "called off") in cluster.steps(CloseEntry)


def hung(name: str) -> Cluster:
    """A person asked for another in place of a control-plane instance whose etcd hangs."""
    cluster = Cluster.standing(3, 2)
    cluster.members[name] = replace(cluster.members[name], healthy=False, leader=False)
    cluster.nodes[name] = replace(cluster.nodes[name], ready=False)
    cluster.replaces.append(ReplaceIntent("asked-1", InstanceName(name), "jane"))
    return cluster


def test_what_votes_no_more_goes_without_a_spare_and_is_not_let_live_for_want_of_one() -> None:
    cluster = hung("cp-a")
    assert opened(cluster) == [("cp-a", "replace")]
    cluster.replaces.clear()
    assert cluster.open("cp-a", "replace", opened=NOW.unix - 10).steps(CloseEntry) == []


def test_what_does_not_serve_and_votes_on_awaits_its_spare() -> None:
    cluster = hung("cp-a")
    cluster.members["cp-a"] = replace(cluster.members["cp-a"], healthy=True)
    assert opened(cluster) == []
    assert "of 3 wanted it is 1" in cluster.blocked()["fault-tolerance"]
    assert len(cluster.steps(WriteBirth)) == 1
    cluster.serve("cp-x")
    assert opened(cluster) == [("cp-a", "replace")]


def test_what_lost_its_spare_is_asked_for_still() -> None:
    cluster = Cluster.standing(3, 2).open("cp-a", "replace", opened=NOW.unix - 60)
    cluster.entries["cp-a-1"] = replace(
        cluster.entries["cp-a-1"], closed_unix=NOW.unix - 10, outcome="called off"
    )
    assert len(cluster.steps(WriteBirth)) == 1


# --- what never served --------------------------------------------------------------------------------------
def test_a_founder_that_votes_and_never_serves_goes_once_the_mended_one_serves() -> None:
    cluster = Cluster.standing(1, 0)
    cluster.settled, cluster.completed, cluster.passed = (), 0, {}
    cluster.apply(CP)
    cluster.settled, cluster.completed = (), 0
    cluster.lives["cp-a"] = replace(cluster.lives["cp-a"], ready_at_unix=None)
    cluster.nodes.pop("cp-a")
    assert opened(cluster) == []
    cluster.serve("cp-x").of_release("cp-x")
    assert opened(cluster) == [("cp-a", "rollout")]


def test_workers_that_were_never_ready_make_room_for_those_that_are() -> None:
    cluster = Cluster.standing(3, 3).apply(W)
    cluster.passed[ReleaseId("r-w-new")] = ("tried",)
    for name in ("w-a", "w-b", "w-c"):
        cluster.lives[name] = replace(cluster.lives[name], ready_at_unix=None)
        cluster.nodes[name] = replace(cluster.nodes[name], ready=False)
    cluster.serve("w-x").of_release("w-x")
    assert [reason for _, reason in opened(cluster)] == ["rollout"]


def test_while_a_release_is_tried_nobody_is_taken_for_booting_before_its_first_instance_serves() -> None:
    cluster = Cluster.standing(3, 2).apply(W).serve("w-x").of_release("w-x")
    for name in ("w-a", "w-x"):
        cluster.lives[name] = replace(cluster.lives[name], ready_at_unix=None)
        cluster.nodes[name] = replace(cluster.nodes[name], ready=False)
    assert opened(cluster) == []


def test_a_leader_that_does_not_serve_goes_before_followers_that_do() -> None:
    cluster = Cluster.standing(3, 0).apply(CP).serve("cp-x").of_release("cp-x")
    cluster.passed[ReleaseId("r-cp-new")] = ("tried",)
    leader = next(name for name, member in cluster.members.items() if member.leader)
    cluster.nodes[leader] = replace(cluster.nodes[leader], ready=False)
    assert opened(cluster) == [(leader, "rollout")]


# --- pools that come, go and are empty ----------------------------------------------------------------------
def autoscaled(cluster: Cluster, least: int, most: int) -> Cluster:
    spec = cluster.revision.spec
    pools = tuple(
        replace(one, replicas=least, max_replicas=most) if one.name == W else one for one in spec.pools
    )
    cluster.revision = replace(cluster.revision, spec=replace(spec, pools=pools))
    return cluster


def test_the_release_of_an_empty_pool_has_passed_nothing_and_its_first_instance_tries_it() -> None:
    cluster = autoscaled(Cluster.standing(3, 0).apply(W), 0, 5)
    (step,) = cluster.steps(CompleteRevision)
    assert isinstance(step, CompleteRevision)
    assert [(one.pool, one.release) for one in step.releases] == [("cp", "r-cp"), ("w", "r-w")]
    cluster.completed, cluster.settled = step.revision, step.releases
    assert cluster.steps(CompleteRevision) == []
    cluster.scaled[W] = 2
    assert [step.birth.release for step in cluster.steps(WriteBirth)] == ["r-w", "r-w"]  # type: ignore[attr-defined]
    cluster.serve("w-a").serve("w-b")
    assert [step.birth.release for step in cluster.steps(WriteBirth)] == ["r-w-new"]  # type: ignore[attr-defined]


def test_a_pool_under_another_name_is_ended_once_the_new_one_serves() -> None:
    cluster = renamed()
    assert opened(cluster) == []
    assert "x to serve before the instances of w are ended" in [
        one.for_what for one in cluster.plan().waiting
    ]
    for name in ("x-a", "x-b"):
        cluster.serve(name)
        life = cluster.lives[name]
        cluster.lives[name] = replace(life, birth=replace(life.birth, release=NEW))
    assert opened(cluster) == [], "its release has not passed"
    cluster.passed[NEW] = ("tried",)
    assert {reason for _, reason in opened(cluster)} == {"scale-down"}
    cluster.orders[2] = RolloutIntent("i", 2, "abort", "jane")
    assert not {name for name, _ in opened(cluster)} & {"w-a", "w-b"}, "it is gone back to"


def renamed() -> Cluster:
    """Revision 2 calls the workers' pool `x`, with a release that nobody has tried."""
    cluster, name = Cluster.standing(3, 2), PoolName("x")
    spec = cluster.revision.spec
    pools = tuple(replace(one, name=name) if one.name == W else one for one in spec.pools)
    releases = tuple(
        replace(one, pool=name, release=NEW) if one.pool == W else one for one in cluster.revision.releases
    )
    cluster.revision = replace(cluster.revision, number=2, spec=replace(spec, pools=pools), releases=releases)
    return cluster


def test_a_pool_under_another_name_makes_room_where_the_provider_has_none() -> None:
    cluster = renamed()
    cluster.lives["x-a"] = life_of("x-a", launched_at_unix=None, refused="NoCapacity")
    assert {reason for _, reason in opened(cluster)} == {"scale-down"}


def test_a_pool_whose_release_passed_is_kept_though_its_revision_never_stood_whole() -> None:
    """It came with a revision that stood but for a protected pod; a later one of another pool is bad."""
    cluster = Cluster.standing(3, 2)
    spec, new, good, bad = cluster.revision.spec, PoolName("v"), ReleaseId("r-v"), ReleaseId("r-w-new")
    cluster.apply(W)
    cluster.revision = replace(
        cluster.revision,
        number=3,
        spec=replace(spec, pools=(*spec.pools, PoolSpec(new, Role.WORKER, 1))),
        releases=(*cluster.revision.releases, replace(cluster.revision.releases[-1], pool=new, release=good)),
    )
    cluster.serve("v-a")
    cluster.lives["v-a"] = replace(
        cluster.lives["v-a"], birth=replace(cluster.lives["v-a"].birth, release=good)
    )
    cluster.passed[good] = ("tried",)
    cluster.revoked[bad] = Revoked(bad, W, 3, ("never Ready",), NOW.unix)
    assert opened(cluster) == []


def test_a_pool_that_came_with_what_is_gone_back_from_goes_with_it() -> None:
    cluster = Cluster.standing(3, 2)
    spec, new = cluster.revision.spec, PoolName("v")
    bad = ReleaseId("r-v")
    release = replace(cluster.revision.releases[-1], pool=new, release=bad)
    cluster.revision = replace(
        cluster.revision,
        number=2,
        spec=replace(spec, pools=(*spec.pools, PoolSpec(new, Role.WORKER, 1))),
        releases=(*cluster.revision.releases, release),
    )
    cluster.serve("v-a")
    cluster.lives["v-a"] = replace(
        cluster.lives["v-a"], birth=replace(cluster.lives["v-a"].birth, release=bad, born_unix=BORN_UNIX)
    )
    cluster.orders[2] = RolloutIntent("i", 2, "abort", "jane")
    assert opened(cluster) == [("v-a", "scale-down")]
    cluster.orders.clear()
    cluster.revoked[bad] = Revoked(bad, new, 2, ("gate shop: 500",), NOW.unix)
    assert opened(cluster) == [("v-a", "scale-down")]


# --- one that is switched off by plan -----------------------------------------------------------------------
def test_what_a_drain_switched_off_is_no_power_cut_for_the_one_that_died_beside_it() -> None:
    cluster = Cluster.standing(3, 3).stop("w-a", ago=30.0).stop("w-b", ago=30.0)
    cluster.open("w-a", "rollout")
    assert [step.instance for step in cluster.steps(PowerOn)] == []  # type: ignore[attr-defined]
    assert opened(cluster) == [("w-b", "repair")]
    cluster.pods = [pod_of("web", "w-a")]
    assert [step.instance for step in cluster.steps(PowerOn)] == ["w-b"], "nobody pressed its button"  # type: ignore[attr-defined]
    cluster.pods = []
    cluster.entries.clear()
    assert {step.instance for step in cluster.steps(PowerOn)} == {"w-a", "w-b"}  # type: ignore[attr-defined]


def test_what_was_put_off_and_then_skipped_is_asked_for_no_more() -> None:
    cluster = Cluster.standing(3, 2)
    cluster.revision = replace(cluster.revision, applied_unix=NOW.unix - 500)
    cluster.open("w-a", "replace", opened=NOW.unix - 300, closed_unix=NOW.unix - 200, outcome="put off")
    cluster.serve("w-x")
    assert opened(cluster) == [("w-a", "replace")]
    first = cluster.entries["w-a-1"]
    cluster.entries["w-a-2"] = replace(first, id="w-a-2", opened_unix=NOW.unix - 150, outcome="skipped")
    assert ("w-a", "replace") not in opened(cluster)


def test_a_reboot_of_the_host_in_a_drain_ends_no_pod_that_asks_to_stay() -> None:
    cluster = Cluster.standing(3, 3).stop("w-a").open("w-a", "rollout")
    cluster.pods = [pod_of("batch", "w-a", protected=True)]
    cluster.host_boot = "boot-2"
    assert "w-a" in {step.instance for step in cluster.steps(PowerOn)}  # type: ignore[attr-defined]
    assert [step.instance for step in cluster.steps(Destroy)] == []  # type: ignore[attr-defined]
    cluster.pods = []
    assert [step.instance for step in cluster.steps(Destroy)] == ["w-a"]  # type: ignore[attr-defined]
