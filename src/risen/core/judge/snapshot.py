"""Whether a snapshot of etcd that was restored and compared is fresh enough. It concludes nothing of instances."""

from __future__ import annotations

from risen.core.history import TaskResult
from risen.core.judge.facts import Facts
from risen.core.names import InstanceName, Role, may_hold_etcd
from risen.core.task import SNAPSHOT

FRESH_SECONDS = 600.0
"""A planned change of etcd's members goes with a verified snapshot younger than this."""


def verified_snapshot(facts: Facts) -> TaskResult | None:
    """The newest verified snapshot that is fresh, whoever's replacement it was taken for."""
    results = [
        result
        for key, result in facts.history.results.items()
        if key.startswith(SNAPSHOT) and result.ok and facts.now.unix - result.unix < FRESH_SECONDS
    ]
    return max(results, key=lambda result: result.unix, default=None)


def is_held_as_learner(facts: Facts, name: InstanceName) -> bool:
    """Whether an instance's learner is kept from voting by us: beside an only voter, while there is no such snapshot."""
    member = facts.member_of(name)
    if member is None or not member.learner or not member.healthy or facts.etcd is None:
        return False
    voters = sum(1 for one in facts.etcd.members if not one.learner)
    return voters == 1 and verified_snapshot(facts) is None


def held_as_learner_until_unix(facts: Facts, role: Role) -> float:
    """Since when nothing but etcd keeps a learner from voting; 0 where no snapshot was waited for. A kubelet beside a
    learner has no apiserver: the wait for the snapshot is none of its boot."""
    snapshot = verified_snapshot(facts) if may_hold_etcd(role) else None
    return snapshot.unix if snapshot is not None else 0.0
