"""Bring-up: what is written and launched in which order, and when etcd may be founded (again)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import CP, ETCD_ID, NOW, Cluster, W, birth_of, life_of
from risen.core.judge.verdict import Verdict
from risen.core.names import InstanceName
from risen.core.picture import InstanceState
from risen.core.step import (
    Birth,
    Bootstrap,
    Launch,
    OpenEntry,
    PowerOn,
    RecordClusterId,
    WriteBirth,
    WriteBootstrap,
)


def births(cluster: Cluster) -> list[Birth]:
    return [step.birth for step in cluster.steps() if isinstance(step, WriteBirth)]


def rising(control_plane: int = 3, workers: int = 2) -> Cluster:
    """The bootstrap object is written, nothing else."""
    cluster = Cluster.nothing(control_plane, workers)
    cluster.bootstraps.append(Bootstrap(1, InstanceName("cp-fffff"), "token"))
    return cluster


def launched(name: str) -> Cluster:
    """One founder, launched, which never served."""
    cluster = rising(1, 0)
    cluster.lives["cp-fffff"] = life_of("cp-fffff", joined_at_unix=None, ready_at_unix=None)
    return cluster.run(name)


def test_the_bootstrap_object_is_written_alone_and_before_any_birth() -> None:
    steps = Cluster.nothing().steps()
    assert [type(step) for step in steps] == [WriteBootstrap]


def test_all_instances_are_born_side_by_side_once_the_founder_is_named() -> None:
    born = births(rising())
    assert [(birth.pool, birth.reason) for birth in born] == [(CP, "bring-up")] * 3 + [(W, "bring-up")] * 2
    assert len({birth.instance for birth in born}) == 5


def test_the_founder_named_by_the_bootstrap_object_is_among_those_born() -> None:
    assert "cp-fffff" in {birth.instance for birth in births(rising())}


def test_a_birth_in_flight_counts_as_born() -> None:
    cluster = rising()
    cluster.in_flight = [step for step in cluster.steps() if isinstance(step, WriteBirth)][:3]
    assert len(births(cluster)) == 2


def test_only_what_has_a_birth_record_is_launched_and_nothing_twice() -> None:
    cluster = rising(1, 1)
    cluster.lives["cp-fffff"] = life_of(
        "cp-fffff", provider_id=None, launched_at_unix=None, joined_at_unix=None
    )
    assert [step.instance for step in cluster.steps(Launch)] == ["cp-fffff"]
    cluster.in_flight = [Launch(InstanceName("cp-fffff"))]
    assert cluster.steps(Launch) == []


def test_a_launch_whose_answer_was_lost_is_asked_again_under_the_same_name() -> None:
    cluster = rising(1, 0)
    cluster.lives["cp-fffff"] = life_of(
        "cp-fffff", provider_id=None, launched_at_unix=None, joined_at_unix=None
    )
    cluster.run("cp-fffff", state=InstanceState.GONE, cluster=None)
    assert cluster.steps() == [Launch(InstanceName("cp-fffff"))]


def cut_short(**changes: Any) -> Cluster:
    """A standing cluster one of whose workers' launch was cut short after it had been seen under way."""
    cluster = Cluster.standing(3, 2)
    cluster.lives["w-a"] = life_of(
        "w-a", **{"joined_at_unix": None, "ready_at_unix": None, "launched_at_unix": NOW.unix - 20, **changes}
    )
    del cluster.nodes["w-a"]
    return cluster.run("w-a", state=InstanceState.UNFINISHED)


@pytest.mark.parametrize("on_record", [True, False])
def test_a_launch_that_was_cut_short_is_launched_again_and_is_no_death(on_record: bool) -> None:
    unknown = {"provider_id": None, "launched_at_unix": None, "birth": birth_of("w-a", born=NOW.unix - 20)}
    cluster = cut_short(**({} if on_record else unknown))
    plan = cluster.plan()
    assert (plan.steps, plan.blocked) == ((Launch(InstanceName("w-a")),), ())
    assert cluster.judged("w-a").verdict is Verdict.STARTING


def test_a_launch_that_was_cut_short_is_not_launched_beside_itself_nor_once_its_end_is_in_the_ledger() -> (
    None
):
    cluster = cut_short()
    cluster.in_flight = [Launch(InstanceName("w-a"))]
    assert cluster.steps() == []
    assert cut_short().open("w-a", "kill").steps(Launch) == []


def test_a_launch_that_is_cut_short_again_and_again_is_given_up_after_the_bound_of_those_that_never_joined() -> (
    None
):
    cluster = cut_short(launched_at_unix=NOW.unix - 301)
    opened = [step.reason for step in cluster.steps(OpenEntry) if isinstance(step, OpenEntry)]
    assert opened == ["never-joined"]


