"""Rollout: who of a pool is taken next by plan, and how many more may be launched for it. `drain.py` (workers) and
`handover.py` (control plane) then walk what has an entry; `births.py` asks here for the surge.

Forward the control plane goes first, back the workers do: a kubelet is never newer than its apiserver. Between them
the add-ons go. An instance that cannot be taken is named and holds up no other pool.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from risen.core.blocked import Blocked, Waiting
from risen.core.history import Life
from risen.core.judge import verdict
from risen.core.judge.verdict import Verdict
from risen.core.names import InstanceName, Role
from risen.core.reasons import EXPIRY, ROLLING, ROLLOUT
from risen.core.rules.addons import go_before
from risen.core.rules.drainable import held_last, pods_to_move, protected
from risen.core.rules.repair import open_entry
from risen.core.rules.serving import awaits_others
from risen.core.rules.target import (
    HELD_BY_ORDER,
    Outdated,
    exposed,
    first_role,
    has_passed,
    is_paused,
    is_sent_away,
    leaving,
    may_expose,
    outdated,
    target,
    unrolled,
)
from risen.core.rules.verdict import is_doubtful
from risen.core.rules.view import RuleOutput, View, gather, once
from risen.core.safety.quorum import count_voters
from risen.core.spec import PoolSpec
from risen.core.step import OpenEntry

HELD_BY_PAUSE = frozenset({ROLLOUT, EXPIRY})


@dataclass(frozen=True, slots=True)
class PoolRoll:
    """What a pool's rollout looks like at one moment."""

    pool: PoolSpec
    outdated: tuple[Outdated, ...]
    """Of the reasons that are not held, in the order in which they go."""
    leaving: tuple[Life, ...]
    spare: int
    """Instances that stay beyond those wanted."""
    passed: bool
    held: tuple[Blocked | Waiting, ...] = ()


def propose(view: View) -> RuleOutput:
    """OpenEntry for what is taken next."""
    pools = [pool for pool in view.pools if outdated(view, pool.name)]
    if not pools:
        return RuleOutput()
    unseen = view.cannot_see("provider", "kubernetes")
    if unseen is not None:
        return unseen
    return gather(*(_roll(view, pool) for pool in pools))


@once
def roll_of(view: View, pool: PoolSpec) -> PoolRoll:
    """The rollout of one pool, with what holds it."""
    old = outdated(view, pool.name)
    wanted = target(view, pool.name)
    spare = len(view.staying(pool.name)) + len(view.births_in_flight(pool.name)) - pool.replicas
    passed = wanted is not None and has_passed(view, wanted.release)
    held = _held(view, pool, old)
    reasons = frozenset(reason for reasons, _ in held for reason in reasons)
    going = sorted((one for one in old if one.reason not in reasons), key=lambda one: _order(view, one))
    why = tuple(item for _, item in held)
    return PoolRoll(pool, tuple(going), leaving(view, pool.name), spare, passed, why)


def surge(view: View, pool: PoolSpec) -> int:
    """How many more than wanted may be launched now, to take the places of outdated ones.

    One of a release that has not passed; of a control plane one at a time, beside whole etcd only.
    """
    roll = roll_of(view, pool)
    if not roll.outdated:
        return 0
    wanted = target(view, pool.name)
    if wanted is None or (not roll.passed and not may_expose(view, wanted.release)):
        return 0
    room = most_surge(pool) - max(0, roll.spare) - len(roll.leaving)
    count = min(room, len(roll.outdated) - max(0, roll.spare))
    if not roll.passed or pool.role is Role.CONTROL_PLANE:
        count = min(count, 1)
    if pool.role is Role.CONTROL_PLANE and not _etcd_is_whole(view, pool):
        return 0
    return max(0, count)


def most_surge(pool: PoolSpec) -> int:
    """How many a pool may have beyond its replicas: a control plane is always rolled by one more."""
    return 1 if pool.role is Role.CONTROL_PLANE else pool.strategy.max_surge.of(pool.replicas)


def _held(
    view: View, pool: PoolSpec, old: tuple[Outdated, ...]
) -> list[tuple[frozenset[str], Blocked | Waiting]]:
    """Reasons that are held in this pool, each with what holds them."""
    reasons = {one.reason for one in old}
    held: list[tuple[frozenset[str], Blocked | Waiting]] = []
    if is_paused(view) and reasons & HELD_BY_PAUSE:
        order = view.facts.history.orders[view.revision.number]
        why = f"revision {view.revision.number} is paused by {order.by or 'somebody'}: {order.reason or 'no reason given'}"
        held.append((HELD_BY_PAUSE, Blocked("paused", pool.name, why)))
    before = _before(view, pool)
    what = f"{', '.join(before)} to be rolled first" if before else ""
    if not before and go_before(view, pool.role) and not is_sent_away(view, pool.name):
        what = "the add-ons to be applied first"
    if what and reasons & HELD_BY_ORDER:
        held.append((HELD_BY_ORDER, Waiting(pool.name, what, view.facts.now.boot)))
    return held


