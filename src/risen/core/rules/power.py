"""What a stop means: powered on from its own disk, waited for, or dead and to be replaced.

An instance is powered on when its host has rebooted since, when more than max(1, 20 %) of its pool, or of the
cluster, are out together (power was cut, nothing died), or when etcd has no quorum without it. The death of
etcd's leader stops etcd and Kubernetes for some seconds: what a lone stop means is judged after that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from risen.core.history import Life
from risen.core.judge.facts import Facts
from risen.core.judge.verdict import Verdict, node_is_late
from risen.core.names import InstanceName, PoolName, may_hold_etcd
from risen.core.picture import InstanceState, Seen
from risen.core.reasons import PLANNED
from risen.core.rules.drainable import pods_to_move
from risen.core.rules.view import View
from risen.core.safety.quorum import may_lose_with_quorum, quorum_of

TOGETHER_SHARE = 0.2
SETTLE_SECONDS = 1.0
"""A power cut takes its time to reach every instance."""
ELECTION_SECONDS = 10.0
"""For etcd to elect and for the API to answer again after a control-plane instance stopped."""


@dataclass(frozen=True, slots=True)
class PowerOnBecause:
    """Its disk lives and it is wanted back."""

    reason: str


@dataclass(frozen=True, slots=True)
class JudgeLater:
    """Not decided yet; `at` and `since` in boot seconds."""

    for_what: str
    since: float
    at: float


StopMeans: TypeAlias = PowerOnBecause | JudgeLater | None
"""None: it counts as dead."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Which pools, and whether the whole cluster, went out together; the text says how many of how many."""

    pools: Mapping[PoolName, str]
    cluster: str | None

    def of(self, life: Life) -> str | None:
        """The outage that this instance is part of."""
        return self.pools.get(life.birth.pool, self.cluster)


@dataclass(frozen=True, slots=True)
class Outages:
    """What the provider and Nodes show, and what it comes to if whom nobody can see is counted as out."""

    seen: Outage
    blind: Outage


def outages(view: View) -> Outages:
    """Counted once for a whole decision."""
    return Outages(_outage(view, blind=False), _outage(view, blind=True))


def what_stop_means(view: View, life: Life, counted: Outages) -> StopMeans:
    """Judge a stopped instance."""
    facts, name = view.facts, life.birth.instance
    seen, provider = facts.ours.get(name), facts.provider
    if seen is None or provider is None:
        return None
    if seen.host_boot and provider.host_boot and seen.host_boot != provider.host_boot:
        return PowerOnBecause("its host has rebooted since")
    together = counted.seen.of(life)
    if together is not None:
        return PowerOnBecause(together)
    since = seen.stopped_at if seen.stopped_at is not None else facts.now.boot - ELECTION_SECONDS
    if facts.now.boot < since + SETTLE_SECONDS:
        return JudgeLater("its stop to settle", since, since + SETTLE_SECONDS)
    return _beside_etcd(view, life, since) or _beside_kubernetes(view, life, since, counted)


def _beside_etcd(view: View, life: Life, since: float) -> StopMeans:
    """Without a quorum of others it is wanted back; the others may still be electing."""
    facts, name = view.facts, life.birth.instance
    if not facts.holds_data(life) or may_lose_with_quorum(facts, name):
        return None
    if facts.now.boot < since + ELECTION_SECONDS and _others_could_elect(facts, name):
        return JudgeLater("etcd to elect a leader", since, since + ELECTION_SECONDS)
    return PowerOnBecause("etcd has no quorum without it")


def _others_could_elect(facts: Facts, name: InstanceName) -> bool:
    """Whether enough of the other instances with etcd data run at all."""
    holders = {
        n for n, life in facts.lives.items() if may_hold_etcd(life.birth.role) and facts.holds_data(life)
    }
    running = [n for n in holders - {name} if facts.state(n) is InstanceState.RUNNING]
    return len(running) >= quorum_of(len(holders))


def _beside_kubernetes(view: View, life: Life, since: float, counted: Outages) -> StopMeans:
    """While Kubernetes does not answer nobody knows whether the others serve: after a while they do not.

    A controller that has just come to lead has not seen Kubernetes fail to answer for long: its while is its own.
    """
    facts = view.facts
    section = facts.picture.kubernetes
    if isinstance(section, Seen) or facts.ever_ready is None:
        return None
    since = max(since, section.since)
    if facts.now.boot < since + ELECTION_SECONDS:
        return JudgeLater("Kubernetes to answer", since, since + ELECTION_SECONDS)
    together = counted.blind.of(life)
    return PowerOnBecause(together) if together is not None else None


def _outage(view: View, blind: bool) -> Outage:
    """A group is out when more than max(1, 20 %) of it are off, or on again and not serving yet.

    One that was powered on a moment ago counts, so that the last of many is not taken for a lone death.
    """
    there: Counter[PoolName] = Counter()
    out: Counter[PoolName] = Counter()
    for life in view.facts.lives.values():
        if not view.facts.is_gone(life) and view.facts.was_launched(life):
            there[life.birth.pool] += 1
            out[life.birth.pool] += _is_out(view, life, blind)
    pools = {pool: _together(out[pool], there[pool], "its pool") for pool in there}
    return Outage(
        {pool: text for pool, text in pools.items() if text is not None},
        _together(out.total(), there.total(), "the cluster"),
    )


def _together(out: int, there: int, group: str) -> str | None:
    if out <= max(1.0, TOGETHER_SHARE * there):
        return None
    return f"{out} of {there} of {group} went out together"


def _is_out(view: View, life: Life, blind: bool) -> bool:
    facts, name = view.facts, life.birth.instance
    if facts.state(name) is InstanceState.STOPPED:
        return not _is_switched_off_by_plan(view, name)
    if life.ready_at_unix is None or name in facts.entries:
        return False
    if blind and view.verdict(name) is Verdict.UNKNOWN:
        return True
    node = facts.nodes.get(name)
    return node is not None and node_is_late(facts, node)


def _is_switched_off_by_plan(view: View, name: InstanceName) -> bool:
    """Whether its power button was pressed for a planned change, which is once it is empty, and no reboot of the host
    has struck it since."""
    facts = view.facts
    entry, seen = facts.entries.get(name), facts.ours.get(name)
    if entry is None or entry.reason not in PLANNED or seen is None or facts.provider is None:
        return False
    return seen.host_boot == facts.provider.host_boot and not pods_to_move(view, name)
