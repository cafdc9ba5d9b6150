"""Drain of workers that are taken by plan: cordon, one eviction a step, volumes off, load balancers off, power
button, and the end.

Scale-down chooses here too: what is outdated or not ready goes first, then the newest. Whom a rollout takes is
`rollout.py`'s to say; of a control plane `voters.py` chooses and `handover.py` walks.
"""

from __future__ import annotations

from risen.core.blocked import Blocked, Waiting
from risen.core.history import Entry, Life
from risen.core.judge.facts import CONTROLLER_LEASE, Facts
from risen.core.judge.verdict import Verdict, is_silent
from risen.core.names import InstanceName, PoolName, Role
from risen.core.picture import InstanceState, PodSeen
from risen.core.reasons import PLANNED, SCALE_DOWN
from risen.core.rules.balancers import leave_balancers
from risen.core.rules.drainable import called_off, may_force, pods_to_move, protected
from risen.core.rules.repair import open_entry
from risen.core.rules.rollout import most_surge
from risen.core.rules.target import going_back, has_passed, is_tried, outdated, target
from risen.core.rules.view import RuleOutput, View, gather
from risen.core.safety.budget import budget_blocks
from risen.core.safety.claims import MOST_IN_FLIGHT
from risen.core.safety.protection import asks_to_stay
from risen.core.spec import PoolSpec
from risen.core.step import (
    STEP_TIMEOUT_SECONDS,
    CloseEntry,
    CordonNode,
    DeletePod,
    Destroy,
    EvictPod,
    ForceDrain,
    OpenEntry,
    PowerOn,
    PressPowerButton,
    Step,
    UncordonNode,
)

POWER_OFF_BOUND_SECONDS = 180.0
"""From the press on: an instance that does not power off by itself is ended."""


def propose(view: View) -> RuleOutput:
    """OpenEntry, CordonNode, EvictPod, ForceDrain, DeletePod, MarkNode, PressPowerButton, Destroy; UncordonNode and
    CloseEntry to skip."""
    surplus = _surplus(view)
    going = [life for name, life in view.facts.lives.items() if _goes(view, name)]
    if not surplus and not going:
        return RuleOutput()
    unseen = view.cannot_see("provider", "kubernetes")
    if unseen is not None:
        return unseen
    outputs = [_waits(view, pool) or _choose(view, pool, count) for pool, count in surplus]
    outputs += [_drain(view, life) for life in going]
    return gather(*outputs)


def _goes(view: View, name: InstanceName) -> bool:
    entry, life = view.facts.entries.get(name), view.facts.lives[name]
    return entry is not None and entry.reason in PLANNED and life.birth.role is Role.WORKER


def _surplus(view: View) -> list[tuple[PoolSpec, int]]:
    """Pools with more instances than wanted, and how many more; a pool that is wanted no more wants none.

    What a rollout launched ahead is no surplus while there is still one to take the place of, nor while it is tried:
    where all others were skipped meanwhile there is none.
    """
    pools = {pool.name: pool for pool in view.pools}
    for life in view.facts.lives.values():
        birth = life.birth
        if not _is_gone_back_to(view, birth.pool):
            pools.setdefault(birth.pool, PoolSpec(birth.pool, birth.role, 0))
    counted: list[tuple[PoolSpec, int]] = []
    for name, pool in sorted(pools.items()):
        if pool.role is Role.CONTROL_PLANE:
            continue
        going = max(len(outdated(view, PoolName(name))), int(is_tried(view, PoolName(name))))
        ahead = min(most_surge(pool), going) if pool.replicas else 0
        counted.append((pool, len(view.staying(PoolName(name))) - pool.replicas - ahead))
    return [(pool, count) for pool, count in counted if count > 0]


def _waits(view: View, pool: PoolSpec) -> RuleOutput | None:
    """A pool that is wanted no more stays until the others have what they want: under another name it may be the one
    that takes its pods."""
    if view.pool(pool.name) is not None:
        return None
    short = [other for other in view.pools if other.role is pool.role and _is_awaited(view, other)]
    if not short:
        return None
    for_what = (
        f"{', '.join(other.name for other in short)} to serve before the instances of {pool.name} are ended"
    )
    return RuleOutput(waiting=(Waiting(pool.name, for_what, view.facts.now.boot),))


def _is_awaited(view: View, pool: PoolSpec) -> bool:
    """Whether a pool is to have more that serve, or its release is still tried. What the provider refuses may need the
    very room that others take."""
    wanted, staying = target(view, pool.name), view.staying(pool.name)
    if any(life.refused for life in staying):
        return False
    serving = sum(view.verdict(life.birth.instance) is Verdict.HEALTHY for life in staying)
    return serving < pool.replicas or (wanted is not None and not has_passed(view, wanted.release))


