"""A dead apiserver's endpoint lease is taken away once its instance is certainly off, and never a living one's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import RUNNING, STOPPED, UID, Cluster
from risen.core.names import ClusterUid, InstanceName
from risen.core.picture import InstanceState
from risen.core.safety.recheck import needs_of, refusal
from risen.core.step import RemoveEndpointLease

AT_A, AT_B, AT_C = "10.77.0.10", "10.77.0.11", "10.77.0.12"
OF_A = RemoveEndpointLease(InstanceName("cp-a"), AT_A)


def leased(*addresses: str) -> Cluster:
    cluster = Cluster.standing()
    cluster.endpoint_leases = addresses or (AT_A, AT_B, AT_C)
    return cluster


def removed(cluster: Cluster) -> list[RemoveEndpointLease]:
    return [step for step in cluster.steps() if isinstance(step, RemoveEndpointLease)]


def test_a_living_apiserver_keeps_its_lease_whatever_its_node_says() -> None:
    cluster = leased()
    cluster.nodes["cp-a"] = replace(cluster.nodes["cp-a"], ready=None, lease_renewed_unix=0.0)
    cluster.members["cp-a"] = replace(cluster.members["cp-a"], healthy=False)
    cluster.backends["cp-a"] = replace(cluster.backends["cp-a"], up=False, silent=True)
    cluster.open("cp-a", "kill")
    assert removed(cluster) == []


def test_one_that_is_only_off_may_be_powered_on_again() -> None:
    assert removed(leased().stop("cp-a").open("cp-a")) == []


@pytest.mark.parametrize("known_by", ["member", "backend"])
def test_once_it_is_gone_its_lease_goes_by_the_address_of_its_member_or_its_backend(known_by: str) -> None:
    cluster = leased().lose("cp-a").open("cp-a")
    if known_by == "member":
        del cluster.backends["cp-a"]
    else:
        del cluster.members["cp-a"]
    assert removed(cluster) == [OF_A]


def test_once_its_lease_is_gone_nothing_is_left_to_do() -> None:
    assert removed(leased(AT_B, AT_C).lose("cp-a").open("cp-a")) == []


def test_what_the_provider_is_not_sure_of_keeps_its_lease() -> None:
    cluster = leased().open("cp-a")
    cluster.instances["cp-a"] = replace(cluster.instances["cp-a"], state=InstanceState.UNKNOWN)
    assert removed(cluster) == []
    cluster.unseen["provider"] = "Unreachable: no socket"
    assert removed(cluster) == []


def test_it_goes_while_kubernetes_cannot_be_seen() -> None:
    cluster = leased().lose("cp-a").open("cp-a")
    cluster.unseen["kubernetes"] = "Unreachable: no backend"
    assert removed(cluster) == [OF_A]


def refused(cluster: Cluster) -> str | None:
    blocked = refusal(OF_A, cluster.facts())
    return blocked.why if blocked is not None else None


def test_right_before_it_the_provider_is_asked_again() -> None:
    assert needs_of(OF_A) == {"provider"}
    cluster = leased().lose("cp-a").open("cp-a")
    assert refused(cluster) is None
    for state in (RUNNING, STOPPED, InstanceState.UNKNOWN):
        cluster.instances["cp-a"] = replace(cluster.instances["cp-a"], state=state, cluster=UID)
        assert refused(cluster) == f"the provider says {state} of it"


@pytest.mark.parametrize("uid", [UID, None], ids=["ours", "foreign"])
def test_not_where_its_address_is_another_s_by_now(uid: ClusterUid | None) -> None:
    cluster = leased().lose("cp-a").open("cp-a").run("cp-d", address=AT_A, cluster=uid)
    assert refused(cluster) == f"{AT_A} is cp-d's"
    assert removed(cluster) == []
