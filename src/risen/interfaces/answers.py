"""What an interface answered, boiled down to its kind, so that reality can be held against the simulator.

Pure. It keeps what decides what an engine does next (the error's type, etcd's own word for why, an instance's
state) and drops what differs between any two calls (names, ids, times). It judges no answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from risen.core.picture import (
    BackendSeen,
    EtcdSeen,
    InstanceSeen,
    KubernetesSeen,
    MemberSeen,
    NodeSeen,
    ProviderSeen,
)
from risen.interfaces import errors

OK = "ok"
SHOWS = "shows"
ORDER = "order"


@dataclass(frozen=True, slots=True, order=True)
class Answer:
    """One kind of answer. `operation` is `INTERFACE.METHOD`, as in `etcd.promote`.

    `outcome` is `ok` (`detail`: which of the possible values), the name of an error's type (`detail`: why, in
    etcd's or the API's own words), `shows` (`detail`: something that the value holds) or `order` (`detail`:
    whether the value shows an earlier write that was answered ok).
    """

    operation: str
    outcome: str
    detail: str = ""

    def __str__(self) -> str:
        return "  ".join(part for part in (self.operation, self.outcome, self.detail) if part)

    @classmethod
    def parse(cls, line: str) -> Answer:
        """From what `str` gives. Raises ValueError."""
        operation, outcome, *detail = line.split("  ", 2)
        return cls(operation, outcome, *detail)


_MAY_BE_NONE = frozenset({"store.get", "leadership.try_lead", "leadership.leader"})
_WHY = (
    "in sync with leader",
    "can only promote a learner",
    "too many learner",
    "unhealthy cluster",
    "not enough started members",
    "too many requests",
    "no leader",
    "not leader",
    "bad leader transferee",
    "database space exceeded",
    "future revision",
    "cluster ID mismatch",
    "disruption budget",
    "more than one PodDisruptionBudget",
    "not there yet",
    "does not serve",
    "being renewed",
)
"""Words of a refusal; the first that stands in its text. Sources: etcd 3.6 api/v3rpc/rpctypes/error.go, KEP-4212."""


def refused(operation: str, error: Exception) -> Answer:
    """The kind of an error. One that is no operating error keeps its own type's name: nothing can answer that."""
    kinds = (kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    name = next(kinds, type(error)).__name__
    reasons = (words for words in _WHY if words in str(error))
    tells = isinstance(error, errors.Later | errors.Conflict)
    return Answer(operation, name, next(reasons, "") if tells else "")


def answered(operation: str, value: object) -> list[Answer]:
    """The kinds of a value: one that says which, and one for each thing it shows."""
    if operation in _MAY_BE_NONE:
        return [Answer(operation, OK, "nothing" if value is None else "something")]
    return [
        Answer(operation, OK, _which(value)),
        *(Answer(operation, SHOWS, detail) for detail in set(_shown(value))),
    ]


def _which(value: object) -> str:
    match value:
        case InstanceSeen():
            return value.state.value
        case EtcdSeen():
            return " ".join(("quorum lost" if value.quorum_lost else "quorum", *value.alarms))
        case _:
            return ""


def _shown(value: object) -> Iterator[str]:
    match value:
        case ProviderSeen():
            yield from (_instance(item) for item in value.instances)
        case EtcdSeen():
            yield from (_member(item, value.quorum_lost) for item in value.members)
        case KubernetesSeen():
            yield from (_node(item) for item in value.nodes)
            yield from ("pod terminating" for item in value.pods if item.terminating)
            yield from (f"lease {'held' if holder else 'free'}" for _, holder in value.lease_holders)
        case tuple():
            yield from (_backend(item) for item in value if isinstance(item, BackendSeen))
        case _:
            return


def _instance(item: InstanceSeen) -> str:
    return f"foreign {item.state.value}" if item.cluster is None else item.state.value


def _member(item: MemberSeen, quorum_lost: bool) -> str:
    kind = "learner" if item.learner else "voter"
    words = ("healthy" if item.healthy else "unhealthy", "named" if item.name else "without a name")
    return " ".join((*(("quorum lost:",) if quorum_lost else ()), *words, kind))


def _node(item: NodeSeen) -> str:
    ready = {True: "ready", False: "not ready", None: "unknown"}[item.ready]
    waiting = (" waiting for add-ons",) if item.waiting_for_addons and item.ready is not True else ()
    return "".join((f"node {ready}", *waiting, " cordoned" if item.unschedulable else ""))


def _backend(item: BackendSeen) -> str:
    return f"{'up' if item.up else 'down'}{' draining' if item.draining else ''}"