def _is_gone_back_to(view: View, pool: PoolName) -> bool:
    """Whether a pool that the revision does without stood before it, and the revision is gone back from."""
    known = view.facts.history.settled_release(pool) is not None
    return known and view.pool(pool) is None and going_back(view) is not None


def _choose(view: View, pool: PoolSpec, count: int) -> RuleOutput:
    old = {one.life.birth.instance for one in outdated(view, pool.name)}
    order = sorted(
        view.staying(pool.name),
        key=lambda life: (
            view.verdict(life.birth.instance) is Verdict.HEALTHY,
            life.birth.instance not in old,
            -life.birth.born_unix,
            life.birth.instance,
        ),
    )
    steps: list[OpenEntry] = []
    refused: list[Blocked] = []
    taking: frozenset[InstanceName] = frozenset()
    evidence = f"{pool.replicas + count} instances, {pool.replicas} wanted"
    for life in order:
        name = life.birth.instance
        if len(steps) >= min(count, MOST_IN_FLIGHT):
            break
        blocked = protected(view, name) or budget_blocks(pool, view.facts, view.verdicts, taking | {name})
        if blocked is not None:
            refused.append(blocked)
            continue
        taking |= {name}
        steps.append(open_entry(view, name, SCALE_DOWN, evidence))
    return RuleOutput(steps=tuple(steps), blocked=tuple(refused) if len(steps) < count else ())


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
    if state is InstanceState.STOPPED and _was_cut_short(view, name):
        return RuleOutput(steps=(PowerOn(name, facts.ours[name].provider_id),))
    if state is InstanceState.STOPPED or node is None:
        return RuleOutput(steps=(destroy(view, name),))
    outcome = called_off(view, entry)
    if outcome is not None:
        return let_live(view, entry, outcome)
    if not node.unschedulable:
        return RuleOutput(steps=(CordonNode(name, node.uid),))
    return move_pods(view, entry) or leave_balancers(view, node) or _power_off(view, name)


def _was_cut_short(view: View, name: InstanceName) -> bool:
    """Whether the host's power was cut amid a drain that a pod held up which asks not to be disrupted."""
    seen, provider = view.facts.ours[name], view.facts.provider
    rebooted = provider is not None and seen.host_boot != provider.host_boot
    return rebooted and protected(view, name) is not None


def let_live(view: View, entry: Entry, outcome: str) -> RuleOutput:
    """It takes pods again, unless a person said no, and its entry is closed once nothing on its way still needs it:
    evictions, and whatever a controller before this one may have sent before it died. A cordon that is seen later
    still is taken back then, by `nodes.py`."""
    facts, name = view.facts, entry.subject
    since = facts.boot_of(entry.opened_unix)
    if any(isinstance(step, EvictPod | DeletePod) and step.node == name for step in facts.steps):
        return RuleOutput(waiting=(Waiting(name, "the answer to an eviction", since),))
    led_since = facts.now.leading_since_unix
    landed_at = facts.boot_of(led_since) + STEP_TIMEOUT_SECONDS
    if entry.opened_unix < led_since and facts.now.boot < landed_at:
        return RuleOutput(
            waiting=(Waiting(name, "what an earlier controller may have sent", since, landed_at),)
        )
    node = facts.nodes.get(name)
    if node is not None and node.our_cordon and not facts.is_asked_to_end(name):
        return RuleOutput(steps=(UncordonNode(node.name, node.uid),))
    return RuleOutput(steps=(CloseEntry(entry.id, outcome),))


