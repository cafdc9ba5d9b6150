"""The user's gates of a release: what they answer passes or revokes it, and what says nothing halts its rollout."""

from __future__ import annotations

from dataclasses import replace

from trial_world import NEW, passed, revoked, tried

from builders import NOW, SUPPLIES, Cluster
from risen.core.history import TaskResult
from risen.core.judge.verdict import judge
from risen.core.rules.gates import silent_cause
from risen.core.rules.verdict import halts, is_doubtful, is_halted
from risen.core.rules.view import View
from risen.core.spec import Gate
from risen.core.step import HaltRelease, PassRelease
from risen.core.task import AskGate


def with_gate() -> tuple[Cluster, AskGate]:
    gate = Gate("probe", url="http://10.96.0.9/")
    cluster = tried()
    cluster.revision = replace(cluster.revision, spec=replace(cluster.revision.spec, gates=(gate,)))
    return cluster, AskGate(NEW, cluster.revision.number, gate)


def test_the_users_gates_are_asked_once_it_has_served() -> None:
    cluster, asked = with_gate()
    assert cluster.plan().tasks == (asked,)
    assert passed(cluster) == []


def test_a_gate_that_fails_revokes_and_one_that_passes_is_evidence() -> None:
    cluster, asked = with_gate()
    cluster.results[asked.key] = TaskResult(False, "503 from http://10.96.0.9/", NOW.unix)
    assert revoked(cluster) == ["gate probe: 503 from http://10.96.0.9/"]
    cluster.results[asked.key] = TaskResult(True, "200", NOW.unix)
    (step,) = cluster.steps(PassRelease)
    assert step.evidence[1] == "gate probe: 200"  # type: ignore[attr-defined]


def silent_gate() -> tuple[Cluster, AskGate]:
    """Its Job ended, and no container of it ever started."""
    cluster, asked = with_gate()
    text = "Job default/probe: failed; no container of it ever started: ErrImagePull"
    cluster.results[asked.key] = TaskResult(False, text, NOW.unix, silent=True)
    return cluster, asked


def test_a_gate_that_says_nothing_halts_by_its_name_is_asked_again_and_revokes_nothing() -> None:
    cluster, asked = silent_gate()
    (step,) = cluster.steps(HaltRelease)
    assert isinstance(step, HaltRelease)
    assert step.cause == silent_cause("probe") and "gate probe: Job default/probe: failed" in step.why
    assert (cluster.plan().tasks, passed(cluster), revoked(cluster)) == ((asked,), [], [])
    assert "halted" in cluster.blocked()
    cluster.halts[2] = ((NEW, step.cause),)
    assert cluster.steps(HaltRelease) == [] and cluster.plan().tasks == (asked,)
    cluster.results[asked.key] = TaskResult(True, "complete", NOW.unix)
    assert passed(cluster) != [] and "halted" not in cluster.blocked()


def test_a_rollout_that_a_gate_halts_takes_no_other_and_marks_no_node_outdated() -> None:
    cluster, _ = silent_gate()
    facts = cluster.facts()
    view = View(cluster.revision, facts, judge(facts), SUPPLIES)
    (wanted,) = (one for one in view.revision.releases if one.release == NEW)
    assert is_halted(view, wanted) and is_doubtful(view, wanted)
    assert [halt.cause for halt in halts(view)] == [silent_cause("probe")]


def test_a_gate_that_failed_counts_beside_one_that_says_nothing() -> None:
    cluster, asked = silent_gate()
    other = replace(asked, gate=Gate("shop", url="http://10.96.0.9/"))
    spec = replace(cluster.revision.spec, gates=(asked.gate, other.gate))
    cluster.revision = replace(cluster.revision, spec=spec)
    assert set(cluster.plan().tasks) == {asked, other}, "the one that was not asked yet is asked meanwhile"
    cluster.results[other.key] = TaskResult(False, "503", NOW.unix)
    assert revoked(cluster) == ["gate shop: 503"]


def test_a_person_goes_on_past_a_gate_that_says_nothing_and_not_past_one_that_fails() -> None:
    cluster, asked = silent_gate()
    cluster.gone_past[2] = (silent_cause("probe"),)
    (step,) = cluster.steps(PassRelease)
    assert any("ErrImagePull" in line for line in step.evidence)  # type: ignore[attr-defined]
    cluster.results[asked.key] = TaskResult(False, "failed (BackoffLimitExceeded)", NOW.unix)
    assert revoked(cluster) == ["gate probe: failed (BackoffLimitExceeded)"]
