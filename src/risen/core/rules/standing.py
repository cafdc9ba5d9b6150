"""When a revision stands: it is what a later one goes back to.

One instance that cannot be had holds up its own replacement and nothing else: were the revision not to stand for it,
a bad one after it would take every pool back to what was there before both. It has to be of a release that is good:
what is neither passed nor revoked is an older revision's trial, beside which nothing else is tried.
"""

from __future__ import annotations

from collections.abc import Iterator

from risen.core.history import Life
from risen.core.judge.verdict import Verdict
from risen.core.names import PoolName
from risen.core.reasons import ROLLING
from risen.core.rules.drainable import is_stuck, pods_to_move, protected
from risen.core.rules.target import has_passed, is_paused, skipped, target
from risen.core.rules.view import RuleOutput, View
from risen.core.spec import PoolRelease, PoolSpec
from risen.core.step import CompleteRevision


def stands_whole(view: View) -> bool:
    """Whether there is nothing more to be said of a revision: it stands, without any exception."""
    history, revision = view.facts.history, view.revision
    stands = history.completed >= revision.number and set(history.settled) == set(revision.releases)
    return stands and not history.completed_but


def complete(view: View) -> RuleOutput:
    """CompleteRevision, once every instance of every pool is what is wanted and serves, but for those that stay; and
    again once none does any more, or a pool that was empty has tried its release."""
    revision, stuck = view.revision, dict(_stuck(view))
    going = {name for name, entry in view.facts.entries.items() if entry.reason in ROLLING}
    if going - stuck.keys():
        return RuleOutput()
    stays = [f"{name}: {why}" for name, (_, why) in stuck.items()]
    for pool in view.pools:
        kept = dict(_kept(view, pool.name))
        if not _is_followed(view, pool, frozenset(kept), sum(of == pool.name for of, _ in stuck.values())):
            return RuleOutput()
        stays += [f"{name}: {why}" for name, why in kept.items()]
    history, releases = view.facts.history, _tried(view)
    if stays and is_paused(view):
        return RuleOutput()
    told = history.completed >= revision.number and set(history.settled) == set(releases)
    if told and (stays or not history.completed_but):
        return RuleOutput()
    step = CompleteRevision(revision.number, releases, revision.addons, tuple(sorted(stays)))
    return RuleOutput(steps=(step,))


def _tried(view: View) -> tuple[PoolRelease, ...]:
    """The releases that stand. A pool that is empty has tried nothing: what stood before stands on, if anything did, and
    its first instance tries the new one."""
    history = view.facts.history
    return tuple(
        stands
        for release in view.revision.releases
        if (stands := release if has_passed(view, release.release) else history.settled_release(release.pool))
    )


def _is_followed(view: View, pool: PoolSpec, kept: frozenset[str], stuck: int) -> bool:
    """Whether a pool has as many as wanted, all of what is wanted but those that are kept, and all of them serve. Where
    some stay there may be more of them, and a stuck one stands for the one that is to take its place."""
    wanted, staying = target(view, pool.name), view.staying(pool.name)
    if wanted is None or wanted != view.revision.release_of(pool.name):
        return False
    if len(staying) != pool.replicas and not ((kept or stuck) and len(staying) + stuck >= pool.replicas):
        return False
    return all(
        (life.birth.release == wanted.release or life.birth.instance in kept)
        and view.verdict(life.birth.instance) is Verdict.HEALTHY
        for life in staying
    )


def _stuck(view: View) -> Iterator[tuple[str, tuple[PoolName, str]]]:
    """Drains that took too long and go on: pods do not leave."""
    for name, entry in sorted(view.facts.entries.items()):
        life = view.facts.lives.get(name)
        if life is None or entry.reason not in ROLLING or not _is_good(view, life):
            continue
        if is_stuck(view, entry) and pods_to_move(view, name):
            yield name, (life.birth.pool, "its pods do not leave it")


def _kept(view: View, pool: PoolName) -> Iterator[tuple[str, str]]:
    """Those of another release that nobody drains now: skipped in this revision, or asked to be left alone."""
    wanted, let_be = target(view, pool), skipped(view)
    for life in view.staying(pool):
        name = life.birth.instance
        if wanted is None or life.birth.release == wanted.release or not _is_good(view, life):
            continue
        if name in let_be:
            yield name, "it was skipped, its drain took too long"
        elif (why := protected(view, name)) is not None:
            yield name, why.why


def _is_good(view: View, life: Life) -> bool:
    return life.birth.release in view.facts.history.passed
