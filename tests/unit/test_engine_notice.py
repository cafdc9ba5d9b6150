"""What a picture shows for the first time, and what it does not show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import GONE, Cluster
from risen.core.events import Event, Launched, ReplaceDone
from risen.core.history import ReplaceIntent
from risen.core.names import InstanceName, ProviderId
from risen.core.picture import InstanceState
from risen.engine.notice import noticed


def seen_as(state: InstanceState) -> tuple[Event, ...]:
    """What is noticed of `w-a`, born but without a launch on record, when its provider says `state`."""
    cluster = Cluster.standing()
    cluster.lives["w-a"] = replace(cluster.lives["w-a"], provider_id=None, launched_at_unix=None)
    known = ProviderId("risen-local://dev/w-a/unknown")
    cluster.instances["w-a"] = replace(cluster.instances["w-a"], state=state, provider_id=known)
    return noticed(cluster.history(), cluster.picture(), 9.0)


@pytest.mark.parametrize("state", [GONE, InstanceState.UNKNOWN, InstanceState.UNFINISHED])
def test_an_instance_born_but_never_seen_alive_is_not_taken_for_launched(state: InstanceState) -> None:
    assert seen_as(state) == ()


def test_a_launch_whose_answer_was_lost_is_on_record_once_it_is_seen() -> None:
    assert [type(event) for event in seen_as(InstanceState.RUNNING)] == [Launched]


def replaced(cluster: Cluster) -> list[Event]:
    cluster.replaces.append(ReplaceIntent("asked-1", InstanceName("w-a"), "jane"))
    return [
        event
        for event in noticed(cluster.history(), cluster.picture(), 9.0)
        if isinstance(event, ReplaceDone)
    ]


def test_a_wish_for_another_instance_is_done_once_that_one_is_in_the_ledger_or_gone() -> None:
    done = [ReplaceDone(9.0, "asked-1")]
    assert replaced(Cluster.standing()) == []
    assert replaced(Cluster.standing().open("w-a", "replace")) == done
    assert replaced(Cluster.standing().lose("w-a").open("w-a", "repair")) == done
    forgotten = Cluster.standing()
    del forgotten.lives["w-a"]
    assert replaced(forgotten) == done
