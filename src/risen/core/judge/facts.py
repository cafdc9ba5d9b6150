"""Picture and history side by side: lookups that judging, rules and safety share. It concludes nothing.

Built once a decision by `look`, which sorts everything, so that shuffled inputs give equal answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeVar

from risen.core.history import Entry, History, Life
from risen.core.names import InstanceName, ProviderId, may_hold_etcd
from risen.core.picture import (
    BackendSeen,
    EtcdSeen,
    InstanceSeen,
    InstanceState,
    KubernetesSeen,
    MemberSeen,
    NodeSeen,
    Picture,
    PodSeen,
    PortSeen,
    ProviderSeen,
    Seen,
    Unseen,
)
from risen.core.plan import Now
from risen.core.reasons import LET_LIVE
from risen.core.step import Bootstrap, Launch, Step

CONTROLLER_LEASE = "kube-controller-manager"
RUNS = (InstanceState.STARTING, InstanceState.RUNNING)
ALIVE = (*RUNS, InstanceState.STOPPED, InstanceState.UNFINISHED)
T = TypeVar("T")
BY_NAME = attrgetter("name")
BY_NAMESPACE_AND_NAME = attrgetter("namespace", "name", "uid")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is seen and remembered. `lives` holds, by name, every instance whose story is not over."""

    picture: Picture
    history: History
    now: Now
    lives: Mapping[InstanceName, Life]
    ours: Mapping[InstanceName, InstanceSeen]
    foreign: tuple[InstanceSeen, ...]
    """Listed instances that carry another uid, or ours without a birth record."""
    entries: Mapping[InstanceName, Entry]
    """Open ledger entries by subject."""
    nodes: Mapping[InstanceName, NodeSeen]
    pods: Mapping[InstanceName, tuple[PodSeen, ...]]
    steps: tuple[Step, ...]
    """Steps in flight."""
    memo: dict[tuple[object, ...], frozenset[InstanceName]] = field(
        default_factory=dict, repr=False, compare=False
    )
    """Sets that were counted on this picture and history, whatever else is in flight."""

    @property
    def provider(self) -> ProviderSeen | None:
        """None while unseen."""
        return value_of(self.picture.provider)

    @property
    def etcd(self) -> EtcdSeen | None:
        """None while unseen."""
        return value_of(self.picture.etcd)

    @property
    def kubernetes(self) -> KubernetesSeen | None:
        """None while unseen."""
        return value_of(self.picture.kubernetes)

    @property
    def backends(self) -> tuple[BackendSeen, ...] | None:
        """None while unseen."""
        return value_of(self.picture.endpoint)

    @property
    def ports(self) -> tuple[PortSeen, ...] | None:
        """None while unseen."""
        return value_of(self.picture.ports)

    @property
    def founder(self) -> Bootstrap | None:
        """The newest bootstrap object."""
        return max(self.history.bootstraps, key=lambda one: one.generation, default=None)

    @property
    def ever_ready(self) -> float | None:
        """When the first Node was seen Ready, unix seconds; None if none ever was."""
        moments = [
            life.ready_at_unix for life in self.history.lives.values() if life.ready_at_unix is not None
        ]
        return min(moments, default=None)

    @property
    def api_since_unix(self) -> float:
        """Since when Kubernetes has been answering whoever decides here, without a break. What a kubelet could not
        say before is no silence of its own: nothing that it has not said since is held against it at once."""
        section = self.picture.kubernetes
        again = section.since if isinstance(section, Seen) else self.now.boot
        back = self.now.unix - (self.now.boot - again) if again else 0.0
        return max(back, self.now.leading_since_unix)

    def boot_of(self, unix: float) -> float:
        """A remembered wall-clock moment on this boot's clock."""
        return self.now.boot - (self.now.unix - unix)

    def state(self, name: InstanceName) -> InstanceState | None:
        """The provider's word on one of ours; None when it is not seen or not listed."""
        seen = self.ours.get(name)
        return seen.state if seen is not None else None

    def was_launched(self, life: Life) -> bool:
        """Whether the provider may ever have had it."""
        if life.provider_id or life.launched_at_unix is not None or life.joined_at_unix is not None:
            return True
        state = self.state(life.birth.instance)
        return state is not None and state is not InstanceState.GONE

    def is_gone(self, life: Life) -> bool:
        """Proven gone: the provider, asked for it alone, said so, now or before."""
        name = life.birth.instance
        state = self.state(name)
        if state is not InstanceState.GONE:
            return state is None and life.gone_at_unix is not None
        if any(isinstance(step, Launch) and step.instance == name for step in self.steps):
            return False
        return self.was_launched(life) or name in self.entries

    def provider_ids(self, name: InstanceName) -> frozenset[ProviderId]:
        """Every provider id known of one of ours, be its story over or not."""
        life, seen = self.history.lives.get(name), self.ours.get(name)
        known = {life.provider_id if life else None, seen.provider_id if seen else None}
        return frozenset(one for one in known if one)

    def is_our_node(self, node: NodeSeen) -> bool:
        """By its providerID. Where none was ever learned of an instance that is gone, which joined and was lost before
        anybody looked, by its name: nobody else is given credentials for that."""
        if node.provider_id in self.provider_ids(node.name):
            return True
        life = self.history.lives.get(node.name)
        return life is not None and life.provider_id is None and self.is_gone(life)

    def is_asked_to_end(self, name: InstanceName) -> bool:
        """Whether a person wants it ended now, and it is not gone yet."""
        return any(kill.instance == name for kill in self.history.kills)

    def is_over(self, name: InstanceName) -> bool:
        """Whether the story of one of ours is over: it was seen gone, and the entry that ended it is closed."""
        return name in self.history.lives and name not in self.lives

    def is_led(self, lease: str) -> bool:
        """Whether somebody holds this leader lease of kube-system, and it has not run out."""
        if self.kubernetes is None or not dict(self.kubernetes.lease_holders).get(lease):
            return False
        return self.now.unix < dict(self.kubernetes.leases_until_unix).get(lease, 0.0)

    def attached_to(self, name: InstanceName) -> tuple[str, ...]:
        """Volume attachments that a node still holds; none while Kubernetes is unseen."""
        attachments = self.kubernetes.attachments if self.kubernetes is not None else ()
        return tuple(sorted(key for key, node in attachments if node == name))

    def member_of(self, name: InstanceName) -> MemberSeen | None:
        """The etcd member of an instance: by name, or by peer URL while it has not started."""
        if self.etcd is None:
            return None
        seen = self.ours.get(name)
        url = peer_url(seen.address) if seen is not None and seen.address else ""
        for member in self.etcd.members:
            if member.name == name or (not member.name and url and member.peer_url == url):
                return member
        return None

    def holds_data(self, life: Life) -> bool:
        """Whether its disk may hold etcd data: it was given etcd's certificates, or it is a started member."""
        if not may_hold_etcd(life.birth.role):
            return False
        member = self.member_of(life.birth.instance)
        return life.joined_at_unix is not None or (member is not None and member.name != "")


