"""Where rules meet: what one of them lets live, forgets or puts off must not stop or deceive another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import CP, NOW, Cluster, W, life_of, pod_of, revision_of
from risen.core.history import RolloutIntent
from risen.core.names import InstanceName, ReleaseId
from risen.core.step import OpenEntry, PassRelease, WriteBirth


def served(name: str = "w-x") -> Cluster:
    """`name` tries a worker release, has served long enough, and took the place of `w-a`."""
    cluster = Cluster.standing(3, 2).apply(W).serve(name).of_release(name)
    cluster.lives[name] = replace(
        cluster.lives[name],
        launched_at_unix=NOW.unix - 90,
        joined_at_unix=NOW.unix - 85,
        ready_at_unix=NOW.unix - 80,
    )
    for part in (cluster.instances, cluster.nodes):
        part.pop("w-a")
    cluster.lives["w-a"] = life_of("w-a", gone_at_unix=NOW.unix - 60)
    return cluster.open("w-a", "rollout", opened=NOW.unix - 70, closed_unix=NOW.unix - 55, outcome="rolled")


def test_a_first_instance_that_an_abort_had_taken_and_a_resume_let_live_is_judged() -> None:
    cluster = served()
    assert cluster.steps(PassRelease) != []
    cluster.open("w-x", "rollback", opened=NOW.unix - 40, closed_unix=NOW.unix - 35, outcome="called off")
    cluster.orders[2] = RolloutIntent("i", 2, "resume", "jane", "")
    assert cluster.steps(PassRelease) != []


def test_an_entry_of_one_that_was_put_off_before_has_an_id_of_its_own_though_earlier_ones_are_forgotten() -> (
    None
):
    cluster = Cluster.standing(3, 2).bury("w-a").open("w-a", closed_unix=NOW.unix - 5, outcome="put off")
    cluster.entries = {"w-a-2": replace(cluster.entries["w-a-1"], id="w-a-2")}
    assert [step.entry for step in cluster.steps(OpenEntry)] == ["w-a-3"]  # type: ignore[attr-defined]


def undone() -> Cluster:
    """Both pools are to go back to a revision that stood; neither has begun."""
    cluster = Cluster.standing(3, 2)
    for name in ("cp-a", "cp-b", "cp-c", "w-a", "w-b"):
        cluster.of_release(name)
    cluster.apply(CP, W).complete()
    cluster.passed |= {ReleaseId("r-cp"): ("completed",), ReleaseId("r-w"): ("completed",)}
    cluster.revision = replace(revision_of(3, 2), number=3, back_to=1, applied_unix=NOW.unix - 50)
    return cluster


def born(cluster: Cluster, pool: str) -> set[str]:
    births = [step.birth for step in cluster.steps(WriteBirth)]  # type: ignore[attr-defined]
    return {birth.release for birth in births if birth.pool == pool}


def test_what_dies_before_its_pools_turn_is_replaced_by_what_stands() -> None:
    """A kubelet is never newer than the API servers, in a repair neither."""
    cluster = undone().bury("cp-b").open("cp-b", "repair")
    assert born(cluster, CP) == {"r-cp-new"}
    cluster = Cluster.standing(3, 2).apply(CP, W)
    cluster.passed |= {ReleaseId("r-cp-new"): ("completed",), ReleaseId("r-w-new"): ("completed",)}
    assert born(cluster.bury("w-b").open("w-b", "repair"), W) == {"r-w"}


@pytest.mark.parametrize("waits_for_addons", [True, False])
def test_a_control_plane_that_never_came_up_goes_for_a_newer_revision(waits_for_addons: bool) -> None:
    cluster = Cluster.standing(3, 2).apply(CP).serve("cp-x").of_release("cp-x")
    cluster.lives["cp-x"] = replace(
        cluster.lives["cp-x"],
        ready_at_unix=None,
        joined_at_unix=NOW.unix - 2000,
        launched_at_unix=NOW.unix - 2010,
    )
    cluster.nodes["cp-x"] = replace(cluster.nodes["cp-x"], ready=False, waiting_for_addons=waits_for_addons)
    cluster.apply(CP, release="newer")
    assert [step.subject for step in cluster.steps(OpenEntry)] == ["cp-x"]  # type: ignore[attr-defined]


def test_a_voter_that_keeps_a_rollout_from_beginning_is_named_though_others_have_pods() -> None:
    cluster = Cluster.standing(3, 2).apply(CP)
    cluster.nodes["cp-c"] = replace(cluster.nodes["cp-c"], ready=False)
    cluster.members["cp-c"] = replace(cluster.members["cp-c"], healthy=False)
    cluster.pods = [pod_of("dns", "cp-a")]
    assert "risen kill cp-c" in cluster.blocked()["quorum"]


@pytest.mark.parametrize(("pool", "name"), [(CP, "cp-x"), (W, "w-x")])
def test_one_that_fell_silent_and_is_in_the_way_is_named(pool: str, name: str) -> None:
    cluster = Cluster.standing(3, 2).apply(CP if pool == CP else W)
    cluster.passed[ReleaseId(f"r-{pool}-new")] = ("served",)
    cluster.serve(name).of_release(name)
    cluster.nodes[name] = replace(cluster.nodes[name], ready=None, lease_renewed_unix=NOW.unix - 3000)
    assert cluster.steps(OpenEntry) == []
    assert any(InstanceName(name) in one.for_what or one.subject == name for one in cluster.plan().waiting)