def move_pods(view: View, entry: Entry) -> RuleOutput | None:
    """Evictions of a cordoned instance's pods, and the wait for them and their volumes; None once it is empty.

    System-critical pods go last, once the volumes of all others are off: one of them may be the CSI controller that
    detaches them. (One that has a volume of its own would wait for itself: it does not.)
    Where no kubelet runs nobody ends a pod and lets go of a volume: what was told to end counts as gone then.
    A pod that asks not to be disrupted since the instance was taken is waited for, as for one whose budget is closed.
    """
    facts, name = view.facts, entry.subject
    since = facts.boot_of(entry.opened_unix)
    pods = pods_to_move(view, name)
    silent = _is_silent(facts, name)
    if silent:
        pods = tuple(pod for pod in pods if not pod.terminating)
    held = facts.attached_to(name)
    turn = tuple(pod for pod in pods if not pod.critical) or pods
    last = all(pod.critical and not pod.stateful for pod in turn)
    if last and held and not silent:
        return RuleOutput(waiting=(Waiting(name, f"{len(held)} volumes to be detached", since),))
    if not pods:
        return None
    if not facts.is_led(CONTROLLER_LEASE):
        return RuleOutput(waiting=(Waiting(name, "a kube-controller-manager to lead", since),))
    give_up = since + view.revision.spec.disruption.drain_timeout_seconds
    if facts.now.boot >= give_up:
        return _drain_took_too_long(view, entry, turn)
    waiting = Waiting(name, f"{len(pods)} pods to leave", since, give_up)
    return gather(_evictions(view, name, turn), RuleOutput(waiting=(waiting,)))


def _evictions(view: View, name: InstanceName, pods: tuple[PodSeen, ...]) -> RuleOutput:
    """Of those that were not told to end yet; what asks not to be disrupted stays, and is named."""
    held = protected(view, name, "it stays until that is taken away or it ends, the others leave")
    steps = tuple(_evict(pod) for pod in pods if not pod.terminating and not asks_to_stay(pod))
    return RuleOutput(steps=steps, blocked=(held,) if held is not None else ())


def _is_silent(facts: Facts, name: InstanceName) -> bool:
    """Whether its kubelet has fallen silent, to Kubernetes too, while another speaks: it is not the API's silence."""
    node = facts.nodes.get(name)
    if node is None or node.ready is not None or not is_silent(facts, node):
        return False
    return any(other.ready and not is_silent(facts, other) for other in facts.nodes.values())


def _drain_took_too_long(view: View, entry: Entry, pods: tuple[PodSeen, ...]) -> RuleOutput:
    """A person is told and evictions are tried on, or the pods are deleted past their budgets if the user said so."""
    disruption = view.revision.spec.disruption
    named = ", ".join(f"{pod.namespace}/{pod.name}{_why_it_stays(view, pod)}" for pod in pods[:5])
    why = f"{len(pods)} pods did not leave within {disruption.drain_timeout_seconds:.0f} s: {named}"
    if may_force(view, entry):
        said = Blocked("drain-timeout", entry.subject, f"{why}; forced")
        return RuleOutput(steps=_force(entry, pods), blocked=(said,))
    going_on = _evictions(view, entry.subject, pods)
    return gather(going_on, RuleOutput(blocked=(Blocked("drain-timeout", entry.subject, why),)))


def _force(entry: Entry, pods: tuple[PodSeen, ...]) -> tuple[Step, ...]:
    """Into the ledger first, then deleted."""
    left = [pod for pod in pods if not pod.terminating]
    untold = tuple(name for pod in left if (name := f"{pod.namespace}/{pod.name}") not in entry.forced)
    if untold:
        return (ForceDrain(entry.id, entry.subject, untold),)
    return tuple(DeletePod(pod.namespace, pod.name, pod.uid, pod.node) for pod in left)


def _why_it_stays(view: View, pod: PodSeen) -> str:
    if asks_to_stay(pod):
        return " (asks not to be disrupted)"
    kubernetes = view.facts.kubernetes
    names = [
        f"{budget.name} allows {budget.allowed} ({budget.healthy} healthy, needs {budget.desired_healthy})"
        for budget in (kubernetes.budgets if kubernetes else ())
        if budget.covers(pod)
    ]
    return f" (budget {'; '.join(names)})" if names else ""


def _power_off(view: View, name: InstanceName) -> RuleOutput:
    """Its power button; once that has been pressed for long, its end."""
    seen = view.facts.ours[name]
    pressed = seen.power_pressed_at
    if pressed is None:
        step = PressPowerButton(name, seen.provider_id)
        return RuleOutput(steps=(step,), waiting=(Waiting(name, "its power-off", view.facts.now.boot),))
    give_up_at = pressed + POWER_OFF_BOUND_SECONDS
    if view.facts.now.boot >= give_up_at:
        return RuleOutput(steps=(destroy(view, name),))
    return RuleOutput(waiting=(Waiting(name, "its power-off", pressed, give_up_at),))


def _evict(pod: PodSeen) -> Step:
    return EvictPod(pod.namespace, pod.name, pod.uid, pod.node)


def destroy(view: View, name: InstanceName) -> Destroy:
    """The end of an instance as the provider knows it."""
    return Destroy(name, view.facts.ours[name].provider_id, view.facts.holds_data(view.facts.lives[name]))