def test_what_a_whole_power_cut_left_half_launched_is_launched_while_the_others_are_powered_on() -> None:
    cluster = cut_short()
    for name in ("cp-a", "cp-b", "cp-c", "w-b"):
        cluster.stop(name)
    cluster.unseen = {"etcd": "Unreachable: no instance runs", "kubernetes": "Unreachable: no backend"}
    assert cluster.steps(OpenEntry) == []
    assert [(type(step).__name__, step.instance) for step in cluster.steps(Launch, PowerOn)] == [
        ("Launch", "w-a"), ("PowerOn", "cp-a"), ("PowerOn", "cp-b"), ("PowerOn", "cp-c"), ("PowerOn", "w-b"),
    ]  # fmt: skip


def test_the_cluster_id_is_recorded_when_the_founder_is_seen_as_member() -> None:
    cluster = launched("cp-fffff").join("cp-fffff")
    del cluster.unseen["etcd"]
    assert RecordClusterId(ETCD_ID) in cluster.steps()


def test_nobody_else_s_etcd_is_recorded_as_ours() -> None:
    cluster = launched("cp-fffff").join("cp-fffff", name="cp-other")
    del cluster.unseen["etcd"]
    assert cluster.steps(RecordClusterId) == []


def test_a_new_generation_is_written_when_the_founder_is_gone_and_etcd_never_was() -> None:
    cluster = launched("cp-fffff").lose("cp-fffff")
    written = cluster.steps(WriteBootstrap)
    assert [step.bootstrap.generation for step in written if isinstance(step, WriteBootstrap)] == [2]


def test_the_founder_of_the_new_generation_replaces_the_lost_one() -> None:
    cluster = launched("cp-fffff").lose("cp-fffff").open("cp-fffff")
    cluster.bootstraps.append(Bootstrap(2, InstanceName("cp-ggggg"), "token"))
    assert [(birth.instance, birth.reason) for birth in births(cluster)] == [("cp-ggggg", "replace cp-fffff")]


def test_etcd_is_never_founded_again_once_its_id_was_recorded() -> None:
    cluster = Cluster.standing(1, 0).lose("cp-a")
    cluster.unseen["etcd"] = "Unreachable: nobody"
    assert cluster.steps(WriteBootstrap, WriteBirth) == []


def test_etcd_that_answers_was_founded_though_its_founder_is_gone_and_its_id_not_recorded() -> None:
    cluster = launched("cp-fffff").join("cp-fffff").lose("cp-fffff")
    del cluster.unseen["etcd"]
    assert cluster.steps(WriteBootstrap) == []
    assert "bootstrap-once" not in cluster.blocked()


def test_a_founder_that_is_only_not_seen_is_not_gone() -> None:
    cluster = launched("cp-fffff")
    cluster.run("cp-fffff", state=InstanceState.UNKNOWN)
    assert cluster.steps() == []


def test_a_founder_that_never_joins_is_given_up_after_its_bound() -> None:
    cluster = launched("cp-fffff")
    cluster.lives["cp-fffff"] = replace(cluster.lives["cp-fffff"], launched_at_unix=NOW.unix - 601)
    opened = cluster.steps(OpenEntry)
    assert [step.reason for step in opened if isinstance(step, OpenEntry)] == ["never-joined"]


def test_without_sight_of_the_provider_bring_up_does_nothing_and_says_so() -> None:
    cluster = Cluster.nothing()
    cluster.unseen["provider"] = "Unreachable: timed out"
    assert cluster.steps() == []
    assert cluster.blocked() == {"cannot-see": "Unreachable: timed out"}


def test_before_etcd_and_kubernetes_ever_answered_their_silence_is_a_wait_not_a_refusal() -> None:
    plan = rising().plan()
    assert plan.blocked == ()


def test_names_that_ever_were_are_never_given_again() -> None:
    cluster = rising(1, 3)
    taken = {birth.instance for birth in births(cluster)}
    for name in taken:
        cluster.lives[name] = life_of(name)
    cluster.revision = replace(
        cluster.revision,
        spec=replace(
            cluster.revision.spec,
            pools=tuple(replace(pool, replicas=pool.replicas + 3) for pool in cluster.revision.spec.pools),
        ),
    )
    assert not taken & {birth.instance for birth in births(cluster)}


def test_etcd_that_was_founded_is_not_founded_again_while_it_cannot_be_seen() -> None:
    cluster = Cluster.standing(3, 0).bury("cp-a").open("cp-a")
    cluster.unseen["etcd"] = "Unreachable: nobody answers"
    assert cluster.steps(WriteBootstrap) == []
    assert "bootstrap-once" not in cluster.blocked()


def test_a_launch_that_the_provider_refuses_is_said_with_its_words_and_tried_on() -> None:
    cluster = Cluster.standing(3, 1)
    unborn = life_of("w-x", provider_id=None, launched_at_unix=None, joined_at_unix=None, ready_at_unix=None)
    cluster.lives["w-x"] = replace(unborn, refused="NoCapacity: no room", refused_since_unix=NOW.unix - 185)
    assert cluster.blocked()["launch"] == "the provider refuses it for 185 s: NoCapacity: no room"
    assert cluster.steps(Launch) == [Launch(InstanceName("w-x"))]
    cluster.lives["w-x"] = unborn
    assert "launch" not in cluster.blocked()
