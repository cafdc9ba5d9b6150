"""Bring-up: the bootstrap object before anything, then every birth record's launch, side by side.

It founds etcd once: a new generation is written only while no cluster id was ever recorded and the founder
is proven gone. Births are `births.py`'s, membership is `membership.py`'s.
"""

from __future__ import annotations

from risen.core.blocked import Blocked, Waiting
from risen.core.history import Life
from risen.core.judge.facts import Facts
from risen.core.judge.verdict import Verdict
from risen.core.names import InstanceName
from risen.core.picture import InstanceState
from risen.core.rules.names import fresh_names
from risen.core.rules.view import RuleOutput, View, gather
from risen.core.step import Bootstrap, Launch, RecordClusterId, Step, WriteBootstrap

TOKEN_CHARACTERS = 16


def propose(view: View) -> RuleOutput:
    """WriteBootstrap, RecordClusterId, Launch."""
    unseen = view.cannot_see("provider")
    if unseen is not None:
        return unseen
    launches = _launches(view)
    steps = (*_bootstrap(view), *_cluster_id(view), *launches)
    return gather(RuleOutput(steps=steps, blocked=_refused(view, launches)), _starting(view))


def lacks_founder(facts: Facts) -> bool:
    """Whether a (new) founder has to be named: none is yet, or it is proven gone and etcd never was."""
    if facts.history.etcd_cluster_id:
        return False
    newest = facts.founder
    if newest is None:
        return True
    if facts.etcd is not None and facts.etcd.members:
        return False
    if newest.founder not in facts.history.lives:
        return False
    life = facts.lives.get(newest.founder)
    return life is None or facts.is_gone(life)


def _bootstrap(view: View) -> tuple[Step, ...]:
    if not lacks_founder(view.facts):
        return ()
    names = fresh_names(view, view.revision.spec.control_plane.name)
    founder = next(names, None)
    if founder is None or not view.supplies.nonces:
        return ()
    newest = view.facts.founder
    generation = newest.generation + 1 if newest is not None else 1
    return (WriteBootstrap(Bootstrap(generation, founder, view.supplies.nonces[0][:TOKEN_CHARACTERS])),)


def _cluster_id(view: View) -> tuple[Step, ...]:
    """Recorded when the founder's own member is seen; membership waits for it."""
    etcd, founder = view.facts.etcd, view.facts.founder
    if view.facts.history.etcd_cluster_id or etcd is None or founder is None or not etcd.cluster_id:
        return ()
    if not any(member.name == founder.founder for member in etcd.members):
        return ()
    return (RecordClusterId(etcd.cluster_id),)


def _launches(view: View) -> tuple[Launch, ...]:
    """Launch is idempotent by name: a lost answer is simply asked again, and what was cut short is finished."""
    return tuple(
        Launch(name)
        for name, life in view.facts.lives.items()
        if name not in view.facts.entries and _wants_launch(view, life)
    )


def _refused(view: View, launches: tuple[Launch, ...]) -> tuple[Blocked, ...]:
    """What the provider says of those that it does not launch; it is asked again all the same."""
    lives, now = view.facts.lives, view.facts.now.unix
    return tuple(
        Blocked(
            "launch",
            name,
            f"the provider refuses it for {now - life.refused_since_unix:.0f} s: {life.refused}",
        )
        for name in (launch.instance for launch in launches)
        if (life := lives[name]).refused
    )


def _wants_launch(view: View, life: Life) -> bool:
    """Whether it was never launched, or a launch, perhaps seen while it was under way, was never finished.

    One that is given up by its bound is not launched any more: its end could else never claim it.
    """
    facts, name = view.facts, life.birth.instance
    state = facts.state(name)
    if state is InstanceState.UNFINISHED:
        return not view.verdicts[name].never_joined
    return state in (None, InstanceState.GONE) and not facts.was_launched(life)


def _starting(view: View) -> RuleOutput:
    waiting = []
    for name, judged in view.verdicts.items():
        life = view.facts.lives[name]
        starting = judged.verdict is Verdict.STARTING and name not in view.facts.entries
        if starting and life.launched_at_unix is not None:
            since = view.facts.boot_of(life.launched_at_unix)
            waiting.append(Waiting(name, awaited(view, name), since, judged.give_up_at))
    return RuleOutput(waiting=tuple(waiting))


def awaited(view: View, name: InstanceName) -> str:
    """What a starting instance waits for, in its order."""
    life = view.facts.lives[name]
    if life.joined_at_unix is None:
        founder = view.facts.founder
        waits = founder is not None and founder.founder != name and life.birth.role.value != "worker"
        if waits and view.facts.member_of(name) is None:
            return "its turn to join etcd"
        return "join"
    return view.verdicts[name].evidence[-1]
