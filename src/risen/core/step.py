"""Steps: each is one request to one interface. A step names ids that are never reused.

`claims_of` says what a step touches (steps sharing a claim never overlap) and `is_harmful` whether the worst case
while it is in flight is that it has happened (harmful) or that it has not (helpful).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from risen.core.names import ImageDigest, InstanceName, MemberId, PoolName, ProviderId, ReleaseId, Role
from risen.core.spec import PoolRelease, Taint

STEP_TIMEOUT_SECONDS = 10.0
"""The longest a step may take, from its sending to its effect: a leader's lease must outlast it, or it is not sent."""


@dataclass(frozen=True, slots=True)
class Birth:
    """An instance's birth record: written create-only before its launch; what join certifies comes from here."""

    instance: InstanceName
    pool: PoolName
    role: Role
    release: ReleaseId
    image: ImageDigest
    nonce: str
    """Random; the ticket is an HMAC over name and nonce, so that a retried launch is byte-identical."""
    reason: str
    """`bring-up`, `replace NAME`, `scale-up`: what the ledger shows."""
    born_unix: float
    entry: str = ""
    """Ledger entry this launch belongs to, if it replaces something."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The one create-only object that lets an etcd cluster be founded: key `bootstrap/GENERATION`."""

    generation: int
    founder: InstanceName
    token: str


# --- store ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class WriteBootstrap:
    """Create `bootstrap/GENERATION`."""

    bootstrap: Bootstrap


@dataclass(frozen=True, slots=True)
class WriteBirth:
    """Create `births/NAME`."""

    birth: Birth


@dataclass(frozen=True, slots=True)
class RecordClusterId:
    """Create `etcd/cluster-id`: once recorded, nothing is ever founded again."""

    cluster_id: str


@dataclass(frozen=True, slots=True)
class OpenEntry:
    """Open a ledger entry before the first harm: `reason` is one of those of `core/reasons.py`.

    `leaves` is what a planned change must leave: of a control plane the fault tolerance of so many voters, of workers
    so many available ones of the pool, Ready for `min_ready_seconds`. `served`: as in `Entry`.
    """

    entry: str
    subject: InstanceName
    reason: str
    evidence: tuple[str, ...]
    leaves: int = 0
    min_ready_seconds: float = 0.0
    served: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForceDrain:
    """Write down which pods (`NAMESPACE/NAME`) of an entry's subject are to be deleted past their budgets."""

    entry: str
    subject: InstanceName
    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CloseEntry:
    """Close a ledger entry: its subject is gone and, where there was to be one, the replacement serves."""

    entry: str
    outcome: str


@dataclass(frozen=True, slots=True)
class PassRelease:
    """Write down that a release has passed: its first instance served, under load where there was any."""

    release: ReleaseId
    pool: PoolName
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HaltRelease:
    """Write down for what reason, which is not its own, a release that is tried cannot be judged."""

    release: ReleaseId
    pool: PoolName
    revision: int
    cause: str
    why: str


@dataclass(frozen=True, slots=True)
class RevokeRelease:
    """Write down that a release is bad: launched by nothing again, and the revision that brought it goes back."""

    release: ReleaseId
    pool: PoolName
    revision: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CompleteRevision:
    """Write down that every instance is on this revision's releases and serves, `but` for those held by their pods."""

    revision: int
    releases: tuple[PoolRelease, ...]
    addons: tuple[tuple[str, str], ...] = ()
    but: tuple[str, ...] = ()


# --- provider ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Launch:
    """Start the instance of a birth record (idempotent by name)."""

    instance: InstanceName


@dataclass(frozen=True, slots=True)
class PowerOn:
    """Start a stopped instance from its own disk."""

    instance: InstanceName
    provider_id: ProviderId


@dataclass(frozen=True, slots=True)
class PressPowerButton:
    """Ask an instance to shut down in order. `leaves` as in `OpenEntry`; 0 for a worker, whose place is taken already."""

    instance: InstanceName
    provider_id: ProviderId
    leaves: int = 0


@dataclass(frozen=True, slots=True)
class Destroy:
    """End an instance and its disk; `holds_data` when it may hold etcd data."""

    instance: InstanceName
    provider_id: ProviderId
    holds_data: bool


# --- etcd -------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class AddLearner:
    """Add a learner whose peer URL is that of an instance."""

    instance: InstanceName
    peer_url: str


@dataclass(frozen=True, slots=True)
class PromoteMember:
    """Make a learner a voter."""

    member: MemberId
    instance: InstanceName


@dataclass(frozen=True, slots=True)
class MoveLeader:
    """Ask the leader to hand over to another voter."""

    leader: MemberId
    to: MemberId


@dataclass(frozen=True, slots=True)
class RemoveMember:
    """Remove a member; `instance` is its name or empty if it never started. `leaves` as in `OpenEntry`."""

    member: MemberId
    instance: InstanceName
    voter: bool
    leaves: int = 0


@dataclass(frozen=True, slots=True)
class RemoveEndpointLease:
    """Delete the key in etcd by which a fenced instance's apiserver is still an endpoint of the Service `kubernetes`."""

    instance: InstanceName
    address: str


# --- endpoint ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class AddBackend:
    """Let the API endpoint send requests to an apiserver."""

    instance: InstanceName
    address: str


