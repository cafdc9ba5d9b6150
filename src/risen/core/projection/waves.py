"""The waves of a rollout: who is replaced in which order, how, and how long it takes. Proposes no step.

It foresees what `rules/rollout.py` does: forward the control plane first, back the workers; a release that has
not passed is tried by one instance, one release at a time; after that each pool goes on by its own strategy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from risen.core.history import Life
from risen.core.judge.verdict import Verdict
from risen.core.names import InstanceName, PoolName, ReleaseId, Role
from risen.core.projection.ahead import once_sent_away
from risen.core.projection.forecast import NOTHING, Spread, boots, certain, drains
from risen.core.reasons import ROLLING
from risen.core.rules.rollout import most_surge
from risen.core.rules.target import (
    exposed,
    first_role,
    going_back,
    has_passed,
    is_sent_away,
    leaving,
    outdated,
    target,
)
from risen.core.rules.view import View
from risen.core.spec import PoolSpec


class How(StrEnum):
    """How a wave goes."""

    ONE_BY_ONE = "one at a time"
    """A control plane: one more voter, then one fewer; etcd's leader last."""
    ALONE = "alone"
    """The first instance of a release: under load, then its soak, before any other."""
    SURGE = "surge"
    FEWER = "fewer"
    """Ended before its replacement is launched: where no surge is allowed."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Instances of one pool that go the same way. `width` of them go side by side."""

    pool: PoolName
    release: ReleaseId
    count: int
    how: How
    width: int
    soak_seconds: float
    takes: Spread


@dataclass(frozen=True, slots=True)
class Projection:
    """Waves in their order. `takes` is shorter than their sum where pools go side by side."""

    waves: tuple[Wave, ...] = ()
    takes: Spread = NOTHING
    back: str | None = None
    """Why the revision is gone back from."""

    @property
    def count(self) -> int:
        """How many instances are replaced."""
        return sum(wave.count for wave in self.waves)


@dataclass(frozen=True, slots=True)
class PoolProgress:
    """How far a pool is on its way to what is wanted."""

    pool: PoolName
    release: ReleaseId | None
    done: int
    """Instances that are what is wanted and serve."""
    wanted: int
    going: tuple[InstanceName, ...]
    """Being replaced at this moment."""
    to_go: int
    """Not touched yet."""
    let_be: int = 0
    """On another release until the next revision: their drain took too long, and they may then be skipped."""


@dataclass(frozen=True, slots=True)
class _Cycle:
    """One replacement in a pool: launched, Ready, served for its soak; then the old one drained and off."""

    until_drained: Spread
    drain: Spread

    @classmethod
    def of(cls, view: View, pool: PoolSpec) -> _Cycle:
        """From the record of that pool's role."""
        history = view.facts.history
        until_drained = boots(history, pool.role) + certain(pool.strategy.min_ready_seconds)
        return cls(until_drained, drains(history, pool.role))

    @property
    def whole(self) -> Spread:
        """From launch to the old one's end."""
        return self.until_drained + self.drain


_Waves = tuple[Wave | None, Wave | None]
"""Of one pool: the first instance's, and all others'."""


def project(view: View) -> Projection:
    """Everything that is still to be replaced for the view's revision."""
    back, later = going_back(view), once_sent_away(view)
    ahead = _projection(later, back, lambda pool: _waves(later, pool))
    away = tuple(
        wave for pool in view.pools if is_sent_away(view, pool.name) for wave in _waves(view, pool) if wave
    )
    takes = max((wave.takes for wave in away), key=lambda one: one.mean, default=NOTHING)
    return Projection((*away, *ahead.waves), takes + ahead.takes if away else ahead.takes, back)


def forecast_whole(view: View) -> Spread:
    """How long the whole change takes, from the releases that stood before: what its plan said, by today's record."""

    def whole(pool: PoolSpec) -> _Waves:
        before = view.facts.history.settled_release(pool.name)
        wanted = next((one for one in view.revision.releases if one.pool == pool.name), None)
        if before is None or wanted is None or before.release == wanted.release:
            return None, None
        return _split(pool, wanted.release, pool.replicas, _Cycle.of(view, pool), 0.0)

    return _projection(view, None, whole).takes


def _projection(view: View, back: str | None, waves_of: Callable[[PoolSpec], _Waves]) -> Projection:
    first = first_role(view)
    waves: list[Wave] = []
    takes = NOTHING
    for group in (True, False):
        pools = [pool for pool in view.pools if (pool.role is first) is group]
        found, spent = _group([waves_of(pool) for pool in pools])
        waves += found
        takes += spent
    return Projection(tuple(waves), takes, back)


def _group(pools: list[_Waves]) -> tuple[list[Wave], Spread]:
    """Pools that do not wait for one another but for each other's first instances."""
    waves: list[Wave] = []
    rests: list[Wave] = []
    until_tried, ends = NOTHING, [NOTHING]
    for tried, rest in pools:
        if tried is not None:
            waves.append(tried)
            until_tried += tried.takes
            ends.append(until_tried)
        if rest is not None:
            rests.append(rest)
            ends.append((until_tried + rest.takes) if tried is not None else rest.takes)
    return [*waves, *rests], max(ends, key=lambda end: end.mean)


