"""What happens, as values: the one append-only stream of a cluster. `events` and `history` render it.

Every event carries `unix`, wall-clock seconds. Folding the stream twice, or an event twice, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from risen.core.names import InstanceName, PoolName, ProviderId, ReleaseId
from risen.core.spec import PoolRelease
from risen.core.step import Birth, Bootstrap


@dataclass(frozen=True, slots=True)
class BootstrapWritten:
    """A bootstrap object was written."""

    unix: float
    bootstrap: Bootstrap


@dataclass(frozen=True, slots=True)
class ClusterIdSeen:
    """etcd was seen for the first time; from here on nothing is founded."""

    unix: float
    cluster_id: str


@dataclass(frozen=True, slots=True)
class Born:
    """A birth record was written."""

    unix: float
    birth: Birth


@dataclass(frozen=True, slots=True)
class LaunchRefused:
    """The provider does not launch an instance (no room, its image is gone). Again only when its words are others."""

    unix: float
    instance: InstanceName
    why: str


@dataclass(frozen=True, slots=True)
class Launched:
    """The provider answered a launch."""

    unix: float
    instance: InstanceName
    provider_id: ProviderId


@dataclass(frozen=True, slots=True)
class Joined:
    """Join answered an instance."""

    unix: float
    instance: InstanceName


@dataclass(frozen=True, slots=True)
class BecameReady:
    """An instance's Node was seen Ready for the first time."""

    unix: float
    instance: InstanceName


@dataclass(frozen=True, slots=True)
class SeenGone:
    """The provider, asked for this one instance, said that it is gone."""

    unix: float
    instance: InstanceName


@dataclass(frozen=True, slots=True)
class EntryOpened:
    """A ledger entry was opened, before the first harm."""

    unix: float
    entry: str
    subject: InstanceName
    reason: str
    evidence: tuple[str, ...]
    served: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DrainForced:
    """The drain of an entry's subject took too long, and these pods (`NAMESPACE/NAME`) are to be deleted past their
    budgets, as `onDrainTimeout: force` says. Written before it is done."""

    unix: float
    entry: str
    subject: InstanceName
    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EntryClosed:
    """A ledger entry was closed."""

    unix: float
    entry: str
    outcome: str


@dataclass(frozen=True, slots=True)
class KillAsked:
    """A person asked that an instance be ended now."""

    unix: float
    intent: str
    instance: InstanceName
    reason: str
    accept_data_loss: bool


@dataclass(frozen=True, slots=True)
class KillDone:
    """What a person asked for is done: the instance is gone."""

    unix: float
    intent: str


@dataclass(frozen=True, slots=True)
class ReplaceAsked:
    """A person asked for another instance in the place of this one, drained first."""

    unix: float
    intent: str
    instance: InstanceName
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReplaceDone:
    """The instance that was asked to be replaced is in the ledger, or was gone already."""

    unix: float
    intent: str


@dataclass(frozen=True, slots=True)
class RolloutOrdered:
    """A person paused, resumed or aborted the rollout of a revision. `order`: `pause`, `resume`, `abort`. `causes`:
    what it was halted for and goes on past."""

    unix: float
    intent: str
    revision: int
    order: str
    by: str
    reason: str
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolScaled:
    """An autoscaler, or a person, set how many instances of a pool are wanted between its bounds."""

    unix: float
    intent: str
    pool: PoolName
    replicas: int
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AccessGiven:
    """A person was given a kubeconfig of this group, good for so many hours from `unix`: nothing takes it back."""

    unix: float
    by: str
    group: str
    hours: float


@dataclass(frozen=True, slots=True)
class ReleasePassed:
    """A release has served in one instance, through its soak and the user's gates."""

    unix: float
    release: ReleaseId
    pool: PoolName
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseHalted:
    """A release that is tried cannot be judged, for a reason that is not its own: once for each cause."""

    unix: float
    release: ReleaseId
    pool: PoolName
    revision: int
    cause: str
    why: str


@dataclass(frozen=True, slots=True)
class ReleaseRevoked:
    """A release is bad: nothing launches it again, and the revision that brought it goes back."""

    unix: float
    release: ReleaseId
    pool: PoolName
    revision: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RevocationLifted:
    """A person takes a revoked release upon themselves."""

    unix: float
    intent: str
    release: ReleaseId
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class RevisionCompleted:
    """Every instance is on the releases of this revision and serves: what a later one goes back to."""

    unix: float
    revision: int
    releases: tuple[PoolRelease, ...]
    addons: tuple[tuple[str, str], ...] = ()
    but: tuple[str, ...] = ()
    """`NAME: why` of those that stayed on another, because their pods could not be moved."""


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A task outside the loop (snapshot, gate) ended. `key` names its content; `silent` as in `TaskResult`."""

    unix: float
    key: str
    ok: bool
    text: str
    silent: bool = False


SECOND_KEY = "second-key"
"""Kind of the alarm that condemns an instance: its ticket was used with other keys."""
WRONG_ADDRESS = "wrong-address"
"""Kind of alarm: a genuine ticket came from an address that is not its instance's."""
ALREADY_STARTED = "already-started"
"""Kind of alarm: join was asked for an instance whose etcd member has started."""
EXPIRED_TICKET = "expired-ticket"
"""Kind of alarm: a genuine ticket was used after its minutes: by somebody who kept it, or by an instance that never came to
join."""
WRONG_TICKET = "wrong-ticket"
"""Kind of alarm: what was shown as an instance's ticket is not, or is one that was altered."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person should look at. `subject` is an instance, or `join` where none of that name was born."""

    unix: float
    kind: str
    subject: str
    text: str


Event: TypeAlias = (
    BootstrapWritten | ClusterIdSeen | Born | LaunchRefused | Launched | Joined | BecameReady | SeenGone
    | EntryOpened | DrainForced | EntryClosed | KillAsked | KillDone | Alarm
    | ReplaceAsked | ReplaceDone | RolloutOrdered | PoolScaled | AccessGiven
    | ReleasePassed | ReleaseHalted | ReleaseRevoked | RevocationLifted | RevisionCompleted | TaskEnded
)  # fmt: skip
EVENT_TYPES: tuple[type[Event], ...] = (
    BootstrapWritten, ClusterIdSeen, Born, LaunchRefused, Launched, Joined, BecameReady, SeenGone,
    EntryOpened, DrainForced, EntryClosed, KillAsked, KillDone, Alarm,
    ReplaceAsked, ReplaceDone, RolloutOrdered, PoolScaled, AccessGiven,
    ReleasePassed, ReleaseHalted, ReleaseRevoked, RevocationLifted, RevisionCompleted, TaskEnded,
)  # fmt: skip
"""Every event type; a record's `type` is the class name."""
