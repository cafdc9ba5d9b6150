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
from risen.core.projection.forecast import NOTHING, Spread, boots, certain, drains
from risen.core.rules.rollout import most_surge
from risen.core.rules.target import going_back, has_passed, leaving, outdated, target
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


def project(view: View) -> Projection:
    """Everything that is still to be replaced for the view's revision."""
    back = going_back(view)
    first = Role.WORKER if back is not None else Role.CONTROL_PLANE
    waves: list[Wave] = []
    takes = NOTHING
    for of_group in (lambda pool: pool.role is first, lambda pool: pool.role is not first):
        found, spent = _group(view, of_group)
        waves += found
        takes += spent
    return Projection(tuple(waves), takes, back)


def _group(view: View, member: Callable[[PoolSpec], bool]) -> tuple[list[Wave], Spread]:
    """Pools that do not wait for one another but for each other's first instances."""
    waves: list[Wave] = []
    rests: list[Wave] = []
    until_tried, ends = NOTHING, [NOTHING]
    for pool in view.pools:
        if not member(pool):
            continue
        tried, rest = _waves(view, pool)
        if tried is not None:
            waves.append(tried)
            until_tried += tried.takes
            ends.append(until_tried)
        if rest is not None:
            rests.append(rest)
            ends.append((until_tried + rest.takes) if tried is not None else rest.takes)
    return [*waves, *rests], max(ends, key=lambda end: end.mean)


def _waves(view: View, pool: PoolSpec) -> tuple[Wave | None, Wave | None]:
    """The wave of the first instance, and that of all others."""
    wanted = target(view, pool.name)
    count = len(outdated(view, pool.name)) + len(leaving(view, pool.name))
    if wanted is None or count == 0:
        return None, None
    boot, drain = boots(view.facts.history, pool.role), drains(view.facts.history, pool.role)
    soak = pool.strategy.min_ready_seconds
    cycle = boot + certain(soak) + drain
    under_way = _spent(view, pool, boot.mean + soak, drain.mean)
    if pool.role is Role.CONTROL_PLANE:
        takes = cycle.times(count).less(under_way)
        return None, Wave(pool.name, wanted.release, count, How.ONE_BY_ONE, 1, soak, takes)
    tried = None
    if not has_passed(view, wanted.release):
        takes = (cycle + certain(soak)).less(under_way)
        tried = Wave(pool.name, wanted.release, 1, How.ALONE, 1, soak, takes)
        count, under_way = count - 1, 0.0
    if count == 0:
        return tried, None
    surge = most_surge(pool)
    width = max(1, surge + pool.strategy.max_unavailable.of(pool.replicas))
    width = min(width, count)
    takes = cycle.times(-(-count // width)).less(under_way / width)
    how = How.SURGE if surge > 0 else How.FEWER
    return tried, Wave(pool.name, wanted.release, count, how, width, soak, takes)


def _spent(view: View, pool: PoolSpec, until_drained: float, drain: float) -> float:
    """Seconds that those on their way have behind them, out of their whole replacement."""
    facts, spent = view.facts, 0.0
    going = leaving(view, pool.name)
    for life in going:
        opened = facts.entries[life.birth.instance].opened_unix
        spent += until_drained + min(drain, max(0.0, facts.now.unix - opened))
    ahead = len(view.staying(pool.name)) - pool.replicas
    if ahead > 0 and not going:
        newest = sorted(view.staying(pool.name), key=_launched)[-ahead:]
        spent += sum(min(until_drained, max(0.0, facts.now.unix - _launched(life))) for life in newest)
    return spent


def _launched(life: Life) -> float:
    return life.launched_at_unix or life.birth.born_unix


def progress(view: View) -> tuple[PoolProgress, ...]:
    """Each pool's, control plane first."""
    found = []
    for pool in view.pools:
        wanted = target(view, pool.name)
        release = wanted.release if wanted is not None else None
        staying = view.staying(pool.name)
        right = [life for life in staying if life.birth.release == release]
        done = sum(view.verdict(life.birth.instance) is Verdict.HEALTHY for life in right)
        going = tuple(life.birth.instance for life in leaving(view, pool.name))
        to_go = len(outdated(view, pool.name))
        found.append(PoolProgress(pool.name, release, min(done, pool.replicas), pool.replicas, going, to_go))
    return tuple(found)
