"""Verdicts and their evidence: what is concluded, and what is not concluded from not seeing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import BORN_UNIX, GONE, NOW, Cluster, id_of, life_of
from risen.core.judge.joining import pool_of_name
from risen.core.judge.verdict import Verdict
from risen.core.names import InstanceName
from risen.core.picture import InstanceState
from risen.core.plan import Now
from risen.core.step import Destroy, Launch


def changed_node(**changes: object) -> Cluster:
    cluster = Cluster.standing()
    cluster.nodes["w-a"] = replace(cluster.nodes["w-a"], **changes)  # type: ignore[arg-type]
    return cluster


def unjoined(name: str, **life: float | None) -> Cluster:
    """A standing cluster in which `name` was launched and did no more."""
    cluster = Cluster.standing()
    cluster.lives[name] = replace(life_of(name, joined_at_unix=None, ready_at_unix=None), **life)
    for part in (cluster.nodes, cluster.members, cluster.backends):
        part.pop(name, None)
    return cluster


@pytest.mark.parametrize("name", ["cp-a", "w-a"])
def test_what_serves_is_healthy(name: str) -> None:
    assert Cluster.standing().judged(name).verdict is Verdict.HEALTHY


def test_gone_is_dead_and_says_whose_word_it_is() -> None:
    judged = Cluster.standing().lose("w-a").judged("w-a")
    assert (judged.verdict, judged.evidence) == (Verdict.DEAD, ("provider: gone",))


def test_what_was_once_seen_gone_stays_dead_though_nobody_lists_it() -> None:
    cluster = Cluster.standing()
    del cluster.instances["w-a"]
    cluster.lives["w-a"] = life_of("w-a", gone_at_unix=NOW.unix - 100)
    assert cluster.judged("w-a").verdict is Verdict.DEAD


def test_stopped_is_stopped() -> None:
    assert Cluster.standing().stop("w-a").judged("w-a").verdict is Verdict.STOPPED


@pytest.mark.parametrize("section", ["provider", "kubernetes"])
def test_not_seen_is_unknown(section: str) -> None:
    cluster = Cluster.standing()
    cluster.unseen[section] = "Unreachable"
    assert cluster.judged("w-a").verdict is Verdict.UNKNOWN


def test_a_voter_is_unknown_while_etcd_is_not_seen() -> None:
    cluster = Cluster.standing()
    cluster.unseen["etcd"] = "Unreachable"
    assert cluster.judged("cp-a").verdict is Verdict.UNKNOWN
    assert cluster.judged("w-a").verdict is Verdict.HEALTHY


def test_not_listed_is_unknown() -> None:
    cluster = Cluster.standing()
    del cluster.instances["w-a"]
    assert cluster.judged("w-a").verdict is Verdict.UNKNOWN


def test_a_node_that_is_not_ready_is_suspect_once_it_served_and_starting_before() -> None:
    cluster = changed_node(ready=False)
    assert cluster.judged("w-a").verdict is Verdict.SUSPECT
    cluster.lives["w-a"] = life_of("w-a", ready_at_unix=None)
    assert cluster.judged("w-a").verdict is Verdict.STARTING


def test_a_node_that_waits_for_add_ons_is_not_suspected() -> None:
    assert changed_node(ready=False, waiting_for_addons=True).judged("w-a").verdict is Verdict.STARTING


def test_a_ready_node_whose_lease_is_old_is_suspect() -> None:
    assert changed_node(lease_renewed_unix=NOW.unix - 26).judged("w-a").verdict is Verdict.SUSPECT
    assert changed_node(lease_renewed_unix=NOW.unix - 24).judged("w-a").verdict is Verdict.HEALTHY


def test_what_a_kubelet_could_not_say_while_the_api_was_away_is_no_silence() -> None:
    cluster = changed_node(lease_renewed_unix=NOW.unix - 120)
    for back_for, verdict in ((24, Verdict.HEALTHY), (26, Verdict.SUSPECT)):
        cluster.api_back_for = back_for
        assert cluster.judged("w-a").verdict is verdict


def test_a_served_instance_without_a_node_is_suspect() -> None:
    cluster = Cluster.standing()
    del cluster.nodes["w-a"]
    assert cluster.judged("w-a").verdict is Verdict.SUSPECT


def test_a_ready_control_plane_node_without_a_healthy_voter_is_not_healthy() -> None:
    cluster = Cluster.standing()
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], healthy=False)
    cluster.members["cp-c"] = replace(cluster.members["cp-c"], learner=True)
    assert cluster.judged("cp-b").verdict is Verdict.SUSPECT
    assert cluster.judged("cp-c").verdict is Verdict.STARTING


def test_one_born_and_not_launched_is_starting_even_if_the_provider_says_gone() -> None:
    cluster = unjoined("w-a", provider_id=None, launched_at_unix=None)
    cluster.instances["w-a"] = replace(cluster.instances["w-a"], state=GONE, cluster=None)
    assert cluster.judged("w-a").verdict is Verdict.STARTING


def test_while_its_launch_is_in_flight_nothing_that_was_never_launched_is_gone() -> None:
    cluster = unjoined("w-a", provider_id=None, launched_at_unix=None).open("w-a", "kill")
    cluster.instances["w-a"] = replace(cluster.instances["w-a"], state=GONE, cluster=None)
    assert cluster.judged("w-a").verdict is Verdict.DEAD
    cluster.in_flight = [Launch(InstanceName("w-a"))]
    assert cluster.judged("w-a").verdict is Verdict.STARTING


def test_a_foreign_instance_of_the_same_name_says_nothing_about_ours() -> None:
    cluster = Cluster.standing()
    cluster.instances["w-a"] = replace(cluster.instances["w-a"], cluster=None)
    assert cluster.judged("w-a").verdict is Verdict.UNKNOWN


def test_a_worker_has_its_bound_from_its_launch() -> None:
    judged = unjoined("w-a", launched_at_unix=NOW.unix - 20).judged("w-a")
    assert (judged.verdict, judged.give_up_at) == (Verdict.STARTING, NOW.boot + 40)
    late = unjoined("w-a", launched_at_unix=NOW.unix - 60).judged("w-a")
    assert (late.verdict, late.never_joined) == (Verdict.SICK, True)
    assert late.evidence == ("join: not within 60 s of its launch",)


@pytest.mark.parametrize(("took", "bound"), [(5, 60), (20, 60), (21, 63), (250, 750), (4000, 1800)])
def test_the_bound_is_three_times_what_others_of_the_role_took_until_ready_at_least_a_minute(
    took: float, bound: float
) -> None:
    cluster = unjoined("w-a", launched_at_unix=NOW.unix)
    cluster.lives["w-b"] = life_of("w-b", launched_at_unix=BORN_UNIX - took, ready_at_unix=BORN_UNIX)
    assert cluster.judged("w-a").give_up_at == NOW.boot + bound


def test_where_none_of_the_role_was_ever_ready_it_has_ten_minutes() -> None:
    cluster = unjoined("w-a", launched_at_unix=NOW.unix)
    cluster.lives["w-b"] = replace(cluster.lives["w-a"], birth=life_of("w-b").birth)
    assert cluster.judged("w-a").give_up_at == NOW.boot + 600


def test_the_gone_are_a_record_too() -> None:
    cluster = unjoined("w-a", launched_at_unix=NOW.unix)
    cluster.lives["w-b"] = replace(cluster.lives["w-a"], birth=life_of("w-b").birth)
    cluster.lives["w-z"] = life_of("w-z", gone_at_unix=BORN_UNIX + 50)
    assert cluster.judged("w-a").give_up_at == NOW.boot + 60


def test_while_nobody_led_no_clock_ran() -> None:
    cluster = unjoined("w-a", launched_at_unix=NOW.unix - 5000)
    cluster.now = Now(NOW.boot, NOW.unix, leading_since_unix=NOW.unix - 10)
    assert cluster.judged("w-a").give_up_at == NOW.boot + 50


def test_a_control_plane_instance_that_waits_for_its_turn_has_no_bound_yet() -> None:
    assert unjoined("cp-b", launched_at_unix=NOW.unix - 5000).judged("cp-b").give_up_at is None


def test_its_bound_begins_when_the_one_before_it_joined() -> None:
    cluster = unjoined("cp-b", launched_at_unix=NOW.unix - 5000).join("cp-b", learner=True)
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], name="", healthy=False)
    cluster.lives["cp-c"] = life_of("cp-c", launched_at_unix=NOW.unix - 9, joined_at_unix=NOW.unix - 5)
    assert cluster.judged("cp-b").give_up_at == NOW.boot + 55


def test_its_bound_begins_when_the_one_before_it_was_given_up() -> None:
    cluster = unjoined("cp-b", launched_at_unix=NOW.unix - 5000).join("cp-b", learner=True)
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], name="", healthy=False)
    cluster.open("cp-x", "never-joined", opened=NOW.unix - 30)
    assert cluster.judged("cp-b").give_up_at == NOW.boot + 30


def test_a_started_member_has_joined_though_no_event_says_so() -> None:
    cluster = unjoined("cp-b", launched_at_unix=NOW.unix - 5000).join("cp-b", learner=True)
    assert not cluster.judged("cp-b").never_joined


def test_one_that_joined_and_never_showed_a_node_is_given_up_after_a_second_bound() -> None:
    cluster = unjoined("w-a", joined_at_unix=NOW.unix - 59)
    assert not cluster.judged("w-a").never_joined
    cluster.lives["w-a"] = replace(cluster.lives["w-a"], joined_at_unix=NOW.unix - 61)
    assert cluster.judged("w-a").never_joined


def test_before_anybody_was_ready_a_missing_node_has_twice_the_time() -> None:
    cluster = unjoined("w-a", joined_at_unix=NOW.unix - 1)
    for name, life in cluster.lives.items():
        cluster.lives[name] = replace(life, ready_at_unix=None)
    assert cluster.judged("w-a").give_up_at == NOW.boot + 1199


def test_a_control_plane_instance_that_may_hold_data_is_never_given_up_for_lack_of_a_node() -> None:
    cluster = Cluster.standing()
    del cluster.nodes["cp-b"]
    cluster.lives["cp-b"] = life_of("cp-b", joined_at_unix=BORN_UNIX, ready_at_unix=None)
    assert not cluster.judged("cp-b").never_joined


def test_a_granted_member_that_never_starts_is_given_up() -> None:
    cluster = unjoined("cp-b", joined_at_unix=NOW.unix - 61).join("cp-b", learner=True)
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], name="", healthy=False)
    assert cluster.judged("cp-b").evidence == ("etcd: not started within 60 s of its join",)


def test_a_running_instance_that_join_condemned_is_sick_with_the_reason() -> None:
    cluster = unjoined("w-a")
    cluster.lives["w-a"] = replace(cluster.lives["w-a"], condemned="second key")
    assert cluster.judged("w-a").evidence == ("join: condemned, second key",)


def test_unknown_of_the_provider_is_unknown() -> None:
    cluster = Cluster.standing()
    cluster.instances["w-a"] = replace(cluster.instances["w-a"], state=InstanceState.UNKNOWN)
    assert cluster.judged("w-a").verdict is Verdict.UNKNOWN


def test_a_pool_s_name_may_hold_dashes() -> None:
    assert pool_of_name("control-plane-abcde") == "control-plane"


def test_an_instance_whose_end_is_in_flight_is_dead_however_ready_its_node_still_looks() -> None:
    cluster = Cluster.standing()
    cluster.in_flight = [Destroy(InstanceName("w-a"), id_of("w-a"), False)]
    assert cluster.judged("w-a").verdict is Verdict.DEAD
