"""The verdict on a release, from its first instance: does it come up, does it serve, do its pods run?

Concludes only what is the release's own fault: what fails on other releases alike, or what comes from outside
(no network plugin, images that cannot be pulled), halts and never revokes. It proposes nothing.
"""

from __future__ import annotations

from risen.core.history import Life
from risen.core.judge.facts import Facts
from risen.core.judge.joining import ready_bound
from risen.core.judge.release_pods import due_unix, failing_pods, overdue_pods, pods_taken_over
from risen.core.judge.release_ports import answering_since, silent_port
from risen.core.judge.snapshot import held_as_learner_until_unix, is_held_as_learner
from risen.core.judge.trial import (
    NOTHING_TO_COMPARE,
    SETTLE_SECONDS,
    Bad,
    Halted,
    NotYet,
    ReleaseVerdict,
    Served,
    Soaking,
    Trial,
    Verdicts,
)
from risen.core.judge.verdict import Judgement, Verdict, is_silent
from risen.core.names import may_hold_etcd
from risen.core.picture import InstanceState, NodeSeen
from risen.core.reasons import LET_LIVE, NEVER_JOINED, REPAIR


def judge_release(facts: Facts, verdicts: Verdicts, trial: Trial) -> ReleaseVerdict:
    """The verdict on the release that an instance is the first of. What may pass by itself is no halt while it boots,
    or had no time to settle after that."""
    found = _judge_beside_others(facts, verdicts, trial)
    if isinstance(found, Halted) and found.awaits:
        until = _settles_unix(facts, trial)
        return NotYet(found.awaits, until) if facts.now.unix < until else found
    return found


def _judge_beside_others(facts: Facts, verdicts: Verdicts, trial: Trial) -> ReleaseVerdict:
    """Where there is nothing to compare it with it is not found bad, even if a person said to go past that."""
    name = trial.life.birth.instance
    if _others_are_fine(facts, verdicts, trial.life):
        return _alone(facts, verdicts, trial)
    why = f"no instance of another release is healthy beside {name}: the trouble may not be its own"
    if NOTHING_TO_COMPARE not in trial.gone_past:
        return Halted(why, NOTHING_TO_COMPARE, awaits="an instance of another release to be healthy")
    found = _alone(facts, verdicts, trial)
    return (
        Halted(f"{why} ({'; '.join(found.evidence)})", why, lasts=True) if isinstance(found, Bad) else found
    )


def _alone(facts: Facts, verdicts: Verdicts, trial: Trial) -> ReleaseVerdict:
    """By what is seen of this instance."""
    life, name = trial.life, trial.life.birth.instance
    taken = _taken_out(facts, trial)
    if taken is not None:
        return taken
    if facts.state(name) is InstanceState.UNKNOWN or facts.kubernetes is None:
        return Halted(f"{name} cannot be seen", "it cannot be seen", lasts=True, awaits=f"{name} to be seen")
    if life.ready_at_unix is None:
        return _boots(facts, verdicts, life)
    return _serves(facts, verdicts, trial)


def _others_are_fine(facts: Facts, verdicts: Verdicts, life: Life) -> bool:
    return any(
        judged.verdict is Verdict.HEALTHY
        for name, judged in verdicts.items()
        if facts.lives[name].birth.release != life.birth.release
    )


def _taken_out(facts: Facts, trial: Trial) -> ReleaseVerdict | None:
    """What repair concluded of it in this revision counts; what people asked for does not, and of that nothing that let
    it live."""
    life = trial.life
    entries = [one for one in facts.history.entries.values() if one.subject == life.birth.instance]
    for entry in entries:
        if entry.reason in (REPAIR, NEVER_JOINED) and entry.opened_unix >= trial.applied_unix:
            when = "in its soak" if life.ready_at_unix is not None else "before it was Ready"
            return Bad((f"{life.birth.instance} died {when}", *entry.evidence))
    going = [entry for entry in entries if entry.outcome not in LET_LIVE]
    return NotYet(f"{life.birth.instance} to be gone ({going[-1].reason})") if going else None


def _boots(facts: Facts, verdicts: Verdicts, life: Life) -> ReleaseVerdict:
    """Until it was Ready. Every Node waits for its network plugin for some seconds: only past the bound of the boot
    is the plugin missing."""
    name = life.birth.instance
    judged, node = verdicts.get(name), facts.nodes.get(name)
    if judged is not None and judged.verdict is Verdict.SICK:
        return Bad((f"{name} never became Ready", *judged.evidence))
    if life.launched_at_unix is None:
        return NotYet(f"{name} to be launched")
    if is_held_as_learner(facts, name):
        return NotYet(f"{name} to vote, with a snapshot")
    bound, until = ready_bound(facts, life.birth.role), _ready_by_unix(facts, life, life.launched_at_unix)
    if facts.now.unix < until:
        return NotYet(f"{name} to be Ready", until)
    if node is not None and node.waiting_for_addons:
        why = f"{name} waits for its network plugin or another add-on, {bound:.0f} s after its launch"
        return Halted(why, "its network plugin or another add-on is not there", lasts=True)
    evidence = judged.evidence if judged is not None else ()
    return Bad((f"{name} was not Ready within {bound:.0f} s of its launch", *evidence))


