"""Who can be drained now, and which drains take too long: what cannot leave goes last, and holds up nobody.

It proposes nothing. A drain that takes too long is put off where another of its pool can be drained now: the
instance takes pods again and goes later. Where there is no other it stays in its drain, and evictions are tried on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from risen.core.blocked import Blocked
from risen.core.history import Entry, Life
from risen.core.judge.evictions import Budgets
from risen.core.names import InstanceName, PoolName, Role
from risen.core.picture import InstanceState, PodSeen
from risen.core.reasons import CALLED_OFF, PLANNED, PUT_OFF, ROLLBACK, ROLLING, SCALE_DOWN, SKIPPED
from risen.core.rules.target import Outdated, is_paused, outdated, wanted_again
from risen.core.rules.view import View, once
from risen.core.safety.invariants import accepts_data_loss
from risen.core.safety.protection import asked_by, protected_pods
from risen.core.safety.quorum import blocks_less_tolerance, blocks_loss
from risen.core.step import PressPowerButton

MOST_ROUNDS = 3
"""So often in a revision a drain is put off and the instance then preferred to another that is stuck."""


def pods_to_move(view: View, name: InstanceName) -> tuple[PodSeen, ...]:
    """Pods of an instance that a drain evicts: no daemon's, no static ones. What has finished is evicted too, as
    kubectl's drain does, and past every budget; one that is on its way out besides is an object and no more."""
    return tuple(
        pod
        for pod in view.facts.pods.get(name, ())
        if not pod.daemon and not pod.mirror and not (pod.finished and pod.terminating)
    )


def protected(view: View, name: InstanceName, then: str = "others go on") -> Blocked | None:
    """Pods that ask not to be disrupted, by name, and what comes of it."""
    return asked_by(name, protected_pods(view.facts, name), then)


@once
def budgets(view: View) -> Budgets:
    """All budgets, by what they count."""
    kubernetes = view.facts.kubernetes
    return Budgets(kubernetes.budgets if kubernetes is not None else ())


def is_held(view: View, name: InstanceName) -> bool:
    """Whether a pod of it would not leave now: a budget refuses its eviction, or it was told to end and is there."""
    index = budgets(view)
    left = (pod for pod in pods_to_move(view, name) if not pod.finished)
    return any(pod.terminating or index.hindering(pod) is not None for pod in left)


def held_last(view: View, old: Iterable[Outdated]) -> Iterator[Outdated]:
    """In the same order, but what could not be drained now after everything else, and of the rest what was put off
    longest ago first. Looks no further than it is asked to: a large pool has many pods."""
    later: list[Outdated] = []
    put_off = _put_off_unix(view)
    for one in old:
        if one.life.birth.instance in put_off or is_held(view, one.life.birth.instance):
            later.append(one)
        else:
            yield one

    def order(one: Outdated) -> tuple[bool, float]:
        name = one.life.birth.instance
        return is_held(view, name), put_off.get(name, (0.0,))[-1]

    yield from sorted(later, key=order)


@once
def _put_off_unix(view: View) -> dict[InstanceName, tuple[float, ...]]:
    """Those whose drain was put off in this revision, with each time."""
    found: dict[InstanceName, tuple[float, ...]] = {}
    for entry in view.facts.history.entries.values():
        closed = entry.closed_unix or 0.0
        if entry.outcome == PUT_OFF and closed >= view.revision.applied_unix:
            found[entry.subject] = tuple(sorted((*found.get(entry.subject, ()), closed)))
    return found


# --- a drain that takes too long ----------------------------------------------------------------------------
def drains_until(view: View, entry: Entry) -> float:
    """Until when, in unix seconds, a drain is waited for."""
    return entry.opened_unix + view.revision.spec.disruption.drain_timeout_seconds


def is_stuck(view: View, entry: Entry) -> bool:
    """Whether it has been drained for too long, its button is not pressed, and its pods are not deleted by force."""
    seen = view.facts.ours.get(entry.subject)
    runs = seen is not None and seen.state is InstanceState.RUNNING and seen.power_pressed_at is None
    return runs and not may_force(view, entry) and view.facts.now.unix >= drains_until(view, entry)


