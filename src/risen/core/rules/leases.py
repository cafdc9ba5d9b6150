"""Leases of what is fenced are not waited for: leader elections' for 15 s, and those by which a dead apiserver stays
an endpoint of the Service `kubernetes` for 25 s, to which every third new connection then goes.

An apiserver that stops in order takes its own lease away. Once it is gone the next look of a living one, each looks
every 10 s, takes the address out of the Service. Source: kubernetes pkg/controlplane/reconcilers/lease.go.
"""

from __future__ import annotations

from risen.core.history import Life
from risen.core.names import InstanceName, may_hold_etcd
from risen.core.rules.view import RuleOutput, View, gather
from risen.core.step import ReleaseLease, RemoveEndpointLease, Step


def propose(view: View) -> RuleOutput:
    """ReleaseLease, RemoveEndpointLease."""
    unseen = view.cannot_see("provider")
    return unseen if unseen is not None else gather(_elections(view), _endpoints(view))


def _elections(view: View) -> RuleOutput:
    """A holder identity is `HOSTNAME_UUID`."""
    unseen = view.cannot_see("kubernetes")
    kubernetes = view.facts.kubernetes
    if unseen is not None or kubernetes is None:
        return unseen or RuleOutput()
    steps: list[Step] = []
    for lease, holder in sorted(kubernetes.lease_holders):
        life = view.facts.history.lives.get(InstanceName(holder.partition("_")[0]))
        if life is not None and view.facts.is_gone(life):
            steps.append(ReleaseLease(lease, holder))
    return RuleOutput(steps=tuple(steps))


def _endpoints(view: View) -> RuleOutput:
    """What is only off may be powered on again."""
    facts = view.facts
    leases = facts.etcd.endpoint_leases if facts.etcd is not None else ()
    steps = [
        RemoveEndpointLease(name, address)
        for name, life in facts.lives.items()
        if may_hold_etcd(life.birth.role) and facts.is_gone(life)
        for address in sorted(_addresses(view, life) & set(leases))
    ]
    return RuleOutput(steps=tuple(steps))


def _addresses(view: View, life: Life) -> set[str]:
    """Of what is gone the provider knows no address any more: its member and its backend have it."""
    facts, name = view.facts, life.birth.instance
    member = facts.member_of(name)
    found = {one.address for one in facts.backends or () if one.name == name}
    if member is not None:
        found.add(member.peer_url.removeprefix("https://").rpartition(":")[0])
    return found
