"""What a Job and its pods show of it: how it ended, whether a container ever started, what keeps them from it. Pure.

Sources: core/v1 PodStatus and ContainerStatus; batch/v1 Job, `spec.selector` and conditions Complete and Failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from risen.adapters.kubernetes.wire import Condition, Metadata, Selector, Source, Struct
from risen.interfaces.tasks import TaskAnswer

JUST_COMES = frozenset({"PodInitializing", "ContainerCreating"})
"""What every pod waits with for a while; another word says more."""
MOST_CHARACTERS = 200
OVERDUE = "DeadlineExceeded"


class JobStatus(Struct, frozen=True):
    """Of a Job."""

    conditions: tuple[Condition, ...] = ()


class JobSpec(Struct, frozen=True):
    """Of a Job. The API server fills the selector in: it is the Job's uid where the manifest has none."""

    selector: Selector = Selector()


class Job(Struct, frozen=True):
    """`batch/v1/Job`."""

    metadata: Metadata = Metadata()
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()

    @property
    def ended(self) -> Condition | None:
        """How it ended: Complete or Failed."""
        found = (one for one in self.status.conditions if one.type in ("Complete", "Failed"))
        return next((one for one in found if one.status == "True"), None)

    @property
    def complete(self) -> bool:
        """It succeeded."""
        return self.ended is not None and self.ended.type == "Complete"

    @property
    def of_its_pods(self) -> str:
        """The label selector of its pods."""
        return ",".join(f"{key}={value}" for key, value in sorted(self.spec.selector.match_labels.items()))


class Waits(Struct, frozen=True):
    """Why a container does not run."""

    reason: str = ""
    message: str = ""


class Ended(Struct, frozen=True):
    """How a container ended. One that never ran is called ended too when its pod is deleted: without `started_at`."""

    exit_code: int = 0
    started_at: str | None = None


class State(Struct, frozen=True):
    """One of the three."""

    waiting: Waits | None = None
    running: Source | None = None
    terminated: Ended | None = None


class ContainerStatus(Struct, frozen=True):
    """Of one container: how it is and how it was before it was started again."""

    state: State = State()
    last_state: State = State()


class JobPodStatus(Struct, frozen=True):
    """Of a Job's pod. `reason` is there where a kubelet refused it, or it was evicted."""

    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None


class Owner(Struct, frozen=True):
    """Who made an object, by uid."""

    uid: str = ""


class JobPodMetadata(Struct, frozen=True):
    """Of a Job's pod."""

    owner_references: tuple[Owner, ...] = ()


class JobPod(Struct, frozen=True):
    """A Pod as far as its Job is told by it."""

    metadata: JobPodMetadata = JobPodMetadata()
    status: JobPodStatus = JobPodStatus()

    def is_of(self, job: Job) -> bool:
        """A selector of the user's own may find others too."""
        return any(owner.uid == job.metadata.uid for owner in self.metadata.owner_references)


def ever_ran(pods: Iterable[JobPod]) -> bool:
    """Whether a container of theirs ever started, or one that prepares them failed. An init container that ran well
    tells nothing: a mesh puts one into every pod, also where the pod's own image cannot be pulled. What the runtime
    could not start (`StartError`, whose start is given as 1970) counts: its image was there."""
    return any(
        any(map(_started, pod.status.container_statuses or ()))
        or any(map(_failed, pod.status.init_container_statuses or ()))
        for pod in pods
    )


def hindrance(pods: Iterable[JobPod]) -> str:
    """What keeps one of them from starting, in Kubernetes' words; empty where nothing says so."""
    said = [words for pod in pods for words in _hindrances(pod.status)]
    telling = [(reason, message) for reason, message in said if reason not in JUST_COMES]
    reason, message = (telling or said or [("", "")])[0]
    text = f"{reason} ({message})" if message else reason
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def _started(container: ContainerStatus) -> bool:
    return any(
        state.running is not None
        or (state.terminated is not None and state.terminated.started_at is not None)
        for state in (container.state, container.last_state)
    )


def _failed(container: ContainerStatus) -> bool:
    ends = (state.terminated for state in (container.state, container.last_state))
    return any(end is not None and end.started_at is not None and end.exit_code != 0 for end in ends)


def _hindrances(status: JobPodStatus) -> Iterator[tuple[str, str]]:
    for container in (*(status.init_container_statuses or ()), *(status.container_statuses or ())):
        waiting = container.state.waiting
        if waiting is not None and waiting.reason:
            yield waiting.reason, waiting.message
    for condition in status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            yield condition.reason, condition.message
    if status.reason:
        yield status.reason, status.message


@dataclass(slots=True)
class Watch:
    """What was seen of a Job while it was asked. `gaps`: not all the while, because the API was away or who asks; what
    ended then may be told too late, and the Job's deadline runs on."""

    what: str
    gaps: bool
    ran: bool = False
    hindered: str = "no pod of it was seen"

    def look(self, pods: list[JobPod]) -> None:
        """At its pods as they are. Those of a Job whose deadline is over are deleted: what was seen before counts."""
        self.ran = self.ran or ever_ran(pods)
        self.hindered = hindrance(pods) or self.hindered

    def answer(self, ended: Condition | None, timeout_seconds: float) -> TaskAnswer:
        """How it ended, or that it did not in its time. It fails nothing where no container of it ever started, nor by
        a deadline that passed unwatched."""
        text = f"did not end within {timeout_seconds:.0f} s" if ended is None else _words(ended)
        if ended is not None and ended.type == "Complete":
            return TaskAnswer(True, f"{self.what}: {text}")
        if not self.ran:
            text += f"; no container of it ever started: {self.hindered}"
        elif self.gaps and (ended is None or ended.reason == OVERDUE):
            text += "; it could not be watched all the while"
        else:
            return TaskAnswer(False, f"{self.what}: {text}")
        return TaskAnswer(False, f"{self.what}: {text}", silent=True)


def _words(condition: Condition) -> str:
    details = ": ".join(part for part in (condition.reason, condition.message) if part)
    return f"{condition.type.lower()}{f' ({details})' if details else ''}"
