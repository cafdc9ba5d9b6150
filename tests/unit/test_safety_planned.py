"""Planned steps on the control plane: the fault tolerance of the wanted size is kept, and one goes at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import CP, NOW, Cluster, id_of
from risen.core import deciding
from risen.core.blocked import Blocked
from risen.core.names import InstanceName
from risen.core.safety.invariants import violations
from risen.core.safety.quorum import count_voters, quorum_lost, tolerance_of
from risen.core.safety.recheck import recheck
from risen.core.step import Destroy, MoveLeader, OpenEntry, PressPowerButton, RemoveMember, Step


def name(text: str) -> InstanceName:
    return InstanceName(text)


def surged(voters: int, reason: str = "rollout") -> Cluster:
    """`voters` vote and are healthy; the entry on cp-a is open."""
    return Cluster.standing(voters, 0).open("cp-a", reason)


def press(leaves: int, subject: str = "cp-a") -> PressPowerButton:
    return PressPowerButton(name(subject), id_of(subject), leaves)


def remove(cluster: Cluster, leaves: int, subject: str = "cp-a") -> RemoveMember:
    return RemoveMember(cluster.members[subject].id, name(subject), True, leaves)


def unhealthy(cluster: Cluster, subject: str) -> Cluster:
    cluster.members[subject] = replace(cluster.members[subject], healthy=False)
    return cluster


def held_up(cluster: Cluster, subject: str = "cp-a") -> Cluster:
    """Its button is pressed and its member answers still."""
    cluster.instances[subject] = replace(cluster.instances[subject], power_pressed_at=NOW.boot - 5)
    return cluster


def broken(cluster: Cluster, step: Step) -> list[str]:
    return [violation.invariant for violation in violations(step, cluster.facts())]


def why(cluster: Cluster, step: Step) -> Blocked | None:
    return recheck(step, cluster.picture(), cluster.history(), cluster.now)


@pytest.mark.parametrize(("voters", "may_fail"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)])
def test_tolerance_is_what_is_left_beyond_a_quorum(voters: int, may_fail: int) -> None:
    assert tolerance_of(voters) == may_fail


# --- fault-tolerance-kept ---------------------------------------------------------------------------------
@pytest.mark.parametrize(("voters", "wanted"), [(2, 1), (4, 3), (6, 5)])
def test_one_more_than_wanted_may_be_powered_off_and_removed(voters: int, wanted: int) -> None:
    cluster = surged(voters)
    assert why(cluster, press(wanted)) is None
    assert why(cluster, remove(cluster, wanted)) is None


@pytest.mark.parametrize("wanted", [3, 5])
def test_without_one_more_none_is_taken(wanted: int) -> None:
    cluster = surged(wanted)
    assert broken(cluster, press(wanted)) == ["fault-tolerance-kept"]
    assert broken(cluster, remove(cluster, wanted)) == ["fault-tolerance-kept"]


def test_the_only_voter_is_never_taken_by_plan() -> None:
    cluster = surged(1)
    assert "data-before-cattle" in broken(cluster, press(1))
    assert "quorum-kept" in broken(cluster, remove(cluster, 1))


def test_beside_an_unhealthy_voter_none_is_taken_with_the_arithmetic() -> None:
    blocked = why(unhealthy(surged(4), "cp-b"), press(3))
    assert blocked == Blocked(
        "fault-tolerance",
        "cp-a",
        "4 voters, 1 unhealthy: without it 2 of 3 are healthy and 0 may fail, of 3 wanted it is 1",
    )


def test_a_planned_step_that_does_not_say_what_is_wanted_is_refused() -> None:
    cluster = surged(4)
    assert broken(cluster, press(0)) == ["fault-tolerance-kept"]
    assert broken(cluster, remove(cluster, 0)) == ["fault-tolerance-kept"]


def test_an_entry_is_not_opened_either_before_there_is_one_more() -> None:
    entry = OpenEntry("cp-b-1", name("cp-b"), "rollout", (), leaves=3)
    assert broken(Cluster.standing(3, 0), entry) == ["fault-tolerance-kept"]
    assert broken(Cluster.standing(4, 0), entry) == []


def test_what_does_not_answer_takes_no_tolerance_with_it() -> None:
    cluster = unhealthy(surged(3), "cp-a")
    assert why(cluster, press(3)) is None
    assert why(cluster, remove(cluster, 3)) is None


def test_what_is_powering_off_is_removed_even_beside_an_unhealthy_one_it_goes_anyway() -> None:
    cluster = unhealthy(held_up(surged(4)), "cp-b")
    assert why(cluster, remove(cluster, 3)) is None


def test_unplanned_steps_are_not_held_by_it() -> None:
    cluster = surged(3, reason="kill")
    assert why(cluster, Destroy(name("cp-a"), id_of("cp-a"), True)) is None
    assert broken(surged(4, reason="kill"), press(0)) == []


# --- one-control-plane-change-at-a-time -------------------------------------------------------------------
def test_a_second_control_plane_instance_is_not_taken() -> None:
    entry = OpenEntry("cp-b-1", name("cp-b"), "rollout", (), leaves=3)
    blocked = why(surged(5), entry)
    assert blocked == Blocked(
        "fault-tolerance", "cp-b", "one control-plane change at a time: cp-a is on its way out"
    )


def test_nor_while_the_first_entry_is_in_flight() -> None:
    cluster = Cluster.standing(5, 0)
    cluster.in_flight = [OpenEntry("cp-a-1", name("cp-a"), "replace", (), leaves=3)]
    assert broken(cluster, OpenEntry("cp-b-1", name("cp-b"), "expiry", (), leaves=3)) == [
        "one-control-plane-change-at-a-time"
    ]


def test_nor_when_a_plan_itself_takes_the_first() -> None:
    both = tuple(OpenEntry(f"cp-{one}-1", name(f"cp-{one}"), "replace", (), leaves=3) for one in "ab")
    passed, refused = deciding._safe(Cluster.standing(5, 0).facts(), both)
    assert (passed, [blocked.subject for blocked in refused]) == (both[:1], ["cp-b"])


def test_a_worker_beside_it_may_be_taken_and_a_dead_one_repaired() -> None:
    cluster = Cluster.standing(5, 2).open("cp-a", "rollout").lose("cp-b")
    assert broken(cluster, OpenEntry("w-a-1", name("w-a"), "rollout", ())) == []
    assert broken(cluster, OpenEntry("cp-b-1", name("cp-b"), "repair", ())) == []


# --- quorum beside one that is held up --------------------------------------------------------------------
def test_of_two_the_one_that_is_powering_off_still_agrees_to_its_own_removal() -> None:
    cluster = held_up(surged(2))
    voters = count_voters(cluster.facts())
    assert voters is not None and (voters.keep_quorum, voters.can_agree) == (False, True)
    assert quorum_lost(cluster.facts()) is None
    assert why(cluster, remove(cluster, 1)) is None


def test_nothing_else_is_ended_on_the_word_of_one_that_is_powering_off() -> None:
    cluster = held_up(surged(4)).open("cp-b", "kill")
    assert broken(cluster, Destroy(name("cp-b"), id_of("cp-b"), True)) == ["data-before-cattle"]


def test_leadership_does_not_move_to_one_that_is_powering_off() -> None:
    cluster = held_up(surged(4), "cp-b")
    ids = {key: member.id for key, member in cluster.members.items()}
    assert broken(cluster, MoveLeader(ids["cp-a"], ids["cp-b"])) == ["quorum-kept"]
    assert broken(cluster, MoveLeader(ids["cp-a"], ids["cp-c"])) == []


def test_its_disk_goes_only_after_its_member() -> None:
    cluster = held_up(surged(2))
    step = Destroy(name("cp-a"), id_of("cp-a"), True)
    assert broken(cluster, step) == ["data-before-cattle"]
    del cluster.members["cp-a"]
    cluster.stop("cp-a", ago=1.0)
    assert broken(cluster, step) == []


def test_stale_word_of_etcd_is_not_enough_for_a_planned_step() -> None:
    cluster = surged(4).apply(CP)
    cluster.etcd_as_of = NOW.boot - 11
    assert broken(cluster, press(3)) == ["data-before-cattle"]
