"""Whether what is read shows what was written before: which writes must come to be seen, where, and how.

Pure. A write counts once it was answered ok, for reads that began after that, until a read shows it or another
write to the same thing replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from risen.core.picture import InstanceState
from risen.interfaces.answers import ORDER, Answer

READS = frozenset({"provider.list", "endpoint.list", "etcd.observe", "kubernetes.observe"})


@dataclass(frozen=True, slots=True)
class Effect:
    """What a write must come to show. `subject` is what it wrote to."""

    write: str
    subject: str
    shown: Callable[[Any], bool]

    def seen_in(self, read: str, value: object) -> tuple[Answer, bool]:
        """What a read says of it, and whether it is shown."""
        shown = self.shown(value)
        return Answer(read, ORDER, f"{self.write} {'shown' if shown else 'not shown yet'}"), shown


Arguments = Mapping[str, Any]


def effect_of(operation: str, arguments: Arguments, value: object) -> Effect:
    """The effect of one of `WRITES` that was answered `value`."""
    return _EFFECTS[operation](arguments, value)


def _launch(asked: Arguments, value: object) -> Effect:
    return Effect("launch", asked["request"].instance, lambda seen: _lists(seen, value))


def _destroy(asked: Arguments, value: object) -> Effect:
    wanted = asked["provider_id"]
    return Effect("destroy", wanted, lambda seen: not _lists(seen, wanted))


def _power_on(asked: Arguments, value: object) -> Effect:
    wanted = asked["provider_id"]
    return Effect(
        "power_on",
        wanted,
        lambda seen: _lists(seen, wanted) and not _lists(seen, wanted, InstanceState.STOPPED),
    )


def _lists(seen: Any, provider_id: object, state: InstanceState | None = None) -> bool:
    return any(item.provider_id == provider_id and state in (None, item.state) for item in seen.instances)


def _backend(asked: Arguments, value: object, write: str, wanted: bool | None) -> Effect:
    """`wanted`: draining or not; None for no backend at all."""
    name = asked["instance"]

    def shown(seen: Any) -> bool:
        draining = [item.draining for item in seen if item.name == name]
        return draining == ([] if wanted is None else [wanted])

    return Effect(write, name, shown)


def _learner(asked: Arguments, value: object) -> Effect:
    return Effect("add_learner", str(value), lambda seen: bool(_members(seen, value)))


def _promote(asked: Arguments, value: object) -> Effect:
    wanted = asked["member"]
    return Effect("promote", wanted, lambda seen: any(not item.learner for item in _members(seen, wanted)))


def _removed(asked: Arguments, value: object) -> Effect:
    wanted = asked["member"]
    return Effect("remove", wanted, lambda seen: not _members(seen, wanted))


def _leads(asked: Arguments, value: object) -> Effect:
    wanted = asked["to"]
    return Effect("move_leader", "leader", lambda seen: any(item.leader for item in _members(seen, wanted)))


def _unleased(asked: Arguments, value: object) -> Effect:
    address = asked["address"]
    return Effect("remove_endpoint_lease", address, lambda seen: address not in seen.endpoint_leases)


def _members(seen: Any, member: object) -> list[Any]:
    return [item for item in seen.members if item.id == member]


def _node(asked: Arguments, value: object, write: str, shown: Callable[[Any, Arguments], bool]) -> Effect:
    def all_shown(seen: Any) -> bool:
        return all(shown(node, asked) for node in seen.nodes if node.uid == asked["uid"])

    return Effect(write, f"{write} {asked['uid']}", all_shown)


def _gone(asked: Arguments, value: object, write: str) -> Effect:
    uid = asked["uid"]
    return Effect(
        write, f"{write} {uid}", lambda seen: all(item.uid != uid for item in (*seen.nodes, *seen.pods))
    )


def _cordoned(asked: Arguments, value: object) -> Effect:
    on = asked.get("on", True)

    def shown(seen: Any) -> bool:
        return all(node.unschedulable == on for node in seen.nodes if node.uid == asked["uid"])

    return Effect("cordon" if on else "uncordon", f"cordon {asked['uid']}", shown)


def _marked(node: Any, asked: Arguments) -> bool:
    return set(asked["labels"].items()) <= set(node.labels) and set(asked["taints"]) <= set(node.taints)


def _released(asked: Arguments, value: object) -> Effect:
    was = (asked["lease"], asked["holder"])
    return Effect("release_lease", asked["lease"], lambda seen: was not in seen.lease_holders)


def _applied(asked: Arguments, value: object) -> Effect:
    metadata = asked["manifest"]["metadata"]
    wanted = (
        metadata.get("namespace", ""),
        metadata["name"],
        metadata.get("annotations", {}).get("risen.dev/digest"),
    )

    def shown(seen: Any) -> bool:
        return any((*key.rsplit("/", 2)[1:], digest) == wanted for key, digest in seen.addons)

    return Effect("apply", f"{wanted}", shown)


_EFFECTS: Mapping[str, Callable[[Arguments, object], Effect]] = MappingProxyType(
    {
        "provider.launch": _launch,
        "provider.destroy": _destroy,
        "provider.power_on": _power_on,
        "endpoint.add": lambda asked, value: _backend(asked, value, "add", wanted=False),
        "endpoint.drain": lambda asked, value: _backend(asked, value, "drain", wanted=True),
        "endpoint.remove": lambda asked, value: _backend(asked, value, "remove", wanted=None),
        "etcd.add_learner": _learner,
        "etcd.promote": _promote,
        "etcd.remove": _removed,
        "etcd.move_leader": _leads,
        "etcd.remove_endpoint_lease": _unleased,
        "kubernetes.apply": _applied,
        "kubernetes.patch_node": lambda asked, value: _node(asked, value, "patch_node", _marked),
        "kubernetes.cordon": _cordoned,
        "kubernetes.delete_node": lambda asked, value: _gone(asked, value, "delete_node"),
        "kubernetes.free_pod": lambda asked, value: _gone(asked, value, "free_pod"),
        "kubernetes.release_lease": _released,
    }
)
WRITES = frozenset(_EFFECTS)
"""Without those that show nowhere, or only later by contract: power buttons, evictions, taints of the fenced."""