@dataclass(frozen=True, slots=True)
class DrainBackend:
    """No new connections to this backend."""

    instance: InstanceName


@dataclass(frozen=True, slots=True)
class RemoveBackend:
    """Forget a backend and end its sessions."""

    instance: InstanceName


# --- Kubernetes -------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ApplyAddon:
    """Server-side apply of one add-on object, named `APIVERSION/KIND/NAMESPACE/NAME`."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class MarkNode:
    """Set a Node's role and pool labels and its taints to exactly these (ours only), dropping `risen/uninitialized`."""

    node: InstanceName
    uid: str
    labels: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...]


@dataclass(frozen=True, slots=True)
class CordonNode:
    """Make a Node unschedulable."""

    node: InstanceName
    uid: str


@dataclass(frozen=True, slots=True)
class UncordonNode:
    """Let a Node take pods again: its disruption was called off."""

    node: InstanceName
    uid: str


@dataclass(frozen=True, slots=True)
class TaintOutOfService:
    """Say that a fenced node is out of service, so that its pods' volumes detach."""

    node: InstanceName
    uid: str


@dataclass(frozen=True, slots=True)
class EvictPod:
    """One eviction through the Eviction API (a refusal by a budget is an answer: later)."""

    namespace: str
    pod: str
    uid: str
    node: InstanceName


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete a pod past its budgets, with its own grace: only where the user said `onDrainTimeout: force`."""

    namespace: str
    pod: str
    uid: str
    node: InstanceName


@dataclass(frozen=True, slots=True)
class FreePod:
    """Mark a pod of a fenced instance Failed (DisruptionTarget) and delete it with grace 0, uid as precondition."""

    namespace: str
    pod: str
    uid: str
    node: InstanceName


@dataclass(frozen=True, slots=True)
class DeleteNode:
    """Delete a Node, uid as precondition."""

    node: InstanceName
    uid: str


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """Empty `holderIdentity` of a kube-system Lease whose holder is proven gone."""

    lease: str
    holder: str


Step: TypeAlias = (
    WriteBootstrap | WriteBirth | RecordClusterId | OpenEntry | ForceDrain | CloseEntry
    | Launch | PowerOn | PressPowerButton | Destroy
    | AddLearner | PromoteMember | MoveLeader | RemoveMember | RemoveEndpointLease
    | AddBackend | DrainBackend | RemoveBackend
    | ApplyAddon | MarkNode | CordonNode | UncordonNode | TaintOutOfService | EvictPod | DeletePod | FreePod
    | DeleteNode | ReleaseLease | PassRelease | HaltRelease | RevokeRelease | CompleteRevision
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StepInFlight:
    """A step that was sent and whose effect is not seen yet. `unknown` when its answer was lost or timed out."""

    step: Step
    sent_at: float
    unknown: bool = False


def claims_of(step: Step) -> frozenset[str]:
    """What a step touches: instance names, `etcd`, `endpoint`, `bootstrap`, `KIND:NAME` of Kubernetes objects.

    A Node is not its instance: what is done to the one never waits for what is done to the other.
    """
    match step:
        case WriteBootstrap() | RecordClusterId():
            return frozenset({"bootstrap"})
        case WriteBirth(birth=birth):
            return frozenset({birth.instance})
        case OpenEntry(subject=name) | Launch(instance=name) | PowerOn(instance=name):
            return frozenset({name})
        case PressPowerButton(instance=name):
            return frozenset({name})
        case Destroy(instance=name, holds_data=holds_data):
            return frozenset({name, "etcd"} if holds_data else {name})
        case CloseEntry(entry=entry) | ForceDrain(entry=entry):
            return frozenset({entry})
        case PassRelease() | HaltRelease() | RevokeRelease() | CompleteRevision():
            return frozenset({"release"})
        case AddLearner(instance=name) | PromoteMember(instance=name) | RemoveMember(instance=name):
            return frozenset({name, "etcd"} if name else {"etcd"})
        case MoveLeader():
            return frozenset({"etcd"})
        case RemoveEndpointLease(address=address):
            return frozenset({f"endpoint-lease:{address}"})
        case AddBackend(instance=name) | DrainBackend(instance=name) | RemoveBackend(instance=name):
            return frozenset({"endpoint", name})
        case ApplyAddon(key=key):
            return frozenset({f"addon:{key}"})
        case EvictPod(uid=uid) | DeletePod(uid=uid) | FreePod(uid=uid):
            return frozenset({f"pod:{uid}"})
        case (
            MarkNode(node=name)
            | CordonNode(node=name)
            | UncordonNode(node=name)
            | TaintOutOfService(node=name)
            | DeleteNode(node=name)
        ):
            return frozenset({f"node:{name}"})
        case ReleaseLease(lease=lease):
            return frozenset({f"lease:{lease}"})


def is_harmful(step: Step) -> bool:
    """Whether the worst case is that this step has happened already."""
    return isinstance(
        step,
        Destroy | PressPowerButton | RemoveMember | DrainBackend | RemoveBackend | CordonNode | EvictPod
        | DeletePod | FreePod | DeleteNode | TaintOutOfService | AddLearner,
    )  # fmt: skip
