"""The way out beside others of the host, who flush, reload and switch off: laid again, and taken away whole."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from elsewhere import Elsewhere, elsewhere, out

from risen.adapters.local import outside
from risen.adapters.local.checks import Wanted, check_free, check_reach, check_sysctls
from risen.adapters.local.forwarding import check_forwarding
from risen.adapters.local.host import in_netns
from risen.adapters.local.settings import UPLINK, LocalSettings
from risen.adapters.local.site import LocalSite
from risen.core.names import ClusterUid

pytestmark = pytest.mark.root

FORWARD = str(outside.FORWARD)


@pytest.fixture
def there() -> Iterator[Elsewhere]:
    with elsewhere() as inside:
        yield inside


@pytest.fixture
def settings(there: Elsewhere, tmp_path: Path) -> LocalSettings:
    """A cluster whose namespace and link stand, on a host with the chains of Docker and ufw."""
    found = LocalSettings("lab", ClusterUid("uid"), tmp_path, "10.83.0.0/24")

    def lay() -> None:
        for chain in outside.USER_CHAINS:
            out("iptables", "-N", chain)
        out("ip", "netns", "add", found.netns)
        veth = ("ip", "link", "add", found.host_link, "type", "veth")
        out(*veth, "peer", "name", UPLINK, "netns", found.netns)
        out("ip", "addr", "add", f"{found.host_address}/24", "dev", found.host_link)
        out("ip", "link", "set", found.host_link, "up")
        out("ip", "-n", found.netns, "link", "add", "br0", "type", "bridge")
        out("ip", "-n", found.netns, "link", "set", UPLINK, "master", "br0", "up")
        out("ip", "-n", found.netns, "addr", "add", f"{found.gateway}/24", "dev", "br0")
        out("ip", "-n", found.netns, "link", "set", "br0", "up")

    there(lay)
    return found


def state(settings: LocalSettings) -> tuple[str, ...]:
    """All that the way out is made of."""
    return (
        out("nft", "list", "table", "ip", settings.table),
        "\n".join(line for line in out("iptables", "-S").splitlines() if settings.table in line),
        out("cat", FORWARD),
        out("ip", "-n", settings.netns, "route", "show"),
    )


def look(settings: LocalSettings) -> tuple[str, ...]:
    return asyncio.run(LocalSite(settings).mend_outside())


TABLE, CHAINS, SYSCTL = "nft table risen_lab", "a rule in DOCKER-USER", "sysctl ip_forward"


@pytest.mark.parametrize(
    ("taken", "laid"),
    [
        ("iptables -F DOCKER-USER", (CHAINS, CHAINS)),
        ("iptables -F ufw-user-forward", ("a rule in ufw-user-forward",) * 2),
        (f"echo 0 > {FORWARD}", (SYSCTL,)),
        ("nft delete table ip risen_lab", (TABLE,)),
        ("nft flush ruleset; iptables -N DOCKER-USER", (TABLE, CHAINS, CHAINS)),
        ("ip -n risen-lab route del default", ()),
        ("ip -n risen-lab route del unreachable 10.244.0.0/16", ()),
        ("ip -n risen-lab route del unreachable 10.96.0.0/16", ()),
    ],
)
def test_what_others_take_away_is_laid_again_by_the_next_look_and_told(
    there: Elsewhere, settings: LocalSettings, taken: str, laid: tuple[str, ...]
) -> None:
    there(lambda: look(settings))
    whole = there(lambda: state(settings))
    assert there(lambda: look(settings)) == ()
    there(lambda: out("sh", "-c", taken))
    assert there(lambda: look(settings)) == laid
    mended = there(lambda: state(settings))
    assert (mended[0], mended[2:]) == (whole[0], whole[2:])
    there(lambda: look(settings))
    assert there(lambda: state(settings)) == mended, "a second look adds nothing"


def test_closing_takes_away_all_of_it_and_puts_the_hosts_value_back(
    there: Elsewhere, settings: LocalSettings
) -> None:
    there(lambda: out("sh", "-c", f"echo 0 > {FORWARD}"))
    before = there(lambda: (out("iptables", "-S"), out("cat", FORWARD)))
    there(lambda: look(settings))
    assert there(lambda: (out("iptables", "-S"), out("cat", FORWARD))) != before
    there(lambda: out("ip", "netns", "del", settings.netns))
    there(lambda: outside.close_outside(settings))
    assert there(lambda: (out("iptables", "-S"), out("cat", FORWARD))) == before
    assert settings.table not in there(lambda: out("nft", "list", "tables"))


def test_a_host_without_an_outside_is_given_none(there: Elsewhere, settings: LocalSettings) -> None:
    there(lambda: out("ip", "route", "del", "default"))
    assert there(lambda: look(settings)) == ()
    assert settings.table not in there(lambda: out("nft", "list", "tables"))


def test_what_was_laid_is_found_in_one_listing(there: Elsewhere, settings: LocalSettings) -> None:
    """A look asks for single rules only where the listing lacks one."""
    there(lambda: look(settings))
    listed = there(lambda: out("iptables", "-w", "-S")).splitlines()
    rules = outside.user_rules(settings, listed)
    assert (len(rules), {f"-A {' '.join(rule)}" for rule in rules} <= set(listed)) == (4, True)


@pytest.mark.parametrize(
    "dropping",
    [
        "iptables -F; iptables -X; iptables -P FORWARD DROP",
        "nft add table inet own; "
        "nft 'add chain inet own forward {type filter hook forward priority filter; policy drop;}'",
    ],
)
def test_what_doctor_says_to_a_firewall_that_drops_mends_it(
    there: Elsewhere, settings: LocalSettings, dropping: str
) -> None:
    there(lambda: out("sh", "-c", dropping))
    check = there(lambda: check_forwarding(settings.host_link))
    assert (check.ok, check.bars) == (False, False)
    there(lambda: out("sh", "-c", check.mend))
    assert there(lambda: check_forwarding(settings.host_link)).ok


def test_all_that_is_laid_was_announced(there: Elsewhere, settings: LocalSettings) -> None:
    there(lambda: out("sh", "-c", f"echo 0 > {FORWARD}"))
    wanted = Wanted(settings)
    told = there(lambda: check_free(wanted).adds + check_sysctls().adds)
    laid = there(lambda: look(settings))
    assert len(laid) == 6
    names = {one.split()[-1] for one in laid}
    assert names == {"risen_lab", *outside.USER_CHAINS, "ip_forward"}
    assert [one for one in names if one not in told] == []


# --- addresses that mean pods and Services inside, and may mean others outside ------------------------------
POD, GONE_POD, NO_SERVICE = "10.244.3.3", "10.244.7.7", "10.96.0.99"
INSTANCE = Path("/run/netns/instance")


@pytest.fixture
def instance(there: Elsewhere, settings: LocalSettings) -> Callable[[Callable[[], object]], object]:
    """Runs something on a machine at the cluster's bridge, which has a pod. The host has addresses that would be those
    of another node's pod and of a Service."""

    def lay() -> None:
        for address in (GONE_POD, NO_SERVICE):
            out("ip", "address", "add", f"{address}/32", "dev", "outside")
        in_netns(settings.netns_path, lambda: outside.FORWARD.write_text("1"))
        look(settings)
        out("ip", "netns", "add", "instance")
        link = ("ip", "link", "add", "host0", "netns", "instance", "type", "veth")
        out(*link, "peer", "name", "vb-instance", "netns", settings.netns)
        out("ip", "-n", settings.netns, "link", "set", "vb-instance", "master", "br0", "up")
        for words in (
            "address add 10.83.0.11/24 dev host0",
            f"address add {POD}/32 dev host0",
            "link set host0 up",
            f"route add default via {settings.gateway} src 10.83.0.11",
        ):
            out("ip", "-n", "instance", *words.split())

    there(lay)
    return lambda act: there(lambda: in_netns(INSTANCE, act))


