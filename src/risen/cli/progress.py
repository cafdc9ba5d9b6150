"""How far a rollout is, in lines for people and as data: against its plan, with what it waits for. Only renders."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass

from risen.cli.glimpse import Glimpse
from risen.cli.views import view_of
from risen.cli.words import blocked_words, on_it, span, step_words, waiting_words
from risen.core.history import History, Life
from risen.core.names import InstanceName, ReleaseId
from risen.core.projection import PoolProgress, Projection, Spread, forecast_whole, progress, project
from risen.core.reasons import NEVER_JOINED, REPAIR, ROLLING
from risen.core.rules.drainable import pods_to_move
from risen.core.rules.target import going_back, is_paused
from risen.core.rules.verdict import halts
from risen.core.rules.view import View
from risen.core.spec import Revision

BAR_CELLS = 16
MOST_WAITS = 6


@dataclass(frozen=True, slots=True)
class Progress:
    """A rollout at one moment."""

    revision: Revision
    pools: tuple[PoolProgress, ...]
    ahead: Projection
    planned: Spread
    back: str | None
    paused: bool
    whole: bool
    """Every instance is on what is headed for, and nothing is on its way out."""
    elapsed: float
    """Seconds since the revision was applied; 0 where that is not on record."""

    concerned: tuple[PoolProgress, ...]
    """Pools that the revision changes; all where it changes none."""

    @property
    def done(self) -> int:
        """Instances of these that are what is wanted."""
        return sum(pool.done for pool in self.concerned)

    @property
    def wanted(self) -> int:
        """Instances of these that there are to be."""
        return sum(pool.wanted for pool in self.concerned)


def progress_of(view: View) -> Progress:
    """What the rules see, as progress."""
    revision, history = view.revision, view.facts.history
    pools = progress(view)
    rolling = any(entry.reason in ROLLING for entry in history.open_entries)
    there = all(
        pool.done + pool.let_be == pool.wanted and not pool.going and not pool.to_go for pool in pools
    )
    back = going_back(view)
    whole = there and not rolling and (back is not None or history.completed >= revision.number)
    elapsed = max(0.0, view.facts.now.unix - revision.applied_unix) if revision.applied_unix else 0.0
    planned = forecast_whole(view)
    concerned = tuple(pool for pool in pools if _is_concerned(view, pool)) or pools
    return Progress(revision, pools, project(view), planned, back, is_paused(view), whole, elapsed, concerned)


def _is_concerned(view: View, pool: PoolProgress) -> bool:
    """Whether the revision brings this pool another release than the one that stood, or it is being replaced."""
    before = view.facts.history.settled_release(pool.pool)
    wanted = next((one for one in view.revision.releases if one.pool == pool.pool), None)
    return bool(pool.going or pool.to_go) or (before is not None and before != wanted)


def rollout_lines(glimpse: Glimpse) -> list[str]:
    """The screen of `rollout status`."""
    view = view_of(glimpse)
    now = progress_of(view)
    lines = [_head(glimpse, now)]
    lines += _pools(view, glimpse, now)
    lines += _verdicts(glimpse.history, now.revision)
    if now.whole:
        return lines
    own = {name for pool in now.pools for name in (pool.pool, *pool.going)}
    waits = [item for item in glimpse.plan.waiting if item.subject not in own or item.subject in _names(now)]
    lines += [f"waits    {waiting_words(item, glimpse.boot)}" for item in waits[:MOST_WAITS]]
    refused = [item for item in glimpse.plan.blocked if item.name != "foreign"]
    return lines + [f"BLOCKED  {blocked_words(item)}" for item in refused]


def rollout_now(view: View) -> tuple[str, ...]:
    """The line of `status` on a rollout that goes on; none where nothing is left to replace."""
    now = progress_of(view)
    if now.whole or not (now.ahead.count or now.back):
        return ()
    what = "goes back" if now.back is not None else "paused" if now.paused else "goes on"
    why = f": {now.back}" if now.back is not None else ""
    return (f"revision {now.revision.number} {what}, {now.done}/{now.wanted}, {_times(now)}{why}",)


def halted_next(glimpse: Glimpse) -> str:
    """What a person may do about a rollout that is halted or paused; empty where it is neither."""
    view, name = view_of(glimpse), glimpse.cluster.name
    found, back = halts(view), f"risen rollout abort -c {name}     (go back)"
    if is_paused(view):
        return f"risen rollout resume -c {name}     (go on)   or: {back}"
    if any(halt.lasts for halt in found):
        return f"mend what halts it: it goes on by itself   or: {back}"
    return f"risen rollout resume -c {name}     (go on past what halts it)   or: {back}" if found else ""


def _names(now: Progress) -> set[str]:
    return {pool.pool for pool in now.pools}


def _head(glimpse: Glimpse, now: Progress) -> str:
    name, number = glimpse.cluster.name, now.revision.number
    if now.whole:
        return f"{name} {number}   {_whole(glimpse.history, now)}"
    releases = " ".join(dict.fromkeys(str(pool.release) for pool in now.pools if pool.to_go or pool.going))
    arrow = "going back" if now.back is not None else "→"
    held = "   paused" if now.paused else ""
    return (
        f"{name} {number} {arrow} {releases or 'scaling'}   {bar(now.done, now.wanted)}  {now.done}/{now.wanted}   "
        f"{_times(now)}{held}"
    )


def _whole(history: History, now: Progress) -> str:
    if now.back is not None:
        return (
            f"gone back from: {now.back}; every instance is on the releases of revision {history.completed}"
        )
    return f"{on_it(history.completed_but)} ({now.done}/{now.wanted})"


def _times(now: Progress) -> str:
    spent = f"{span(now.elapsed)}, " if now.elapsed else ""
    if now.ahead.count == 0:
        return f"{spent}nothing left to replace"
    assumed = ", assumed" if now.ahead.takes.records == 0 else ""
    planned = f" (plan {span(now.planned.mean)}{assumed})" if now.planned.mean else ""
    return f"{spent}ETA {span(now.ahead.takes.mean)}{planned}"


def bar(done: int, wanted: int) -> str:
    """Sixteen cells, filled as far as it is done."""
    filled = BAR_CELLS * done // wanted if wanted else BAR_CELLS
    return "█" * filled + "░" * (BAR_CELLS - filled)


def _pools(view: View, glimpse: Glimpse, now: Progress) -> list[str]:
    """A line a pool, and one for each instance of it that is being replaced."""
    lines = []
    width = max(len(pool.pool) for pool in now.pools)
    for pool in now.pools:
        going = [f"{name} {_doing(view, glimpse, name)}" for name in pool.going]
        rest = f"{pool.to_go} to go" if pool.to_go else f"{pool.let_be} skipped" if pool.let_be else ""
        first = going[0] if going else rest
        lines.append(f"{pool.pool:<{width}}  {f'{pool.done}/{pool.wanted}':<7} {first}".rstrip())
        lines += [f"{'':<{width}}  {'':<7} {words}" for words in going[1:]]
    return lines


def _doing(view: View, glimpse: Glimpse, name: InstanceName) -> str:
    """What goes on with an instance that is on its way out."""
    pods = pods_to_move(view, name)
    since = span(max(0.0, glimpse.unix - view.facts.entries[name].opened_unix))
    if pods:
        first = pods[0]
        return f"draining for {since}: {len(pods)} pods left ({first.namespace}/{first.name})"
    waits = [item.for_what for item in glimpse.plan.waiting if item.subject == name]
    steps = [step_words(step) for step in glimpse.plan.steps if step_words(step).startswith(f"{name}:")]
    doing = "; ".join(waits) or "; ".join(step.partition(": ")[2] for step in steps) or "under way"
    return f"{doing} (since {since})"


def _verdicts(history: History, revision: Revision) -> list[str]:
    """A line for each release of the revision that is judged by it."""
    lines = []
    for release in dict.fromkeys(one.release for one in revision.releases):
        before = {one.release for one in history.settled}
        if release in before and release not in history.revoked:
            continue
        lines.append(f"verdict  {release}: {verdict_words(history, release)} · {_record(history, release)}")
    return lines


def verdict_words(history: History, release: ReleaseId) -> str:
    """What was concluded of a release, with the evidence."""
    revoked = history.revoked.get(release)
    if revoked is not None:
        return f"REVOKED: {'; '.join(revoked.evidence)}"
    passed = history.passed.get(release)
    if passed == ("completed",):
        return "every instance of its pool was on it"
    return f"passed: {'; '.join(passed)}" if passed is not None else "not judged yet"


def _record(history: History, release: ReleaseId) -> str:
    """`16 instances, 0 failed, boot p50 41s (r-9f2c: 43s)`."""
    lives = [life for life in history.lives.values() if life.birth.release == release]
    failed = sum(_failed(history, life) for life in lives)
    words = f"{len(lives)} instance{'s' if len(lives) != 1 else ''}, {failed} failed"
    boot = _boot_p50(history, release)
    if boot is None:
        return words
    pools = {life.birth.pool for life in lives}
    before = next(
        (one.release for one in history.settled if one.pool in pools and one.release != release), None
    )
    beside = _boot_p50(history, before) if before is not None else None
    return f"{words}, boot p50 {span(boot)}{f' ({before}: {span(beside)})' if beside is not None else ''}"


def _failed(history: History, life: Life) -> bool:
    """Whether repair took it, or it was never Ready and is gone, or its release was revoked before it was or by it."""
    name, revoked = life.birth.instance, history.revoked.get(life.birth.release)
    if any(
        entry.subject == name and entry.reason in (NEVER_JOINED, REPAIR) for entry in history.entries.values()
    ):
        return True
    if life.ready_at_unix is None:
        return life.gone_at_unix is not None or revoked is not None
    return revoked is not None and any(name in text for text in revoked.evidence)


def _boot_p50(history: History, release: ReleaseId) -> float | None:
    spent = [
        life.ready_at_unix - life.launched_at_unix
        for life in history.lives.values()
        if life.birth.release == release
        and life.ready_at_unix is not None
        and life.launched_at_unix is not None
    ]
    return statistics.median(spent) if spent else None


def plain(glimpse: Glimpse) -> dict[str, object]:
    """The same as data."""
    now = progress_of(view_of(glimpse))
    history = glimpse.history
    releases = dict.fromkeys(one.release for one in now.revision.releases)
    return {
        "cluster": glimpse.cluster.name,
        "revision": now.revision.number,
        "by": now.revision.by,
        "reason": now.revision.reason,
        "done": now.done,
        "wanted": now.wanted,
        "whole": now.whole,
        "paused": now.paused,
        "going_back": now.back,
        "elapsed_seconds": now.elapsed,
        "eta_seconds": now.ahead.takes.mean,
        "planned_seconds": now.planned.mean,
        "pools": [asdict(pool) for pool in now.pools],
        "verdicts": {release: verdict_words(history, release) for release in releases},
        "waiting": [asdict(item) for item in glimpse.plan.waiting],
        "blocked": [asdict(item) for item in glimpse.plan.blocked],
    }
