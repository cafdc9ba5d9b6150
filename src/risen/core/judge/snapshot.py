"""Whether a snapshot of etcd that was restored and compared is fresh enough. It concludes nothing of instances."""

from __future__ import annotations

from risen.core.history import TaskResult
from risen.core.judge.facts import Facts
from risen.core.names import InstanceName
from risen.core.task import SNAPSHOT

FRESH_SECONDS = 600.0
"""A planned change of etcd's members goes with a verified snapshot younger than this."""


def verified_snapshot(facts: Facts, purpose: str) -> TaskResult | None:
    """The newest verified snapshot that is fresh and was taken for the replacement of this instance: what was written
    during the replacement before it lies in no older one."""
    results = [
        result
        for key, result in facts.history.results.items()
        if key.startswith(f"{SNAPSHOT}{purpose}/")
        and result.ok
        and abs(facts.now.unix - result.unix) < FRESH_SECONDS
    ]
    return max(results, key=lambda result: result.unix, default=None)


def is_held_as_learner(facts: Facts, name: InstanceName) -> bool:
    """Whether an instance's learner is kept from voting by us: beside an only voter, while there is no such snapshot of
    its."""
    member = facts.member_of(name)
    if member is None or not member.learner or not member.healthy or facts.etcd is None:
        return False
    voters = [one.name for one in facts.etcd.members if not one.learner]
    return len(voters) == 1 and verified_snapshot(facts, voters[0]) is None


def held_as_learner_until_unix(facts: Facts, name: InstanceName) -> float:
    """Since when nothing but etcd keeps an instance's learner from voting; 0 where no snapshot was waited for. A kubelet
    beside a learner has no apiserver: the wait for the snapshot is none of its boot."""
    members = facts.etcd.members if facts.etcd is not None else ()
    others = [one.name for one in members if not one.learner and one.name != name]
    taken = [verified_snapshot(facts, one) for one in others]
    return max((one.unix for one in taken if one is not None), default=0.0)
