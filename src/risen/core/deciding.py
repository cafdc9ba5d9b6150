"""The entry of the pure middle: judge, ask every rule, let safety drop what may not be. No I/O, no clock.

Equal inputs give equal plans, however they are shuffled.
"""

from __future__ import annotations

from dataclasses import replace

from risen.core.blocked import Blocked
from risen.core.history import History
from risen.core.judge.facts import Facts, look
from risen.core.judge.verdict import judge
from risen.core.picture import Picture
from risen.core.plan import Now, Plan, Supplies
from risen.core.rules import (
    addons,
    births,
    bringup,
    closing,
    drain,
    endpoint,
    handover,
    leases,
    membership,
    nodes,
    orphan,
    pods,
    repair,
    rollout,
    verdict,
    voters,
)
from risen.core.rules.orphan import empty_store
from risen.core.rules.view import RuleOutput, View, gather
from risen.core.safety.claims import Claims
from risen.core.safety.recheck import refusal
from risen.core.spec import Revision
from risen.core.step import Step

RULES = (
    orphan.propose,
    bringup.propose,
    repair.propose,
    verdict.propose,
    rollout.propose,
    membership.propose,
    pods.propose,
    endpoint.propose,
    births.propose,
    leases.propose,
    nodes.propose,
    drain.propose,
    voters.propose,
    handover.propose,
    addons.propose,
    closing.propose,
)
"""In the order in which their steps go when they claim the same."""


def decide(revision: Revision, picture: Picture, history: History, now: Now, supplies: Supplies) -> Plan:
    """What to do now, what is awaited, what is refused, and when to look again."""
    facts = look(picture, history, now)
    empty = empty_store(facts, revision.spec.name)
    if empty is not None:
        return Plan(blocked=(empty,))
    view = View(revision, facts, judge(facts), supplies)
    output = gather(*(rule(view) for rule in RULES))
    steps, refused = _safe(facts, output.steps)
    blocked = tuple(sorted({*output.blocked, *refused}))
    waiting = tuple(sorted(set(output.waiting), key=lambda w: (w.subject, w.for_what, w.since)))
    tasks = tuple(sorted(set(output.tasks), key=lambda task: task.key))
    return Plan(steps, waiting, blocked, _recheck_at(output, now), tasks)


def _safe(facts: Facts, proposed: tuple[Step, ...]) -> tuple[tuple[Step, ...], tuple[Blocked, ...]]:
    """Proposed steps that share no claim and keep every invariant, and the refusals of the others.

    Each step that passes counts as in flight for those after it.
    """
    passed: list[Step] = []
    refused: list[Blocked] = []
    claims = Claims.of(facts.steps)
    for step in dict.fromkeys(proposed):
        if not claims.are_free(step):
            continue
        blocked = refusal(step, facts)
        if blocked is not None:
            refused.append(blocked)
            continue
        passed.append(step)
        claims = claims.with_step(step)
        facts = replace(facts, steps=(*facts.steps, step))
    return tuple(passed), tuple(refused)


def _recheck_at(output: RuleOutput, now: Now) -> float | None:
    moments = [waiting.give_up_at for waiting in output.waiting if waiting.give_up_at is not None]
    if output.recheck_at is not None:
        moments.append(output.recheck_at)
    return min((moment for moment in moments if moment > now.boot), default=None)
