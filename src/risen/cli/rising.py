"""What `risen up` prints while a cluster rises: one line an instance with its phases, computed from events."""

from __future__ import annotations

from dataclasses import dataclass, field

from risen.cli.glimpse import Glimpse
from risen.cli.watch import line_of
from risen.cli.words import span, waiting_words
from risen.core.events import BecameReady, Born, Event, Joined, Launched
from risen.core.names import InstanceName, Role
from risen.core.picture import EtcdSeen, Picture, Seen

DNS_LABEL, DNS_REPLICAS = ("k8s-app", "kube-dns"), 2
QUIET_SECONDS = 10.0
MOST_WAITS = 3


@dataclass(slots=True)
class Moments:
    """When what happened to one instance, unix seconds."""

    role: Role
    born: float
    launched: float | None = None
    joined: float | None = None


@dataclass(slots=True)
class Rising:
    """Lines for events in their order. What happened before the watching began is taken in without a line."""

    said_at: float
    known: dict[InstanceName, Moments] = field(default_factory=dict)

    def lines(self, event: Event, picture: Picture | None) -> list[str]:
        """None for the first phases of an instance: they are told when it is Ready, or when it must be waited for."""
        match event:
            case Born(unix=unix, birth=birth):
                self.known.setdefault(birth.instance, Moments(birth.role, unix))
            case Launched(unix=unix, instance=name) if name in self.known:
                self.known[name].launched = self.known[name].launched or unix
            case Joined(unix=unix, instance=name) if name in self.known:
                self.known[name].joined = self.known[name].joined or unix
            case BecameReady(unix=unix, instance=name) if name in self.known:
                return [rise_line(name, self.known[name], unix) + _etcd(self.known[name], picture)]
            case _:
                return [line_of(event)]
        return []

    def quiet(self, glimpse: Glimpse) -> list[str]:
        """What is awaited, when nothing was said for a while."""
        if glimpse.boot < self.said_at + QUIET_SECONDS or not glimpse.plan.waiting:
            return []
        waits = glimpse.plan.waiting
        more = f" · and {len(waits) - MOST_WAITS} more" if len(waits) > MOST_WAITS else ""
        words = " · ".join(waiting_words(wait, glimpse.boot) for wait in waits[:MOST_WAITS])
        return [f"wait    {words}{more}"]


def dns_line(picture: Picture) -> tuple[bool, str]:
    """Whether the cluster's DNS is whole, and how far it is. Its pods are Ready once they read from the API by the
    address of its Service: network plugin, kube-proxy and endpoint carry traffic then."""
    kubernetes = picture.kubernetes
    pods = kubernetes.value.pods if isinstance(kubernetes, Seen) else ()
    ready = sum(1 for pod in pods if DNS_LABEL in pod.labels and pod.ready and not pod.terminating)
    whole = ready >= DNS_REPLICAS
    why = ": pods reach the API by its Service" if whole else ""
    return whole, f"cluster DNS {ready} of {DNS_REPLICAS} Ready{why}"


def rise_line(name: InstanceName, moments: Moments, ready: float) -> str:
    """`rise    worker-p9  launch 0.3s  boot and join 1.9s  Ready 1.2s  (3.4s in all)`."""
    phases, before = [], moments.born
    for word, moment in (("launch", moments.launched), ("boot and join", moments.joined), ("Ready", ready)):
        if moment is not None:
            phases.append(f"{word} {span(max(0.0, moment - before)):<6}")
            before = moment
    return f"rise    {name:<22}{' '.join(phases)} {span(max(0.0, ready - moments.born))} in all"


def _etcd(moments: Moments, picture: Picture | None) -> str:
    """How many vote, beside a control-plane instance."""
    if moments.role is not Role.CONTROL_PLANE or picture is None:
        return ""
    match picture.etcd:
        case Seen(value=EtcdSeen(members=members)):
            return f"   etcd {sum(not member.learner for member in members)}/{len(members)} vote"
    return ""