@pytest.mark.parametrize("address", [GONE_POD, NO_SERVICE])
def test_who_asks_a_pod_or_service_that_is_not_there_is_told_at_once_and_not_answered_by_the_host(
    instance: Callable[[Callable[[], object]], object], address: str
) -> None:
    with pytest.raises(OSError, match="No route to host") as told:
        instance(lambda: socket.create_connection((address, 9), 30.0))
    assert told.value.errno == errno.EHOSTUNREACH


@pytest.mark.parametrize("address", [GONE_POD, NO_SERVICE])
def test_what_a_pod_sends_to_one_that_is_not_there_does_not_reach_the_host(
    there: Elsewhere, instance: Callable[[Callable[[], object]], object], address: str
) -> None:
    listener = there(partial(_datagrams, "0.0.0.0"))
    port = listener.getsockname()[1]
    pod, machine = instance(partial(_datagrams, POD)), instance(partial(_datagrams, "10.83.0.11"))
    assert isinstance(pod, socket.socket) and isinstance(machine, socket.socket)
    with listener, pod, machine:
        pod.sendto(b"astray", (address, port))
        machine.sendto(b"to the outside", ("192.0.2.2", port))
        assert listener.recv(100) == b"to the outside"


def _datagrams(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, 0))
    made.settimeout(30.0)
    return made


def test_two_clusters_of_one_host_may_have_the_same_networks_for_pods_and_services(
    there: Elsewhere, settings: LocalSettings, tmp_path: Path
) -> None:
    there(lambda: look(settings))
    second = LocalSettings("second", ClusterUid(""), tmp_path, "10.84.0.0/24")
    assert second.inner_networks == settings.inner_networks
    assert there(lambda: check_reach(Wanted(second))).ok


@pytest.mark.parametrize(
    ("laid", "bars", "named"),
    [
        ("route add 10.0.0.0/8 via 192.0.2.1", False, ["10.0.0.0/8", "10.0.0.0/8"]),
        ("address add 10.244.9.1/24 dev outside", True, ["10.244.9.0/24"]),
        ("address add 10.96.0.7/32 dev outside", True, ["10.96.0.7"]),
    ],
    ids=["behind a router", "on a link", "the host itself"],
)
def test_what_pods_could_not_reach_is_named_and_bars_a_new_cluster_where_it_is_connected(
    there: Elsewhere, tmp_path: Path, laid: str, bars: bool, named: list[str]
) -> None:
    there(lambda: out("ip", *laid.split()))
    check = there(lambda: check_reach(Wanted(LocalSettings("new", ClusterUid(""), tmp_path))))
    told = [
        f"the host's route {network} on outside" in part
        for network, part in zip(named, check.found.split("; "), strict=True)
    ]
    assert (check.ok, check.bars, all(told)) == (False, bars, True), check.found
