"""What is seen of the world at one moment. A section that could not be read is `Unseen`, never empty.

All times are seconds on the controller's monotonic clock (CLOCK_BOOTTIME), except where a name says `unix`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from risen.core.names import ClusterUid, InstanceName, MemberId, PoolName, ProviderId
from risen.core.spec import Taint
from risen.core.step import StepInFlight

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """A section that was read whole at `as_of`. `since` is when it could be read again after it could not; 0 where
    whoever looks never missed it."""

    value: T
    as_of: float
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Unseen:
    """A section that could not be read since `since`: errors, time-outs and partial lists."""

    error: str
    since: float


class InstanceState(StrEnum):
    """What a provider says of an instance. UNKNOWN is not gone."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    """Proven powered off; its disk still exists."""
    UNFINISHED = "unfinished"
    """Its launch was cut short: something of it exists and it never ran. A launch by its name finishes it."""
    GONE = "gone"
    """Asked for singly and answered: no such instance, no process, no disk."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class InstanceSeen:
    """One instance as its provider lists it. `cluster` is None for what carries no uid of ours."""

    name: InstanceName
    provider_id: ProviderId
    cluster: ClusterUid | None
    state: InstanceState
    address: str | None = None
    host_boot: str = ""
    """Boot id of the host that this instance was last started under; empty where hosts are not ours to see."""
    stopped_at: float | None = None
    """Boot seconds, as far as can be told: a provider may not know, and takes the last word of one that was killed."""
    power_pressed_at: float | None = None
    """Since when its power button has been pressed and it is not off yet; None where it was not pressed."""


@dataclass(frozen=True, slots=True)
class ProviderSeen:
    """The provider's list, whole, with every born instance that the list lacked asked for singly."""

    instances: tuple[InstanceSeen, ...]
    host_boot: str = ""
    """Boot id of the host now; differs from an instance's when the host has rebooted since."""


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A Node object. `ready` is None while its condition is missing or Unknown."""

    name: InstanceName
    uid: str
    provider_id: str
    ready: bool | None
    unschedulable: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[Taint, ...] = ()
    lease_renewed_unix: float | None = None
    waiting_for_addons: bool = False
    """NotReady only because no network plugin has been set up, or a startup taint is still there."""
    our_labels: tuple[str, ...] = ()
    our_taints: tuple[str, ...] = ()
    """Keys that Risen set before: what of them is no longer wanted is taken away, what others set stays."""
    ready_since_unix: float | None = None
    """Last transition of its Ready condition, where it is Ready."""
    our_cordon: bool = False
    """Risen made it unschedulable, no person did."""


class Start(StrEnum):
    """How far the start of a pod is that is not Ready."""

    SANDBOX = "sandbox"
    """Its network or its volumes are not there."""
    CONTAINERS = "containers"
    """They are, and one of its containers was never made: its image may be on its way, or one before it still works."""
    DONE = "done"
    """All of them were: it has to say by itself that it is Ready."""


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod bound to a node."""

    namespace: str
    name: str
    uid: str
    node: InstanceName
    ready: bool
    daemon: bool = False
    mirror: bool = False
    terminating: bool = False
    stateful: bool = False
    """Has a stable identity or attached volumes: freed only after a confirmed fence."""
    owner: str = ""
    """`KIND/NAME` of its controller; empty for a bare pod, which nothing makes again elsewhere."""
    labels: tuple[tuple[str, str], ...] = ()
    ready_since_unix: float | None = None
    failing: str = ""
    """Why it does not run, by its containers' waiting reason (`CrashLoopBackOff`, `ImagePullBackOff`, …)."""
    protected: bool = False
    """Annotated `risen/do-not-disrupt: "true"`: its instance is not taken by anything planned."""
    local_volume: bool = False
    """Has a volume that cannot follow it: a local PersistentVolume."""
    finished: bool = False
    """Succeeded or Failed: nothing of it runs, and nothing will. A Job's stay as objects for a while."""
    critical: bool = False
    """Of priority class `system-cluster-critical` or `system-node-critical`: others may not do without it."""
    unready_since_unix: float | None = None
    """Where it is not Ready: since when, or since when it has its node."""
    start: Start = Start.DONE
    probe_delay_seconds: float = 0.0
    """Where it is not Ready: what its own probes give it, before anybody asks whether it is."""

    @property
    def of_owner(self) -> str:
        """`NAMESPACE/KIND/NAME` of its controller."""
        return f"{self.namespace}/{self.owner}"

    @property
    def of_job(self) -> bool:
        """Whether a Job runs it: it comes, does its work and ends, and the Job counts how."""
        return self.owner.startswith("Job/")