def may_force(view: View, entry: Entry) -> bool:
    """Whether pods may be deleted past their budgets once the time is over: the user said so, and none asks not to be
    disrupted. While one does the instance cannot be emptied, and others would be ended for nothing."""
    asked = view.revision.spec.disruption.on_drain_timeout == "force"
    return asked and not protected_pods(view.facts, entry.subject)


def is_put_off(view: View, entry: Entry) -> bool:
    """Whether it had better go later: pods do not leave it, and another of its pool could be drained now."""
    life = view.facts.lives.get(entry.subject)
    if life is None or entry.reason not in ROLLING or not is_stuck(view, entry) or is_paused(view):
        return False
    if not pods_to_move(view, entry.subject):
        return False
    return _some_would_leave(view, life.birth.pool)


@once
def _some_would_leave(view: View, pool: PoolName) -> bool:
    """Whether one of those that are to go could be drained now; asked once for all drains that are stuck."""
    return any(_would_leave(view, one.life.birth.instance) for one in outdated(view, pool))


def _would_leave(view: View, name: InstanceName) -> bool:
    """Whether its pods may go now. What only seems so (a webhook refuses its evictions) is not gone round with for
    ever: each round moves the pods of others."""
    rounds = len(_put_off_unix(view).get(name, ()))
    return rounds < MOST_ROUNDS and protected(view, name) is None and not is_held(view, name)


def called_off(view: View, entry: Entry) -> str | None:
    """With what outcome it is let live; None while it goes. Once its button is pressed there is no way back. What a
    person wants ended now is not drained any more: repair ends it."""
    seen = view.facts.ours.get(entry.subject)
    if seen is None or seen.power_pressed_at is not None or _is_being_pressed(view, entry.subject):
        return None
    if wanted_again(view, entry) or _is_killed(view, entry.subject) or _lost_its_spare(view, entry):
        return CALLED_OFF
    if _may_be_skipped(view, entry):
        return SKIPPED
    return PUT_OFF if is_put_off(view, entry) else None


def _is_killed(view: View, name: InstanceName) -> bool:
    """Whether a person wants it ended now, and that loses nothing. Else its drain goes on: it is the safe way."""
    life = view.facts.lives.get(name)
    if life is None or not view.facts.is_asked_to_end(name):
        return False
    return blocks_loss(view.facts, life, accepts_data_loss(view.facts, name)) is None


def _lost_its_spare(view: View, entry: Entry) -> bool:
    """Whether the control-plane instance beside which it was to go is gone itself: nobody may go then, and while this
    one counts as there no other is launched. What votes no more, and was taken without a spare, goes all the same."""
    life = view.facts.lives.get(entry.subject)
    pool = view.pool(life.birth.pool) if life is not None and life.birth.role is Role.CONTROL_PLANE else None
    if pool is None or entry.reason not in PLANNED or len(view.staying(pool.name)) >= pool.replicas:
        return False
    return blocks_less_tolerance(view.facts, entry.subject, pool.replicas) is not None


def _is_being_pressed(view: View, name: InstanceName) -> bool:
    """A press on its way may have happened already."""
    return any(isinstance(step, PressPowerButton) and step.instance == name for step in view.facts.steps)


def _may_be_skipped(view: View, entry: Entry) -> bool:
    """Whether the user lets it live until the next revision. A control plane keeps no voter more than wanted, and of
    what is gone back from nothing stays."""
    life = view.facts.lives.get(entry.subject)
    if life is None or life.birth.role is not Role.WORKER or entry.reason == SCALE_DOWN:
        return False
    if entry.reason == ROLLBACK and not _stood_before(view, life):
        return False
    asked = view.revision.spec.disruption.on_drain_timeout == "skip"
    return asked and is_stuck(view, entry) and bool(pods_to_move(view, entry.subject))


def _stood_before(view: View, life: Life) -> bool:
    """Whether it is of a release that is good, and none of the revision that is gone back from."""
    release, history = life.birth.release, view.facts.history
    brought = {one.release for one in view.revision.releases}
    return release in history.passed and release not in brought
