"""What the pods of a release's first instance tell of it: those that fail or are late there, beside their like on
other releases. It proposes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from risen.core.history import Life
from risen.core.judge.facts import Facts
from risen.core.judge.trial import (
    Bad,
    Halted,
    ReleaseVerdict,
    Trial,
    failing_cause,
    late_cause,
    pulling_cause,
)
from risen.core.names import InstanceName
from risen.core.picture import PodSeen, Start

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


def _judged_pods(facts: Facts, name: InstanceName) -> list[PodSeen]:
    """Pods of an instance that tell of its release. Those of Jobs do not: they come and go while it is tried, no two
    do the same work, and whether one failed its Job says; a gate is such a Job, and is asked by itself."""
    pods = facts.pods.get(name, ())
    return [pod for pod in pods if not pod.terminating and not pod.finished and not pod.of_job]


def pods_taken_over(facts: Facts, trial: Trial) -> list[PodSeen]:
    """Those of them that it took over and that have to be Ready."""
    pods = _judged_pods(facts, trial.life.birth.instance)
    return [pod for pod in pods if not pod.daemon and not pod.mirror and trial.counts(pod)]


def failing_pods(facts: Facts, trial: Trial) -> ReleaseVerdict | None:
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


def overdue_pods(facts: Facts, trial: Trial) -> ReleaseVerdict | None:
    """Pods that were not Ready in their time: the release's fault where they are Ready elsewhere, or were before."""
    life, name = trial.life, trial.life.birth.instance
    overdue = [pod for pod in pods_taken_over(facts, trial) if _is_overdue(facts, pod)]
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
    return not pod.ready and facts.now.unix >= due_unix(facts, pod)


def due_unix(facts: Facts, pod: PodSeen) -> float:
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
