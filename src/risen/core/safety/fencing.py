"""What may be taken away of an instance only once it is proven gone, by the provider's word alone."""

from __future__ import annotations

from risen.core.blocked import Blocked
from risen.core.judge.facts import Facts
from risen.core.picture import InstanceState
from risen.core.step import RemoveEndpointLease, Step


def blocks_lease_removal(facts: Facts, step: Step) -> Blocked | None:
    """A living apiserver is not taken off its Service: neither the subject's nor another's at that address."""
    if not isinstance(step, RemoveEndpointLease):
        return None
    name, address = step.instance, step.address
    life = facts.lives.get(name)
    if life is None or not facts.is_gone(life):
        return Blocked("cannot-see", name, f"the provider says {facts.state(name) or 'nothing'} of it")
    for seen in (*facts.ours.values(), *facts.foreign):
        if seen.address == address and seen.state is not InstanceState.GONE:
            return Blocked("foreign", name, f"{address} is {seen.name}'s")
    return None
