"""Scale-down of workers: entry, cordon, one eviction a step, power button, and the end once it is off.

Those that are not ready go first, then the newest. A control plane is not scaled down by this rule.
"""

from __future__ import annotations

from risen.core.blocked import Blocked, Waiting
from risen.core.history import Life
from risen.core.judge.verdict import Verdict
from risen.core.names import InstanceName, PoolName, Role
from risen.core.picture import InstanceState, NodeSeen, PodSeen
from risen.core.rules.repair import open_entry
from risen.core.rules.view import RuleOutput, View, gather
from risen.core.safety.budget import budget_blocks
from risen.core.safety.claims import MOST_IN_FLIGHT
from risen.core.spec import PoolSpec
from risen.core.step import CordonNode, Destroy, EvictPod, OpenEntry, PressPowerButton, Step

SCALE_DOWN = "scale-down"
POWER_OFF_BOUND_SECONDS = 600.0
"""From the entry on: an instance without pods that does not power off by itself is ended."""
CONTROLLER_LEASE = "kube-controller-manager"


def propose(view: View) -> RuleOutput:
    """OpenEntry, CordonNode, EvictPod, PressPowerButton, Destroy."""
    surplus = _surplus(view)
    going = [life for name, life in view.facts.lives.items() if _goes(view, name)]
    if not surplus and not going:
        return RuleOutput()
    unseen = view.cannot_see("provider", "kubernetes")
    if unseen is not None:
        return unseen
    outputs = [_choose(view, pool, count) for pool, count in surplus]
    outputs += [_drain(view, life) for life in going]
    return gather(*outputs)


def _goes(view: View, name: InstanceName) -> bool:
    entry = view.facts.entries.get(name)
    return entry is not None and entry.reason == SCALE_DOWN


def _surplus(view: View) -> list[tuple[PoolSpec, int]]:
    """Pools with more instances than wanted, and how many more; a pool that is wanted no more wants none."""
    pools = {pool.name: pool for pool in view.pools}
    for life in view.facts.lives.values():
        birth = life.birth
        pools.setdefault(birth.pool, PoolSpec(birth.pool, birth.role, 0))
    counted = [
        (pool, len(view.staying(PoolName(name))) - pool.replicas) for name, pool in sorted(pools.items())
    ]
    return [(pool, count) for pool, count in counted if count > 0]


def _choose(view: View, pool: PoolSpec, count: int) -> RuleOutput:
    if pool.role is not Role.WORKER:
        have = pool.replicas + count
        why = f"{have} control-plane instances, {pool.replicas} wanted: voters are not scaled down by this version"
        return RuleOutput(blocked=(Blocked("quorum", pool.name, why),))
    order = sorted(
        view.staying(pool.name),
        key=lambda life: (
            view.verdict(life.birth.instance) is Verdict.HEALTHY,
            -life.birth.born_unix,
            life.birth.instance,
        ),
    )
    steps: list[OpenEntry] = []
    taking: frozenset[InstanceName] = frozenset()
    evidence = f"{pool.replicas + count} instances, {pool.replicas} wanted"
    for life in order[: min(count, MOST_IN_FLIGHT)]:
        name = life.birth.instance
        blocked = budget_blocks(pool, view.facts, view.verdicts, taking | {name})
        if blocked is not None:
            return RuleOutput(steps=tuple(steps), blocked=(blocked,))
        taking |= {name}
        steps.append(open_entry(view, name, SCALE_DOWN, evidence))
    return RuleOutput(steps=tuple(steps))


def _drain(view: View, life: Life) -> RuleOutput:
    facts, name = view.facts, life.birth.instance
    entry = facts.entries[name]
    state = facts.state(name)
    since = facts.boot_of(entry.opened_unix)
    if facts.is_gone(life):
        return RuleOutput()
    if state is InstanceState.UNKNOWN:
        return RuleOutput(
            blocked=(Blocked("cannot-see", name, "the provider says unknown: that is not gone"),)
        )
    if state is None:
        return RuleOutput(waiting=(Waiting(name, "the provider's word on it", since),))
    node = facts.nodes.get(name)
    if state is InstanceState.STOPPED or node is None:
        return RuleOutput(steps=(_destroy(view, name),))
    if not node.unschedulable:
        return RuleOutput(steps=(CordonNode(name, node.uid),))
    return _empty(view, name, node, since)


def _empty(view: View, name: InstanceName, node: NodeSeen, since: float) -> RuleOutput:
    facts = view.facts
    pods = [pod for pod in facts.pods.get(name, ()) if not pod.daemon and not pod.mirror]
    if not pods:
        give_up_at = since + POWER_OFF_BOUND_SECONDS
        if facts.now.boot >= give_up_at:
            return RuleOutput(steps=(_destroy(view, name),))
        step = PressPowerButton(name, facts.ours[name].provider_id)
        return RuleOutput(steps=(step,), waiting=(Waiting(name, "its power-off", since, give_up_at),))
    waiting = Waiting(name, f"{len(pods)} pods to leave", since)
    if dict(facts.kubernetes.lease_holders if facts.kubernetes else ()).get(CONTROLLER_LEASE) == "":
        return RuleOutput(waiting=(waiting, Waiting(name, "a kube-controller-manager to lead", since)))
    return RuleOutput(steps=tuple(_evict(pod) for pod in pods if not pod.terminating), waiting=(waiting,))


def _evict(pod: PodSeen) -> Step:
    return EvictPod(pod.namespace, pod.name, pod.uid, pod.node)


def _destroy(view: View, name: InstanceName) -> Destroy:
    return Destroy(name, view.facts.ours[name].provider_id, view.facts.holds_data(view.facts.lives[name]))