def _waves(view: View, pool: PoolSpec) -> _Waves:
    """The wave of the first instance, and that of all others."""
    wanted = target(view, pool.name)
    count = len(outdated(view, pool.name)) + len(leaving(view, pool.name))
    if wanted is None or count == 0:
        return None, None
    cycle = _Cycle.of(view, pool)
    spent = _spent(view, pool, cycle)
    if has_passed(view, wanted.release):
        return None, _rest(pool, wanted.release, count, cycle, spent)
    if _took_over(view, pool, wanted.release):
        soak = certain(pool.strategy.min_ready_seconds).less(_since_taken_over(view, pool))
        first = Wave(pool.name, wanted.release, 0, How.ALONE, 1, pool.strategy.min_ready_seconds, soak)
        return first, _rest(pool, wanted.release, count, cycle, 0.0)
    return _split(pool, wanted.release, count, cycle, spent)


def _split(pool: PoolSpec, release: ReleaseId, count: int, cycle: _Cycle, spent: float) -> _Waves:
    """A release that has not passed: one alone, then the others. A control plane's first soaks beside all old ones,
    as each of its instances does anyway."""
    if pool.role is Role.CONTROL_PLANE:
        return None, _rest(pool, release, count, cycle, spent)
    soak = pool.strategy.min_ready_seconds
    again = certain(soak) if most_surge(pool) > 0 else NOTHING
    takes = (cycle.whole + again).less(spent)
    first = Wave(pool.name, release, 1, How.ALONE, 1, soak, takes)
    return first, _rest(pool, release, count - 1, cycle, 0.0) if count > 1 else None


def _rest(pool: PoolSpec, release: ReleaseId, count: int, cycle: _Cycle, spent: float) -> Wave:
    """Everybody at the pool's own pace. `spent`: seconds of work that are behind those under way."""
    soak, surge = pool.strategy.min_ready_seconds, most_surge(pool)
    if pool.role is Role.CONTROL_PLANE:
        return Wave(pool.name, release, count, How.ONE_BY_ONE, 1, soak, cycle.whole.times(count).less(spent))
    width = min(count, max(1, surge + pool.strategy.max_unavailable.of(pool.replicas)))
    takes = cycle.whole.times(-(-count // width)).less(spent / width)
    return Wave(pool.name, release, count, How.SURGE if surge > 0 else How.FEWER, width, soak, takes)


def _took_over(view: View, pool: PoolSpec, release: ReleaseId) -> bool:
    """Whether the first instance of a release is there and the one in whose place it came is gone."""
    spare = len(view.staying(pool.name)) + len(view.births_in_flight(pool.name)) - pool.replicas
    first = bool(exposed(view, release))
    return first and spare <= 0 and not leaving(view, pool.name) and pool.role is not Role.CONTROL_PLANE


def _since_taken_over(view: View, pool: PoolSpec) -> float:
    """Seconds since the last of a pool that was taken by plan was gone."""
    history = view.facts.history
    gone = [
        life.gone_at_unix
        for entry in history.entries.values()
        if entry.reason in ROLLING
        and (life := history.lives.get(entry.subject)) is not None
        and life.birth.pool == pool.name
        and life.gone_at_unix is not None
    ]
    return max(0.0, view.facts.now.unix - max(gone, default=view.facts.now.unix))


def _spent(view: View, pool: PoolSpec, cycle: _Cycle) -> float:
    """Seconds that those on their way have behind them, out of their whole replacement. Less than nothing where
    one was ended first and what comes in its place is still owed."""
    facts, now = view.facts, view.facts.now.unix
    until_drained, drain = cycle.until_drained.mean, cycle.drain.mean
    going, staying = leaving(view, pool.name), view.staying(pool.name)
    drained = sum(
        min(drain, max(0.0, now - facts.entries[life.birth.instance].opened_unix)) for life in going
    )
    ahead = len(staying) + len(going) - pool.replicas
    newest = sorted(staying, key=_launched)
    if most_surge(pool) > 0:
        risen = newest[-ahead:] if ahead > 0 else []
        return drained + sum(min(until_drained, max(0.0, now - _launched(life))) for life in risen)
    owed = max(0, -ahead) * until_drained
    owed += sum(max(0.0, until_drained - max(0.0, now - _launched(life))) for life in newest)
    return drained - owed


def _launched(life: Life) -> float:
    return life.launched_at_unix or life.birth.born_unix


def progress(view: View) -> tuple[PoolProgress, ...]:
    """Each pool's, control plane first."""
    found, view = [], once_sent_away(view)
    for pool in view.pools:
        wanted = target(view, pool.name)
        release = wanted.release if wanted is not None else None
        staying = view.staying(pool.name)
        right = [life for life in staying if life.birth.release == release]
        done = sum(view.verdict(life.birth.instance) is Verdict.HEALTHY for life in right)
        going = tuple(life.birth.instance for life in leaving(view, pool.name))
        to_go, done = len(outdated(view, pool.name)), min(done, pool.replicas)
        let_be = min(len(staying) - len(right) - to_go, pool.replicas - done) if release is not None else 0
        found.append(PoolProgress(pool.name, release, done, pool.replicas, going, to_go, max(0, let_be)))
    return tuple(found)
