"""Names, addresses and ids of a local cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from risen.adapters.local.settings import (
    IFNAME_MAX,
    LocalSettings,
    bridge_port,
    instance_of,
    link_name,
    provider_id,
)
from risen.bootstrap import Cluster, Host, local_settings
from risen.core.names import ClusterUid, InstanceName, ProviderId
from risen.core.spec import ClusterSpec, Networking, Revision
from risen.interfaces.errors import Invalid


def settings(subnet: str = "10.77.0.0/24", name: str = "dev") -> LocalSettings:
    return LocalSettings(name, ClusterUid("uid"), Path("/var/lib/risen"), subnet)


def test_the_gateway_is_first_the_host_last_and_instances_lie_between() -> None:
    found = settings()
    assert (found.gateway, found.host_address, found.addresses[0], found.addresses[-1]) == (
        "10.77.0.1", "10.77.0.254", "10.77.0.10", "10.77.0.250",
    )  # fmt: skip


@pytest.mark.parametrize("subnet", ["10.77.0.1/24", "10.0.0.0/8", "10.77.0.0/28", "fd00::/64", "nonsense"])
def test_a_subnet_that_cannot_hold_a_cluster_is_refused_by_name(subnet: str) -> None:
    with pytest.raises(Invalid, match="subnet"):
        _ = settings(subnet).network


def test_the_networks_of_pods_and_services_are_the_specs(tmp_path: Path) -> None:
    spec = ClusterSpec("dev", "1.36.3", (), networking=Networking("10.32.0.0/16", "10.33.0.0/20"))
    cluster = Cluster(Host(tmp_path, tmp_path), "dev", ClusterUid("uid"), None, Revision(1, spec, ()))  # type: ignore[arg-type]
    named = {field: str(network) for field, network in local_settings(cluster).inner_networks}
    assert named == {"podSubnet": "10.32.0.0/16", "serviceSubnet": "10.33.0.0/20"}


@pytest.mark.parametrize("name", ["dev", "a" * 9, "a" * 10, "production-eu-west", "production-eu-east"])
def test_link_names_fit_the_kernel(name: str) -> None:
    assert len(link_name("risen-", name)) <= IFNAME_MAX


def test_long_names_that_begin_alike_get_different_links() -> None:
    assert link_name("risen-", "production-eu-west") != link_name("risen-", "production-eu-east")


def test_a_bridge_port_is_a_whole_interface_name_and_differs_between_clusters() -> None:
    one, other = bridge_port("dev", "worker-bcdfg"), bridge_port("test", "worker-bcdfg")
    assert (len(one), len(other), one != other) == (IFNAME_MAX, IFNAME_MAX, True)


def test_a_provider_id_names_its_instance() -> None:
    identity = provider_id("dev", InstanceName("worker-bcdfg"), "0123")
    assert (identity, instance_of("dev", identity)) == ("risen-local://dev/worker-bcdfg/0123", "worker-bcdfg")


@pytest.mark.parametrize(
    "wrong", ["risen-local://test/worker-bcdfg/0123", "risen-local://dev/worker", "aws:///eu/i-0ab12", ""]
)
def test_an_id_of_anything_else_is_refused(wrong: str) -> None:
    with pytest.raises(Invalid, match="no provider id"):
        instance_of("dev", ProviderId(wrong))
