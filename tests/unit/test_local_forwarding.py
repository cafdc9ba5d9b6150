"""What of a host's firewall drops what a cluster sends to the outside, and what lets it through."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from risen.adapters.local.forwarding import Ask, hindrances
from risen.interfaces.errors import Invalid

LINK = "risen-dev"


def saying(answers: Mapping[str, str]) -> Ask:
    """A host with these programs only, which say this."""

    def ask(words: Sequence[str]) -> str:
        try:
            return answers[" ".join(words)]
        except KeyError:
            raise Invalid(f"{words[0]} is not installed") from None

    return ask


def rules(text: str) -> Ask:
    return saying({"iptables -w -S": text})


@pytest.mark.parametrize(
    "text",
    [
        "-P FORWARD ACCEPT\n",
        "-P FORWARD DROP\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n",
        "-P FORWARD DROP\n-N ufw-user-forward\n",
        "-P FORWARD DROP\n-A FORWARD -i risen-dev -j ACCEPT\n",
        "-P FORWARD ACCEPT\n-A FORWARD -s 10.0.0.0/8 -j DROP\n",
        "",
    ],
)
def test_iptables_that_let_a_cluster_through_are_no_hindrance(text: str) -> None:
    assert hindrances(LINK, rules(text)) == ()


@pytest.mark.parametrize(
    "text",
    [
        "-P FORWARD DROP\n",
        "-P FORWARD ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n",
        "-P FORWARD DROP\n-A FORWARD -i risen-dev2 -j ACCEPT\n",
    ],
)
def test_a_forward_drop_without_a_chain_for_others_is_seen_with_its_mend(text: str) -> None:
    (found,) = hindrances(LINK, rules(text))
    assert found.mend.startswith(
        "iptables -I FORWARD -i risen-dev -j ACCEPT && iptables -I FORWARD -o risen-dev "
    )


def table(family: str, name: str, chain: str, policy: str) -> dict[str, object]:
    return {"chain": {"family": family, "table": name, "name": chain, "hook": "forward", "policy": policy}}


def test_a_dropping_chain_of_nftables_is_seen_until_it_names_the_link() -> None:
    chains = [
        {"metainfo": {}},
        table("ip", "filter", "FORWARD", "drop"),
        table("inet", "own", "forward", "drop"),
        table("inet", "kind", "forward", "accept"),
        table("inet", "firewalld", "filter_FORWARD", "drop"),
        {"chain": {"family": "inet", "table": "own", "name": "no hook"}},
    ]
    listed = {"nft -j list chains": json.dumps({"nftables": chains})}
    (found,) = hindrances(LINK, saying(listed))
    assert found.found == "nftables drops what is forwarded in inet own forward"
    assert found.mend.startswith("nft insert rule inet own forward iifname risen-dev accept && ")
    listed["nft list chain inet own forward"] = 'iifname "risen-dev" accept'
    assert hindrances(LINK, saying(listed)) == ()


@pytest.mark.parametrize(
    ("zone", "target", "hinders"),
    [("", "default", True), ("public", "default", True), ("trusted", "ACCEPT", False)],
)
def test_firewalld_hinders_but_in_a_zone_that_accepts(zone: str, target: str, hinders: bool) -> None:
    answers = {
        "firewall-cmd --state": "running\n",
        "firewall-cmd --get-default-zone": "public\n",
        f"firewall-cmd --permanent --zone={zone or 'public'} --get-target": f"{target}\n",
    }
    if zone:
        answers["firewall-cmd --get-zone-of-interface=risen-dev"] = f"{zone}\n"
    told = [one.mend for one in hindrances(LINK, saying(answers))]
    add = "--zone=trusted --add-interface=risen-dev"
    assert told == [f"firewall-cmd {add} && firewall-cmd --permanent {add}"] * hinders


def test_firewalld_that_does_not_run_hinders_nothing() -> None:
    assert hindrances(LINK, saying({"firewall-cmd --state": "not running\n"})) == ()