def value_of(section: Seen[T] | Unseen) -> T | None:
    """The value of a section that was seen."""
    return section.value if isinstance(section, Seen) else None


def peer_url(address: str) -> str:
    """Where an instance's etcd member listens for other members."""
    return f"https://{address}:2380"


def look(picture: Picture, history: History, now: Now) -> Facts:
    """Put picture and history side by side."""
    ended = {
        entry.subject
        for entry in history.entries.values()
        if entry.closed_unix is not None and entry.outcome not in LET_LIVE
    }
    ended -= _alive(picture, history)
    lives = {name: history.lives[name] for name in sorted(history.lives) if name not in ended}
    ours, foreign = _sort_instances(picture, history, lives)
    kubernetes = value_of(picture.kubernetes)
    nodes = sorted(kubernetes.nodes if kubernetes else (), key=BY_NAME)
    return Facts(
        picture=picture,
        history=history,
        now=now,
        lives=lives,
        ours=ours,
        foreign=foreign,
        entries={entry.subject: entry for entry in history.open_entries},
        nodes={node.name: node for node in nodes},
        pods=_by_node(kubernetes.pods if kubernetes else ()),
        steps=tuple(sorted((item.step for item in picture.in_flight), key=repr)),
    )


def _by_node(pods: Iterable[PodSeen]) -> dict[InstanceName, tuple[PodSeen, ...]]:
    """Nodes by name, the pods of each sorted: many short sorts cost half of one of all pods of a big cluster."""
    by_node: dict[InstanceName, list[PodSeen]] = {}
    for pod in pods:
        by_node.setdefault(pod.node, []).append(pod)
    return {name: tuple(sorted(by_node[name], key=BY_NAMESPACE_AND_NAME)) for name in sorted(by_node)}


def _alive(picture: Picture, history: History) -> set[InstanceName]:
    """Names of ours that the provider shows: a launch may reach it after its entry was closed."""
    provider = value_of(picture.provider)
    return {
        seen.name
        for seen in (provider.instances if provider else ())
        if seen.cluster == history.cluster and seen.state in ALIVE
    }


def _sort_instances(
    picture: Picture, history: History, lives: Mapping[InstanceName, Life]
) -> tuple[dict[InstanceName, InstanceSeen], tuple[InstanceSeen, ...]]:
    """Ours by name, and the foreign. What is gone has nothing left to carry a uid: it is known by its name."""
    ours: dict[InstanceName, InstanceSeen] = {}
    foreign: list[InstanceSeen] = []
    provider = value_of(picture.provider)
    for seen in sorted(provider.instances if provider else (), key=lambda one: (one.name, one.provider_id)):
        if seen.state is InstanceState.GONE:
            if seen.name in lives:
                ours.setdefault(seen.name, seen)
        elif seen.cluster == history.cluster and seen.name in history.lives:
            ours[seen.name] = seen
        else:
            foreign.append(seen)
    return ours, tuple(foreign)