def _before(view: View, pool: PoolSpec) -> tuple[str, ...]:
    """Pools that are rolled before this one and have not been: the control plane forward, workers going back. What
    an older revision was still trying is sent away before anything is rolled."""
    first = first_role(view)
    if pool.role is first or is_sent_away(view, pool.name):
        return ()
    return unrolled(view, first)


def _order(view: View, one: Outdated) -> tuple[bool, bool, float, str]:
    """What does not serve goes first, be it etcd's leader, which goes last else; the oldest before younger ones."""
    name = one.life.birth.instance
    member = view.facts.member_of(name)
    leads = member is not None and member.leader
    return view.verdict(name) is Verdict.HEALTHY, leads, one.life.birth.born_unix, name


def _roll(view: View, pool: PoolSpec) -> RuleOutput:
    roll = roll_of(view, pool)
    held = RuleOutput(
        waiting=tuple(item for item in roll.held if isinstance(item, Waiting)),
        blocked=tuple(item for item in roll.held if isinstance(item, Blocked)),
    )
    if not roll.outdated:
        return held
    if not roll.passed and pool.role is not Role.CONTROL_PLANE:  # tried by the pods that it takes over
        loaded = sorted(roll.outdated, key=lambda one: not _has_load(view, one.life.birth.instance))
        roll = replace(roll, outdated=tuple(loaded))
    choose = _choose_control_plane if pool.role is Role.CONTROL_PLANE else _choose_workers
    chosen = gather(held, choose(view, roll))
    return _awaits_suspects(view, pool) if chosen == RuleOutput() else chosen


def _awaits_suspects(view: View, pool: PoolSpec) -> RuleOutput:
    """Nothing is said of why nothing is taken: an instance that does not serve now is in the way, and nobody ends it."""
    names = [life.birth.instance for life in view.staying(pool.name)]
    suspects = ", ".join(name for name in names if view.verdict(name) is Verdict.SUSPECT)
    if not suspects:
        return RuleOutput()
    return RuleOutput(waiting=(Waiting(pool.name, f"{suspects} to be healthy", view.facts.now.boot),))


def _choose_workers(view: View, roll: PoolRoll) -> RuleOutput:
    """As many as the strategy lets be out, of those that nothing protects."""
    strategy, replicas = roll.pool.strategy, roll.pool.replicas
    free = available(view, roll.pool) - (replicas - strategy.max_unavailable.of(replicas))
    places = max(1, most_surge(roll.pool) + strategy.max_unavailable.of(replicas)) - len(roll.leaving)
    if not roll.passed:
        places = min(places, _canary_places(view, roll))
    steps: list[OpenEntry] = []
    blocked: list[Blocked] = []
    for one in held_last(view, roll.outdated):
        if len(steps) >= places:
            break
        name = one.life.birth.instance
        cost = _cost(view, roll, one, free)
        if cost is None or cost > max(free, 0):
            continue
        refusal = protected(view, name)
        if refusal is not None:
            blocked.append(refusal)
            continue
        free -= cost
        step = open_entry(view, name, one.reason, one.evidence)
        steps.append(step if roll.passed else replace(step, served=_served_by(view, name)))
    return RuleOutput(steps=tuple(steps), blocked=tuple(blocked))


def _served_by(view: View, name: InstanceName) -> tuple[str, ...]:
    """Whose pods are Ready on an instance that the first of a release takes the place of."""
    pods = pods_to_move(view, name)
    return tuple(sorted({pod.of_owner for pod in pods if pod.ready and pod.owner and not pod.of_job}))


def _canary_places(view: View, roll: PoolRoll) -> int:
    """Until a release has passed its first instance takes over from one: launched before, or after where no
    surge is allowed."""
    wanted = target(view, roll.pool.name)
    if roll.leaving or (wanted is not None and is_doubtful(view, wanted)):
        return 0
    if roll.spare > 0:
        return 1
    surges = most_surge(roll.pool) > 0
    return 0 if surges or wanted is None or not may_expose(view, wanted.release) else 1


