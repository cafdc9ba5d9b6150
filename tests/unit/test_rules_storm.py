"""How many of a pool may be dead at once before repair waits for a person, and what counts as one death."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import Cluster, birth_of, life_of
from risen.core.step import OpenEntry


def opened(cluster: Cluster) -> list[tuple[str, str]]:
    return [(step.subject, step.reason) for step in cluster.steps() if isinstance(step, OpenEntry)]


def test_more_dead_at_once_than_max_unhealthy_is_a_storm_that_waits_for_a_person() -> None:
    cluster = Cluster.standing().lose("w-a").lose("w-b")
    assert opened(cluster) == []
    assert cluster.blocked()["storm"].startswith("2 of 2 are dead at once, at most 1 (40 %)")


def test_a_second_death_waits_until_the_first_one_s_replacement_serves() -> None:
    cluster = Cluster.standing().lose("w-a").open("w-a").lose("w-b")
    assert opened(cluster) == []
    assert "storm" in cluster.blocked()


def replacement(cluster: Cluster, subject: str, name: str, **life: Any) -> Cluster:
    """`name` was born for `subject`, which is gone, and runs."""
    cluster.bury(subject).open(subject)
    cluster.lives[name] = replace(
        life_of(name, **{"joined_at_unix": None, "ready_at_unix": None, **life}),
        birth=birth_of(name, entry=f"{subject}-1"),
    )
    return cluster.run(name)


@pytest.mark.parametrize("pool", ["cp", "w"])
def test_the_death_of_a_replacement_is_not_counted_beside_the_one_that_it_replaces(pool: str) -> None:
    cluster = replacement(Cluster.standing(3, 3), f"{pool}-a", f"{pool}-x").stop(f"{pool}-x")
    assert opened(cluster) == [(f"{pool}-x", "repair")]
    assert cluster.blocked() == {}


def test_a_second_replacement_that_dies_takes_no_second_place_either() -> None:
    cluster = replacement(Cluster.standing(3, 3), "w-a", "w-x")
    cluster = replacement(cluster, "w-x", "w-y").stop("w-y")
    assert opened(cluster) == [("w-y", "repair")]


def test_the_replacement_of_one_that_never_joined_takes_the_place_of_the_first() -> None:
    cluster = replacement(Cluster.standing(3, 3), "w-a", "w-x")
    cluster = replacement(cluster, "w-x", "w-y").open("w-x", "never-joined").stop("w-y")
    assert opened(cluster) == [("w-y", "repair")]


def test_a_replacement_and_another_that_die_together_are_a_storm() -> None:
    cluster = replacement(Cluster.standing(3, 3), "w-a", "w-x").lose("w-x").lose("w-b")
    assert opened(cluster) == []
    assert cluster.blocked()["storm"].startswith("2 of 3 are dead at once, at most 1 (40 %)")


def test_two_places_whose_replacements_die_are_a_storm_though_their_first_ones_are_gone() -> None:
    cluster = replacement(Cluster.standing(3, 4), "w-a", "w-x").lose("w-x")
    cluster = replacement(cluster, "w-b", "w-y").lose("w-y")
    assert opened(cluster) == []
    assert cluster.blocked()["storm"].startswith("2 of 4 are dead at once, at most 1 (40 %)")


def test_replacements_do_not_make_the_pool_that_a_storm_is_measured_by_larger() -> None:
    cluster = Cluster.standing(3, 5)
    for subject, name in (("w-a", "w-x"), ("w-b", "w-y")):
        replacement(cluster, subject, name)
    cluster.lose("w-c")
    assert cluster.blocked()["storm"].startswith("3 of 5 are dead at once, at most 2 (40 %)")


def test_a_replacement_of_one_that_still_runs_has_a_place_of_its_own() -> None:
    cluster = replacement(Cluster.standing(3, 3), "w-a", "w-x").run("w-a").stop("w-x")
    assert opened(cluster) == []
    assert "storm" in cluster.blocked()


def test_a_person_s_kill_goes_through_a_storm() -> None:
    cluster = Cluster.standing().lose("w-a").lose("w-b").kill("w-a")
    assert opened(cluster) == [("w-a", "kill")]
