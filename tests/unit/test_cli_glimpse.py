"""When a cluster counts as all there: what `risen up` waits for."""

from __future__ import annotations

from dataclasses import replace

from builders import NOW, UID, Cluster
from risen.cli.consoles import Consoles
from risen.cli.glimpse import Glimpse
from risen.core.names import ClusterUid, InstanceName, ProviderId
from risen.core.picture import InstanceSeen, InstanceState


def glimpse_of(cluster: Cluster) -> Glimpse:
    return Glimpse(
        None,  # type: ignore[arg-type]
        cluster.history(), cluster.picture(), cluster.plan(), "somebody", NOW.boot, NOW.unix, Consoles({}, {}),
    )  # fmt: skip


def with_stranger(uid: ClusterUid | None) -> Cluster:
    cluster = Cluster.standing()
    cluster.instances["stranger"] = InstanceSeen(
        InstanceName("stranger"), ProviderId("link://stranger"), uid, InstanceState.RUNNING
    )
    return cluster


def test_a_standing_cluster_is_settled_and_one_that_lost_a_worker_is_not() -> None:
    assert glimpse_of(Cluster.standing()).settled
    assert not glimpse_of(Cluster.standing().stop("w-b")).settled


def test_a_cluster_of_which_something_was_asked_is_not_settled_before_a_controller_has_taken_it_in() -> None:
    """`risen kill` and then a look: all is still as it was, and will not stay so."""
    assert not replace(glimpse_of(Cluster.standing()), orders=1).settled


def test_a_stranger_on_the_bridge_is_told_of_and_keeps_no_up_waiting() -> None:
    seen = glimpse_of(with_stranger(None))
    assert [item.subject for item in seen.plan.blocked] == ["stranger"]
    assert seen.settled


def test_an_instance_of_ours_without_a_birth_record_is_no_stranger() -> None:
    assert not glimpse_of(with_stranger(UID)).settled
