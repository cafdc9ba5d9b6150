"""When a revision stands: it is what a later one goes back to.

One instance that cannot be had holds up its own replacement and nothing else: were the revision not to stand for it,
a bad one after it would take every pool back to what was there before both.
"""

from __future__ import annotations

from collections.abc import Iterator

from risen.core.judge.verdict import Verdict
from risen.core.names import PoolName
from risen.core.reasons import ROLLING
from risen.core.rules.drainable import is_held, is_stuck, pods_to_move, protected
from risen.core.rules.target import skipped, target
from risen.core.rules.view import RuleOutput, View
from risen.core.spec import PoolSpec
from risen.core.step import CompleteRevision


def complete(view: View) -> RuleOutput:
    """CompleteRevision, once every instance of every pool is what is wanted and serves, but for those that stay."""
    revision, stuck = view.revision, dict(_stuck(view))
    going = {name for name, entry in view.facts.entries.items() if entry.reason in ROLLING}
    if going - stuck.keys():
        return RuleOutput()
    stays = [f"{name}: {why}" for name, (_, why) in stuck.items()]
    for pool in view.pools:
        wanted = target(view, pool.name)
        if wanted is None or wanted != revision.release_of(pool.name):
            return RuleOutput()
        stuck_here = sum(of == pool.name for of, _ in stuck.values())
        kept = dict(_kept(view, pool.name, stuck_here > 0))
        held = len(kept) + stuck_here
        if not _has_all(view, pool, held):
            return RuleOutput()
        for life in view.staying(pool.name):
            name = life.birth.instance
            right = life.birth.release == wanted.release or name in kept
            if not right or view.verdict(name) is not Verdict.HEALTHY:
                return RuleOutput()
        stays += [f"{name}: {why}" for name, why in kept.items()]
    step = CompleteRevision(revision.number, revision.releases, revision.addons, tuple(sorted(stays)))
    return RuleOutput(steps=(step,))


def _has_all(view: View, pool: PoolSpec, held: int) -> bool:
    """Whether there are as many as wanted. Beside what is held up there may be one more, or one fewer and the other
    in its drain."""
    staying = len(view.staying(pool.name))
    return staying == pool.replicas or (held > 0 and staying + held >= pool.replicas)


def _stuck(view: View) -> Iterator[tuple[str, tuple[PoolName, str]]]:
    """Drains that took too long and go on: pods do not leave."""
    for name, entry in sorted(view.facts.entries.items()):
        life = view.facts.lives.get(name)
        if (
            life is not None
            and entry.reason in ROLLING
            and is_stuck(view, entry)
            and pods_to_move(view, name)
        ):
            yield name, (life.birth.pool, "its pods do not leave it")


def _kept(view: View, pool: PoolName, waits: bool) -> Iterator[tuple[str, str]]:
    """Those of another release that nobody drains now: skipped in this revision, asked to be left alone, or held
    like the one that they wait for."""
    wanted, let_be = target(view, pool), skipped(view)
    for life in view.staying(pool):
        name = life.birth.instance
        if wanted is None or life.birth.release == wanted.release:
            continue
        if name in let_be:
            yield name, "it was skipped, its drain took too long"
        elif (why := protected(view, name)) is not None:
            yield name, why.why
        elif waits and is_held(view, name):
            yield name, "its pods would not leave it"