def _ready_by_unix(facts: Facts, life: Life, launched_unix: float) -> float:
    """Until when it has to be Ready."""
    held = may_hold_etcd(life.birth.role)
    held_until = held_as_learner_until_unix(facts, life.birth.instance) if held else 0.0
    return max(launched_unix, facts.api_since_unix, held_until) + ready_bound(facts, life.birth.role)


def _settles_unix(facts: Facts, trial: Trial) -> float:
    """Until when what is not as it should be is no more than a while's."""
    life = trial.life
    if life.ready_at_unix is None:
        return _ready_by_unix(facts, life, life.launched_at_unix or facts.now.unix)
    return max(life.ready_at_unix, facts.api_since_unix) + trial.soak_seconds + SETTLE_SECONDS


def _serves(facts: Facts, verdicts: Verdicts, trial: Trial) -> ReleaseVerdict:
    name = trial.life.birth.instance
    node, judged = facts.nodes.get(name), verdicts.get(name)
    if judged is None or judged.verdict is Verdict.UNKNOWN:
        return Halted(
            f"{name} cannot be judged", "it cannot be seen", lasts=True, awaits=f"{name} to be judged"
        )
    failing = failing_pods(facts, trial)
    if failing is not None:
        return failing
    if node is None or judged.verdict is not Verdict.HEALTHY:
        return _faltering(facts, trial, node, judged)
    unanswered = _unanswered(facts, trial.life)
    if unanswered is not None:
        return unanswered
    silent = silent_port(facts, trial, _settles_unix(facts, trial))
    if silent is not None:
        return silent
    overdue = overdue_pods(facts, trial)
    if overdue is not None:
        return overdue
    if trial.takes_over:
        return NotYet(f"{name} to take over pods")
    return _soak(facts, trial, node)


def _faltering(facts: Facts, trial: Trial, node: NodeSeen | None, judged: Judgement) -> ReleaseVerdict:
    """It was Ready and is not healthy: a silent kubelet is proof, anything else gets a while."""
    name = trial.life.birth.instance
    if node is not None and is_silent(facts, node):
        return Bad((f"{name} fell silent after it was Ready", *judged.evidence))
    until = _settles_unix(facts, trial)
    if judged.verdict is Verdict.SUSPECT and facts.now.unix >= until:
        return Bad((f"{name} is not healthy after it was Ready", *judged.evidence))
    return NotYet(f"{name} to be healthy: {judged.evidence[-1]}", until)


def _unanswered(facts: Facts, life: Life) -> ReleaseVerdict | None:
    """What is missing until clients reach its apiserver through the endpoint: its own kubelet, which makes its Node
    Ready, asks it directly. None where they do, or there is none."""
    name = life.birth.instance
    if not may_hold_etcd(life.birth.role):
        return None
    if facts.backends is None:
        unseen = "the endpoint cannot be seen"
        return Halted(unseen, unseen, lasts=True, awaits="the endpoint to be seen")
    backend = next((one for one in facts.backends if one.name == name), None)
    if backend is not None and backend.up:
        return None
    if not any(one.up for one in facts.backends):
        why = f"no apiserver is up behind the endpoint: the trouble may not be {name}'s own"
        none_up = "no apiserver is up behind the endpoint"
        return Halted(why, none_up, lasts=True, awaits="an apiserver to be up behind the endpoint")
    for_what = f"{name}'s apiserver to be up behind the endpoint"
    if backend is None:
        return NotYet(for_what)
    ready_at, began = life.ready_at_unix or 0.0, max(life.launched_at_unix or 0.0, facts.api_since_unix)
    until = max(began + ready_bound(facts, life.birth.role), ready_at + SETTLE_SECONDS)
    if facts.now.unix < until or backend.down_seconds < SETTLE_SECONDS:
        return NotYet(for_what, until)
    return Bad((f"{name}: its apiserver is not up behind the endpoint, {backend.down_seconds:.0f} s by now",))


def _soak(facts: Facts, trial: Trial, node: NodeSeen) -> ReleaseVerdict:
    life, name = trial.life, trial.life.birth.instance
    pods = pods_taken_over(facts, trial)
    late = [pod for pod in pods if not pod.ready]
    if late:
        return NotYet(f"{name}: {late[0].namespace}/{late[0].name} to be Ready", due_unix(facts, late[0]))
    moments = [node.ready_since_unix or life.ready_at_unix or 0.0, trial.took_over_unix]
    moments.append(answering_since(facts, trial))
    moments += [pod.ready_since_unix or 0.0 for pod in pods]
    since = max(moments)
    if facts.now.unix < since + trial.soak_seconds:
        return Soaking(since, since + trial.soak_seconds)
    renewed = node.lease_renewed_unix
    if renewed is not None and renewed < since + trial.soak_seconds:
        # a kubelet that died in the soak looks well for 25 s more: only a sign of life after it counts
        return NotYet(f"{name} to renew its lease after its soak")
    load = f"with {len(pods)} pods" if pods else "without load"
    past = (f"gone past: {'; '.join(trial.gone_past)}",) if trial.gone_past else ()
    return Served((f"{name} served for {trial.soak_seconds:.0f} s {load}", *past))
