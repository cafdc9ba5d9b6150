"""What lies in the store: its keys, and values to bytes and back.

Every object is JSON `{"schema": N, "kind": KIND, "value": {...}}`. Bytes of a newer schema raise TooNew (look,
never lead), bytes that make no sense raise Corrupt; both name the key. This file knows no store: it only
names keys and turns values into bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from risen.core.events import EVENT_TYPES, Event
from risen.core.history import Intent, KillIntent, LiftIntent, ReplaceIntent, RolloutIntent, ScaleIntent
from risen.core.names import ClusterUid, InstanceName, ReleaseId
from risen.core.spec import Revision
from risen.interfaces.errors import Corrupt, TooNew

SCHEMA = 2
"""The newest schema that this program writes and understands."""

CLUSTER = "cluster"
SPEC = "spec/current"
AUTHORITIES = "authorities"
REGISTRIES = "registries"
"""Sealed, like the authorities."""
ETCD_CLUSTER_ID = "etcd/cluster-id"
ETCD_REVISION = "etcd/revision"
WRITABLE = "writable"
EVENTS = "events"
"""A stream, not an object."""
REVISIONS = "revisions/"
BIRTHS = "births/"
BOOTSTRAPS = "bootstrap/"
INTENTS = "intents/"
JOINS = "joins/"
ADDONS = "addons/"
RELEASES = "releases/"


def revision_key(number: int) -> str:
    """`revisions/NNNNNNNN`: padded, so that keys sort as numbers do."""
    return f"{REVISIONS}{number:08d}"


def birth_key(instance: InstanceName) -> str:
    """`births/NAME`."""
    return f"{BIRTHS}{instance}"


def bootstrap_key(generation: int) -> str:
    """`bootstrap/NNNNNNNN`."""
    return f"{BOOTSTRAPS}{generation:08d}"


def addon_key(digest: str) -> str:
    """`addons/DIGEST`: one manifest of a revision's add-ons."""
    return f"{ADDONS}{digest}"


def release_key(release: ReleaseId) -> str:
    """`releases/r-HEX12`: create-only."""
    return f"{RELEASES}{release}"


def intent_key(intent: str) -> str:
    """`intents/ID`."""
    return f"{INTENTS}{intent}"


def join_key(instance: InstanceName) -> str:
    """`joins/NAME`: what the ticket of an instance is bound to."""
    return f"{JOINS}{instance}"


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """The object `cluster`: made once per store, create-only."""

    uid: ClusterUid
    name: str
    created_unix: float


@dataclass(frozen=True, slots=True)
class EtcdClusterId:
    """The object `etcd/cluster-id`: decimal text, as etcd's gateway gives it."""

    cluster_id: str


@dataclass(frozen=True, slots=True)
class EtcdRevision:
    """The object `etcd/revision`: the highest revision that was ever seen, and when. etcd is never behind it."""

    revision: int
    unix: float


@dataclass(frozen=True, slots=True)
class Writable:
    """The object `writable`: when whoever leads last proved that the store takes writes. Nobody reads it."""

    unix: float