@dataclass(frozen=True, slots=True)
class BudgetSeen:
    """A PodDisruptionBudget. `selector` are the labels that all must match; None where it is written otherwise."""

    namespace: str
    name: str
    allowed: int
    healthy: int
    desired_healthy: int
    selector: tuple[tuple[str, str], ...] | None = None

    def covers(self, pod: PodSeen) -> bool:
        """Whether a pod counts to it. One whose selector is not understood covers its whole namespace."""
        if pod.namespace != self.namespace:
            return False
        return self.selector is None or set(self.selector) <= set(pod.labels)


@dataclass(frozen=True, slots=True)
class KubernetesSeen:
    """Nodes, pods and what Risen itself keeps in the API, from one consistent cache."""

    nodes: tuple[NodeSeen, ...] = ()
    pods: tuple[PodSeen, ...] = ()
    addons: tuple[tuple[str, str], ...] = ()
    """(`APIVERSION/KIND/NAMESPACE/NAME`, digest in annotation `risen.dev/digest`) of managed objects."""
    lease_holders: tuple[tuple[str, str], ...] = ()
    """(lease name in kube-system, holderIdentity) of kube-controller-manager and kube-scheduler."""
    budgets: tuple[BudgetSeen, ...] = ()
    attachments: tuple[tuple[str, InstanceName], ...] = ()
    """(VolumeAttachment, node that it attaches to)."""
    leases_until_unix: tuple[tuple[str, float], ...] = ()
    """(lease of `lease_holders`, when it runs out unless it is renewed): what its holder has not renewed is unheld."""


@dataclass(frozen=True, slots=True)
class MemberSeen:
    """An etcd member. `name` is empty for a learner that has not started: find it by `peer_url`."""

    id: MemberId
    name: str
    peer_url: str
    learner: bool
    healthy: bool
    """It answered its own status within the time-out, and has a leader and no CORRUPT alarm."""
    leader: bool = False
    revision: int = 0
    raft_index: int = 0
    db_bytes: int = 0


@dataclass(frozen=True, slots=True)
class EtcdSeen:
    """Members by a linearizable list; `quorum_lost` when no linearizable answer came but members answered."""

    cluster_id: str
    members: tuple[MemberSeen, ...]
    quorum_lost: bool = False
    alarms: tuple[str, ...] = ()
    """Alarms raised in the cluster, by kind: NOSPACE is a verdict on the cluster, CORRUPT also on its member."""
    endpoint_leases: tuple[str, ...] = ()
    """Addresses by whose leases apiservers are endpoints of the Service `kubernetes`; none where that is unread."""


@dataclass(frozen=True, slots=True)
class BackendSeen:
    """A backend of the API endpoint. `up` by the endpoint's own check of /readyz."""

    name: InstanceName
    address: str
    up: bool
    draining: bool = False
    silent: bool = False
    """Nothing takes a connection at its port: an apiserver that stops in order takes them until its end."""
    down_seconds: float = 0.0
    """For how long it has been down, as the endpoint counts; 0 while it is up."""


@dataclass(frozen=True, slots=True)
class PortSeen:
    """Whether a program answers at its port. `since` is when that last changed; 0 for what has answered as long as
    whoever looks has asked it."""

    instance: InstanceName
    program: str
    port: int
    answers: bool
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything rules may look at, together with what is in flight. `ports` are those of instances that try a release,
    and where one of them is silent of some others."""

    provider: Seen[ProviderSeen] | Unseen
    kubernetes: Seen[KubernetesSeen] | Unseen
    etcd: Seen[EtcdSeen] | Unseen
    endpoint: Seen[tuple[BackendSeen, ...]] | Unseen
    in_flight: tuple[StepInFlight, ...] = ()
    ports: Seen[tuple[PortSeen, ...]] | Unseen = Seen((), 0.0)


__all__ = [
    "BackendSeen", "BudgetSeen", "EtcdSeen", "InstanceSeen", "InstanceState", "KubernetesSeen", "MemberSeen", "NodeSeen",
    "Picture", "PodSeen", "PoolName", "PortSeen", "ProviderSeen", "Seen", "Start", "Unseen",
]  # fmt: skip
