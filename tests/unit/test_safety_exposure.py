"""What safety says of releases, whatever a rule proposes."""

from __future__ import annotations

from dataclasses import replace

from builders import NOW, Cluster, W, birth_of
from risen.core.history import Revoked
from risen.core.names import InstanceName, ReleaseId
from risen.core.safety.invariants import violations
from risen.core.step import Launch, Step, WriteBirth

NEW = ReleaseId("r-w-new")


def broken(cluster: Cluster, step: Step) -> set[str]:
    return {violation.invariant for violation in violations(step, cluster.facts())}


def a_birth(name: str) -> WriteBirth:
    return WriteBirth(replace(birth_of(name), release=NEW))


def test_a_revoked_release_is_neither_born_nor_launched() -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    cluster.run("w-x").of_release("w-x")
    cluster.instances.pop("w-x")
    launch = Launch(InstanceName("w-x"))
    assert (broken(cluster, launch), broken(cluster, a_birth("w-y"))) == (
        set(),
        {"one-instance-tries-a-release"},
    )
    cluster.revoked[NEW] = Revoked(NEW, W, 2, ("bad",), NOW.unix)
    cluster.passed[NEW] = ("once",)
    assert broken(cluster, launch) == broken(cluster, a_birth("w-y")) == {"no-revoked-release"}


def test_a_release_that_has_not_passed_is_shown_by_one_instance() -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    assert broken(cluster, a_birth("w-x")) == set()
    cluster.in_flight = [a_birth("w-x")]
    assert broken(cluster, a_birth("w-y")) == {"one-instance-tries-a-release"}
    cluster.in_flight = []
    cluster.serve("w-x").of_release("w-x")
    assert broken(cluster, a_birth("w-y")) == {"one-instance-tries-a-release"}
    cluster.bury("w-x").open("w-x", "kill")
    assert broken(cluster, a_birth("w-y")) == set()


def test_of_all_releases_that_have_not_passed_one_is_shown() -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    cluster.serve("w-x").of_release("w-x", "older")
    assert broken(cluster, a_birth("w-y")) == {"one-instance-tries-a-release"}
    older = ReleaseId("r-w-older")
    cluster.revoked[older] = Revoked(older, W, 2, ("bad",), NOW.unix)
    assert broken(cluster, a_birth("w-y")) == set()
    cluster.revoked.clear()
    cluster.settled = tuple(one for one in cluster.settled if one.pool != W)
    assert broken(cluster, a_birth("w-y")) == set()


def test_at_bring_up_there_is_nothing_to_be_careful_of() -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    cluster.serve("w-x").of_release("w-x")
    cluster.settled, cluster.passed, cluster.completed = (), {}, 0
    assert broken(cluster, a_birth("w-y")) == set()


def test_what_was_born_before_its_release_was_revoked_goes_without_a_launch() -> None:
    cluster = Cluster.standing(3, 2).apply(W)
    cluster.lives["w-x"] = replace(cluster.serve("w-x").lives["w-x"], birth=a_birth("w-x").birth)
    for part in (cluster.instances, cluster.nodes):
        part.pop("w-x")
    cluster.lives["w-x"] = replace(
        cluster.lives["w-x"], provider_id=None, launched_at_unix=None, joined_at_unix=None, ready_at_unix=None
    )
    cluster.revoked[NEW] = Revoked(NEW, W, 2, ("bad",), NOW.unix)
    assert cluster.steps(Launch) == []
    assert [(step.subject, step.reason) for step in cluster.steps() if hasattr(step, "subject")] == [
        ("w-x", "rollback")
    ]