def _cost(view: View, roll: PoolRoll, one: Outdated, free: int) -> int | None:
    """How many available ones it takes: none where it does not count as one. None: it may not be taken now."""
    if has_served(view, one.life, roll.pool.strategy.min_ready_seconds):
        return 1
    match view.verdict(one.life.birth.instance):
        case Verdict.HEALTHY | Verdict.STARTING | Verdict.SUSPECT | Verdict.SICK:
            bad = one.life.birth.release in view.facts.history.revoked
            never_served = roll.passed and one.life.ready_at_unix is None
            return 0 if free >= 0 or bad or never_served else None
        case _:
            return None


def available(view: View, pool: PoolSpec) -> int:
    """Instances of a pool that stay, are healthy and have been Ready for long enough."""
    return sum(
        1 for life in view.staying(pool.name) if has_served(view, life, pool.strategy.min_ready_seconds)
    )


def has_served(view: View, life: Life, seconds: float) -> bool:
    """Whether an instance is healthy and has been Ready for so long."""
    return verdict.has_served(view.facts, life, view.verdict(life.birth.instance), seconds)


def _has_load(view: View, name: InstanceName) -> bool:
    return any(not pod.finished and not pod.of_job for pod in pods_to_move(view, name))


def _choose_control_plane(view: View, roll: PoolRoll) -> RuleOutput:
    """One at a time: what does not serve at once, others once one more than wanted votes and serves."""
    pool = roll.pool
    open_now = [life for life in view.of_pool(pool.name) if life.birth.instance in view.facts.entries]
    if open_now:
        return RuleOutput()
    first = roll.outdated[0]
    if not roll.passed:
        return _until_passed(view, roll, first)
    if view.verdict(first.life.birth.instance) is not Verdict.HEALTHY:
        return _choose_sick(view, roll, first)
    if roll.spare < 1 or available(view, pool) < pool.replicas + 1:
        return RuleOutput()
    blocked: list[Blocked] = []
    for one in held_last(view, roll.outdated):
        name = one.life.birth.instance
        refusal = protected(view, name)
        if refusal is None:
            entry = RuleOutput((open_entry(view, name, one.reason, one.evidence),), blocked=tuple(blocked))
            return awaits_others(view, one.life) or entry
        blocked.append(refusal)
    return RuleOutput(blocked=tuple(blocked))


def _until_passed(view: View, roll: PoolRoll, first: Outdated) -> RuleOutput:
    """Nothing old is touched for a release that nobody has judged, however it fares: repair has its own say on it,
    and launches what stood. Beside a voter that does not answer no first instance can be tried."""
    name, wanted = first.life.birth.instance, target(view, roll.pool.name)
    if wanted is None or view.verdict(name) is Verdict.HEALTHY:
        return RuleOutput()
    verdict, member = view.verdict(name), view.facts.member_of(name)
    if member is not None and not member.healthy and not exposed(view, wanted.release):
        why = f"it is {verdict} and its etcd member does not answer: a rollout begins beside whole etcd"
        mend = f"`risen kill {name}` replaces it by the release that stood"
        return RuleOutput(blocked=(Blocked("quorum", name, f"{why}; {mend}"),))
    for_what = f"{wanted.release} to pass before it is taken: it is {verdict}"
    return RuleOutput(waiting=(Waiting(name, for_what, view.facts.now.boot),))


def _choose_sick(view: View, roll: PoolRoll, one: Outdated) -> RuleOutput:
    """What has gone bad is taken as long as the others are etcd's quorum: safety has the last word on it. No other goes
    before it, so where a pod asks not to be disrupted it is said what takes it all the same. One that still starts gets
    its time, but not where all that are wanted serve without it."""
    name = one.life.birth.instance
    if view.verdict(name) in (Verdict.STARTING, Verdict.SUSPECT, Verdict.SICK) and one.reason in ROLLING:
        starts = one.reason == ROLLOUT and view.verdict(name) is Verdict.STARTING
        starts = starts and available(view, roll.pool) < roll.pool.replicas
        if starts and not is_sent_away(view, one.life.birth.pool):
            return RuleOutput()
        then = f"it is {view.verdict(name)}, nothing goes before it; if that lasts `risen kill {name}` replaces it"
        refusal = protected(view, name, then)
        if refusal is not None:
            return RuleOutput(blocked=(refusal,))
        return RuleOutput(steps=(open_entry(view, name, one.reason, one.evidence),))
    return RuleOutput()


def _etcd_is_whole(view: View, pool: PoolSpec) -> bool:
    """Every wanted voter is there and healthy, no learner, and nothing of the pool is on its way out."""
    voters, etcd = count_voters(view.facts), view.facts.etcd
    if voters is None or etcd is None or any(member.learner for member in etcd.members):
        return False
    out = any(life.birth.instance in view.facts.entries for life in view.of_pool(pool.name))
    return not out and voters.total == len(voters.healthy) == pool.replicas
