"""Snapshots that are restored in a sandbox and compared: the next one asked for, where there is no fresh one.

It takes none and decides nothing about instances: who needs one asks here.
"""

from __future__ import annotations

from risen.core.blocked import Blocked, Waiting
from risen.core.history import TaskResult
from risen.core.judge.snapshot import verified_snapshot
from risen.core.names import InstanceName
from risen.core.rules.view import RuleOutput, View
from risen.core.task import SNAPSHOT, RehearseSnapshot

FIRST_BACK_OFF_SECONDS = 5.0
LONGEST_BACK_OFF_SECONDS = 300.0


def rehearse(view: View, purpose: InstanceName) -> RuleOutput:
    """The task, the wait for it, or the refusal while a failed one is not tried again yet; empty where one is fresh."""
    if verified_snapshot(view.facts, purpose) is not None:
        return RuleOutput()
    now, tried = view.facts.now, _tried(view, purpose)
    number = max(tried, default=0) + 1
    failed = _failures(tried)
    if failed:
        last = tried[max(tried)]
        pause = min(FIRST_BACK_OFF_SECONDS * 2.0 ** min(failed - 1, 16), LONGEST_BACK_OFF_SECONDS)
        again = view.facts.boot_of(last.unix) + pause
        if now.boot < again:
            why = f"attempt {number - 1}: {last.text}; tried again after {pause:.0f} s"
            return RuleOutput(blocked=(Blocked("snapshot", purpose, why),), recheck_at=again)
    waiting = Waiting(purpose, "a snapshot of etcd to be taken, restored and compared", now.boot)
    return RuleOutput(waiting=(waiting,), tasks=(RehearseSnapshot(purpose, number),))


def _tried(view: View, purpose: InstanceName) -> dict[int, TaskResult]:
    """Results of one purpose by their number."""
    head = f"{SNAPSHOT}{purpose}/"
    return {
        int(key.removeprefix(head)): result
        for key, result in view.facts.history.results.items()
        if key.startswith(head)
    }


def _failures(tried: dict[int, TaskResult]) -> int:
    """How many failed in a row, up to the last."""
    count = 0
    for number in sorted(tried, reverse=True):
        if tried[number].ok:
            break
        count += 1
    return count
