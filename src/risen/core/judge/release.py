"""The verdict on a release, from its first instance: does it come up, does it serve, do its pods run?

Concludes only what is the release's own fault: what fails on other releases alike, or what comes from outside
(no network plugin, images that cannot be pulled), halts and never revokes. It proposes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from risen.core.history import Life
from risen.core.judge.facts import Facts
from risen.core.judge.joining import ready_bound
from risen.core.judge.snapshot import held_as_learner_until_unix, is_held_as_learner
from risen.core.judge.verdict import Judgement, Verdict, is_silent
from risen.core.names import InstanceName, may_hold_etcd
from risen.core.picture import InstanceState, NodeSeen, PodSeen, Start
from risen.core.reasons import LET_LIVE, NEVER_JOINED, REPAIR

SETTLE_SECONDS = 30.0
"""A Node that turns NotReady with a living kubelet may turn back; for so long beyond its soak it is waited for."""
POD_BOUND_SECONDS = 600.0
"""A pod that is not Ready for so long, beyond what its own probes give it, will not be: Kubernetes' own
`progressDeadlineSeconds` of a Deployment."""
HANGS_AT: Mapping[Start, str] = MappingProxyType(
    {
        Start.SANDBOX: "its network or its volumes do not come",
        Start.CONTAINERS: "not all its containers were made, and their images may be on their way",
        Start.DONE: "all its containers were made",
    }
)
PULLS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable"}
)


@dataclass(frozen=True, slots=True)
class Bad:
    """The release is at fault, with the evidence."""

    evidence: tuple[str, ...]


NOTHING_TO_COMPARE = "no other release is healthy"
"""Cause of a halt: what goes wrong on the first instance may go wrong on any."""


@dataclass(frozen=True, slots=True)
class Halted:
    """Nothing can be concluded, and it is not the release's fault as far as can be seen. `cause` stays the same while
    the words change; `lasts` where no person can go past it: nothing can be judged before it has ended."""

    why: str
    cause: str
    lasts: bool = False


@dataclass(frozen=True, slots=True)
class Soaking:
    """It serves; passed at `until_unix` if that lasts."""

    since_unix: float
    until_unix: float


@dataclass(frozen=True, slots=True)
class NotYet:
    """What the instance is awaited for, and until when (unix seconds; None without bound)."""

    for_what: str
    until_unix: float | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """It served through its soak."""

    evidence: tuple[str, ...]


ReleaseVerdict: TypeAlias = Bad | Halted | Soaking | NotYet | Served
Verdicts = Mapping[InstanceName, Judgement]


@dataclass(frozen=True, slots=True)
class Trial:
    """The first instance of a release and what is asked of it. `takes_over`: the instance whose pods it takes is
    still to go; `took_over_unix` when it went; `gone_past`: causes that do not halt it, by a person's word;
    `served_before`: whose pods were Ready on the one before, as in `Entry`."""

    life: Life
    soak_seconds: float
    takes_over: bool
    took_over_unix: float = 0.0
    gone_past: tuple[str, ...] = ()
    served_before: frozenset[str] = frozenset()

    def counts(self, pod: PodSeen) -> bool:
        """Whether a pod has to be Ready: nobody said that the rollout goes on past the failing of its like."""
        return not {failing_cause(pod), pulling_cause(pod), late_cause(pod)} & set(self.gone_past)


def failing_cause(pod: PodSeen) -> str:
    """The cause of a halt for which pods of one owner are one: each of them has a name of its own."""
    return f"{pod.of_owner} fails"


def pulling_cause(pod: PodSeen) -> str:
    """The same where its image cannot be pulled."""
    return f"{pod.of_owner} cannot pull its image"


def late_cause(pod: PodSeen) -> str:
    """The same where it is not Ready in its time."""
    return f"{pod.of_owner} is not Ready in time"


def judge_release(facts: Facts, verdicts: Verdicts, trial: Trial) -> ReleaseVerdict:
    """The verdict on the release that an instance is the first of. Where there is nothing to compare it with it is
    not found bad, even if a person said to go past that."""
    name = trial.life.birth.instance
    if _others_are_fine(facts, verdicts, trial.life):
        return _alone(facts, verdicts, trial)
    why = f"no instance of another release is healthy beside {name}: the trouble may not be its own"
    if NOTHING_TO_COMPARE not in trial.gone_past:
        return Halted(why, NOTHING_TO_COMPARE)
    found = _alone(facts, verdicts, trial)
    return (
        Halted(f"{why} ({'; '.join(found.evidence)})", why, lasts=True) if isinstance(found, Bad) else found
    )


def _alone(facts: Facts, verdicts: Verdicts, trial: Trial) -> ReleaseVerdict:
    """By what is seen of this instance."""
    life, name = trial.life, trial.life.birth.instance
    taken = _taken_out(facts, life)
    if taken is not None:
        return taken
    if facts.state(name) is InstanceState.UNKNOWN or facts.kubernetes is None:
        return Halted(f"{name} cannot be seen", "it cannot be seen", lasts=True)
    if life.ready_at_unix is None:
        return _boots(facts, verdicts, life)
    return _serves(facts, verdicts, trial)


def _others_are_fine(facts: Facts, verdicts: Verdicts, life: Life) -> bool:
    return any(
        judged.verdict is Verdict.HEALTHY
        for name, judged in verdicts.items()
        if facts.lives[name].birth.release != life.birth.release
    )


def _taken_out(facts: Facts, life: Life) -> ReleaseVerdict | None:
    """What repair concluded of it counts; what people asked for does not, and of that nothing that let it live."""
    entries = [
        entry
        for entry in facts.history.entries.values()
        if entry.subject == life.birth.instance
        and (entry.reason in (REPAIR, NEVER_JOINED) or entry.outcome not in LET_LIVE)
    ]
    for entry in entries:
        if entry.reason in (REPAIR, NEVER_JOINED):
            when = "in its soak" if life.ready_at_unix is not None else "before it was Ready"
            return Bad((f"{life.birth.instance} died {when}", *entry.evidence))
    if entries:
        return NotYet(f"{life.birth.instance} to be gone ({entries[-1].reason})")
    return None


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
    bound = ready_bound(facts, life.birth.role)
    held_until = held_as_learner_until_unix(facts, name) if may_hold_etcd(life.birth.role) else 0.0
    until = max(life.launched_at_unix, facts.api_since_unix, held_until) + bound
    if facts.now.unix < until:
        return NotYet(f"{name} to be Ready", until)
    if node is not None and node.waiting_for_addons:
        why = f"{name} waits for its network plugin or another add-on, {bound:.0f} s after its launch"
        return Halted(why, "its network plugin or another add-on is not there", lasts=True)
    evidence = judged.evidence if judged is not None else ()
    return Bad((f"{name} was not Ready within {bound:.0f} s of its launch", *evidence))


def _serves(facts: Facts, verdicts: Verdicts, trial: Trial) -> ReleaseVerdict:
    name = trial.life.birth.instance
    node, judged = facts.nodes.get(name), verdicts.get(name)
    if judged is None or judged.verdict is Verdict.UNKNOWN:
        return Halted(f"{name} cannot be judged", "it cannot be seen", lasts=True)
    failing = _failing_pods(facts, trial)
    if failing is not None:
        return failing
    if node is None or judged.verdict is not Verdict.HEALTHY:
        return _faltering(facts, trial, node, judged)
    unanswered = _unanswered(facts, trial.life)
    if unanswered is not None:
        return unanswered
    overdue = _overdue_pods(facts, trial)
    if overdue is not None:
        return overdue
    if trial.takes_over:
        return NotYet(f"{name} to take over pods")
    return _soak(facts, trial, node)


def _faltering(facts: Facts, trial: Trial, node: NodeSeen | None, judged: Judgement) -> ReleaseVerdict:
    """It was Ready and is not healthy: a silent kubelet is proof, anything else gets a while."""
    name, ready_at = trial.life.birth.instance, trial.life.ready_at_unix or 0.0
    if node is not None and is_silent(facts, node):
        return Bad((f"{name} fell silent after it was Ready", *judged.evidence))
    until = max(ready_at, facts.api_since_unix) + trial.soak_seconds + SETTLE_SECONDS
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
        return Halted("the endpoint cannot be seen", "the endpoint cannot be seen", lasts=True)
    backend = next((one for one in facts.backends if one.name == name), None)
    if backend is not None and backend.up:
        return None
    if not any(one.up for one in facts.backends):
        why = f"no apiserver is up behind the endpoint: the trouble may not be {name}'s own"
        return Halted(why, "no apiserver is up behind the endpoint", lasts=True)
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
    pods = _load(facts, trial)
    late = [pod for pod in pods if not pod.ready]
    if late:
        return NotYet(f"{name}: {late[0].namespace}/{late[0].name} to be Ready", _due_unix(facts, late[0]))
    moments = [node.ready_since_unix or life.ready_at_unix or 0.0, trial.took_over_unix]
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


def _judged_pods(facts: Facts, name: InstanceName) -> list[PodSeen]:
    """Pods of an instance that tell of its release. Those of Jobs do not: they come and go while it is tried, no two
    do the same work, and whether one failed its Job says; a gate is such a Job, and is asked by itself."""
    pods = facts.pods.get(name, ())
    return [pod for pod in pods if not pod.terminating and not pod.finished and not pod.of_job]


def _load(facts: Facts, trial: Trial) -> list[PodSeen]:
    """Those of them that it took over and that have to be Ready."""
    pods = _judged_pods(facts, trial.life.birth.instance)
    return [pod for pod in pods if not pod.daemon and not pod.mirror and trial.counts(pod)]


def _failing_pods(facts: Facts, trial: Trial) -> ReleaseVerdict | None:
    """Pods that fail here and run elsewhere are the release's fault; pulls may be the registry's. One that ran on the
    instance before may lack another that came here with it: that is given the time to mend itself."""
    life, name = trial.life, trial.life.birth.instance
    failing = [pod for pod in _judged_pods(facts, name) if pod.failing and pod.owner]
    if not failing:
        return None
    elsewhere = _look_elsewhere(facts, life, failing)
    began = max(life.ready_at_unix or 0.0, trial.took_over_unix, facts.api_since_unix)
    had_time = facts.now.unix >= began + trial.soak_seconds + POD_BOUND_SECONDS
    for pod in failing:
        why = f"pod {pod.namespace}/{pod.name} fails on {name} ({pod.failing})"
        if pod.failing in PULLS:
            continue
        if elsewhere.runs(pod):
            return Bad((f"{why} and runs elsewhere",))
        if had_time and elsewhere.ran_before(trial, pod):
            return Bad((f"{why} and ran on the one whose place it took",))
    for pod in failing:
        cause = pulling_cause(pod) if pod.failing in PULLS else failing_cause(pod)
        if cause not in trial.gone_past:
            why = f"pod {pod.namespace}/{pod.name} on {name}: {pod.failing}, which may not be the release's fault"
            return Halted(why, cause)
    return None


def _overdue_pods(facts: Facts, trial: Trial) -> ReleaseVerdict | None:
    """Pods that were not Ready in their time: the release's fault where they are Ready elsewhere, or were before."""
    life, name = trial.life, trial.life.birth.instance
    overdue = [pod for pod in _load(facts, trial) if _is_overdue(facts, pod)]
    if not overdue:
        return None
    elsewhere = _look_elsewhere(facts, life, overdue)
    for pod in overdue:
        why = f"pod {pod.namespace}/{pod.name} was not Ready within {_bound(pod):.0f} s on {name}"
        if pod.start is Start.CONTAINERS or not pod.owner:
            continue
        if elsewhere.runs(pod):
            return Bad((f"{why} ({HANGS_AT[pod.start]}) and runs elsewhere",))
        if elsewhere.ran_before(trial, pod):
            return Bad((f"{why} ({HANGS_AT[pod.start]}) and ran on the one whose place it took",))
    pod = overdue[0]
    why = f"pod {pod.namespace}/{pod.name} on {name} was not Ready within {_bound(pod):.0f} s"
    return Halted(f"{why}, which may not be the release's fault: {HANGS_AT[pod.start]}", late_cause(pod))