@dataclass(frozen=True, slots=True)
class AddonManifest:
    """The object `addons/DIGEST`: what is applied, kept so that a newer Risen goes on with the same."""

    key: str
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RegistryAuths:
    """The object `registries`: `USER:PASSWORD` in base64 by image registry. Those that are no longer wanted stay:
    an older release may be gone back to."""

    auths: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A file outside the store: the revision that `apply FILE` writes, for one cluster only. `stood_on` is
    `foundation` of the newest revision when it was made, `grounds` what of the cluster it was made for, in lines. It
    holds no secret."""

    cluster: ClusterUid
    name: str
    revision: Revision
    stood_on: str
    grounds: tuple[str, ...]
    by: str
    made_unix: float


KINDS: Mapping[str, str] = MappingProxyType(
    {
        "risen.codec.records:ClusterRecord": "cluster",
        "risen.codec.records:PlanFile": "plan",
        "risen.core.spec:ClusterSpec": "spec",
        "risen.core.spec:Revision": "revision",
        "risen.instance.release:Release": "release",
        "risen.core.step:Birth": "birth",
        "risen.core.step:Bootstrap": "bootstrap",
        "risen.core.history:KillIntent": "kill-intent",
        "risen.core.history:ReplaceIntent": "replace-intent",
        "risen.core.history:RolloutIntent": "rollout-intent",
        "risen.core.history:ScaleIntent": "scale-intent",
        "risen.core.history:LiftIntent": "lift-intent",
        "risen.codec.records:EtcdClusterId": "etcd-cluster-id",
        "risen.codec.records:EtcdRevision": "etcd-revision",
        "risen.codec.records:RegistryAuths": "registry-auths",
        "risen.codec.records:Writable": "writable",
        "risen.codec.records:AddonManifest": "addon-manifest",
        "risen.authority.binding:Binding": "join-binding",
        "risen.authority.authorities:Authorities": "authorities",
        "risen.authority.passes:Passes": "passes",
        **{f"{kind.__module__}:{kind.__name__}": kind.__name__ for kind in EVENT_TYPES},
    }
)
"""By the place of a type, so that who reads one kind need not import what the others are made of."""
_INTENTS: Mapping[str, type] = MappingProxyType(
    {
        "kill-intent": KillIntent,
        "replace-intent": ReplaceIntent,
        "rollout-intent": RolloutIntent,
        "scale-intent": ScaleIntent,
        "lift-intent": LiftIntent,
    }
)
_EVENTS: Mapping[str, type] = MappingProxyType({kind.__name__: kind for kind in EVENT_TYPES})

T = TypeVar("T")


class _Envelope(msgspec.Struct):
    schema: int
    kind: str
    value: msgspec.Raw


def encode(value: object) -> bytes:
    """The bytes of a value of one of the kinds above. Equal values give equal bytes. KeyError: unknown kind."""
    kind = _kind_of(type(value))
    encoder = msgspec.json.Encoder(order="sorted")
    return encoder.encode({"schema": SCHEMA, "kind": kind, "value": value})


def foundation(revision: Revision) -> str:
    """SHA-256 in hex of what a plan stands on: number, spec, releases, add-ons and lock, whoever applied them."""
    return hashlib.sha256(encode(replace(revision, by="", reason="", applied_unix=0.0))).hexdigest()


def decode(data: bytes, kind: type[T], key: str) -> T:
    """The value in an object. `key` is named in errors: Corrupt, TooNew."""
    envelope = _open(data, key)
    wanted = _kind_of(kind)
    if envelope.kind != wanted:
        raise Corrupt(f"{key}: holds a {envelope.kind!r} where a {wanted!r} belongs")
    value: T = _value(envelope, kind, key)
    return value


def decode_event(data: bytes, seq: int) -> Event:
    """The event in record `seq` of the stream. Raises Corrupt, TooNew (also for a kind not known here)."""
    key = f"{EVENTS}#{seq}"
    envelope = _open(data, key)
    if envelope.kind not in _EVENTS:
        raise TooNew(f"{key}: no event is called {envelope.kind!r} here: a newer Risen wrote it")
    event: Event = _value(envelope, _EVENTS[envelope.kind], key)
    return event


def decode_intent(data: bytes, key: str) -> Intent:
    """What a person asked for. Raises Corrupt, TooNew (also for a kind not known here)."""
    envelope = _open(data, key)
    if envelope.kind not in _INTENTS:
        raise TooNew(f"{key}: no intent is called {envelope.kind!r} here: a newer Risen wrote it")
    intent: Intent = _value(envelope, _INTENTS[envelope.kind], key)
    return intent


def _kind_of(kind: type) -> str:
    return KINDS[f"{kind.__module__}:{kind.__qualname__}"]


def _open(data: bytes, key: str) -> _Envelope:
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
    except msgspec.DecodeError as error:
        raise Corrupt(f"{key}: not a record of Risen: {error}") from error
    if envelope.schema > SCHEMA:
        raise TooNew(
            f"{key}: written by a newer Risen (schema {envelope.schema}, this one knows {SCHEMA}); "
            "use that version or a newer one"
        )
    return envelope


def _value(envelope: _Envelope, kind: type[Any], key: str) -> Any:
    try:
        return msgspec.json.decode(envelope.value, type=kind)
    except msgspec.DecodeError as error:
        raise Corrupt(f"{key}: {envelope.kind} cannot be read: {error}") from error
