"""Leader-election Leases whose holder is proven gone are emptied, so that nobody waits 15 s for them to run out."""

from __future__ import annotations

from risen.core.names import InstanceName
from risen.core.rules.view import RuleOutput, View
from risen.core.step import ReleaseLease, Step


def propose(view: View) -> RuleOutput:
    """ReleaseLease. A holder identity is `HOSTNAME_UUID`."""
    unseen = view.cannot_see("provider", "kubernetes")
    kubernetes = view.facts.kubernetes
    if unseen is not None or kubernetes is None:
        return unseen or RuleOutput()
    steps: list[Step] = []
    for lease, holder in sorted(kubernetes.lease_holders):
        life = view.facts.history.lives.get(InstanceName(holder.partition("_")[0]))
        if life is not None and view.facts.is_gone(life):
            steps.append(ReleaseLease(lease, holder))
    return RuleOutput(steps=tuple(steps))