def _bound(pod: PodSeen) -> float:
    return POD_BOUND_SECONDS + pod.probe_delay_seconds


def _is_overdue(facts: Facts, pod: PodSeen) -> bool:
    return not pod.ready and facts.now.unix >= _due_unix(facts, pod)


def _due_unix(facts: Facts, pod: PodSeen) -> float:
    """Until when a pod that is not Ready has to be, from when its instance could run it and the API could tell."""
    life, node = facts.lives.get(pod.node), facts.nodes.get(pod.node)
    ready = node.ready_since_unix if node is not None else None
    if ready is None:
        ready = life.ready_at_unix if life is not None else None
    return max(pod.unready_since_unix or 0.0, ready or 0.0, facts.api_since_unix) + _bound(pod)


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """How pods of the same owners, each by namespace and name, do on other releases."""

    ready: frozenset[tuple[str, str]]
    troubled: frozenset[tuple[str, str]]

    def runs(self, pod: PodSeen) -> bool:
        """Some are Ready, and none has trouble."""
        owner = (pod.namespace, pod.owner)
        return owner in self.ready and owner not in self.troubled

    def ran_before(self, trial: Trial, pod: PodSeen) -> bool:
        """One was Ready on the instance whose place this one took: all that is known of what has one replica."""
        return pod.of_owner in trial.served_before and (pod.namespace, pod.owner) not in self.troubled


def _look_elsewhere(facts: Facts, life: Life, pods: list[PodSeen]) -> _Elsewhere:
    """All pods are looked at once, however many of these there are."""
    owners = {(pod.namespace, pod.owner) for pod in pods}
    others = [
        other
        for node, there in facts.pods.items()
        if node in facts.lives and facts.lives[node].birth.release != life.birth.release
        for other in there
        if (other.namespace, other.owner) in owners and not other.finished
    ]
    return _Elsewhere(
        frozenset((pod.namespace, pod.owner) for pod in others if pod.ready),
        frozenset((pod.namespace, pod.owner) for pod in others if _has_trouble(facts, pod)),
    )


def _has_trouble(facts: Facts, pod: PodSeen) -> bool:
    return bool(pod.failing) or (not pod.terminating and _is_overdue(facts, pod))
