"""Who may join: `decide(record, request, now, context) -> Grant | Later | Refusal`.

Invariants: (1) a ticket serves one set of keys only; (2) what an instance gets follows from its birth record,
the provider's word on its address and etcd's word on its member, never from what it says of itself; (3) shared
secrets are never given for a name whose etcd member has started; (4) etcd is founded once.

This file writes nothing: `Grant` and `Later` carry the key hash that must be bound before they are answered.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from risen.authority.binding import Binding, EtcdStart
from risen.authority.certificates import BadRequest, PublicKey, key_bytes, purposes_of, read_csr
from risen.authority.tickets import expires_unix, is_genuine
from risen.core.events import ALREADY_STARTED, EXPIRED_TICKET, SECOND_KEY, WRONG_ADDRESS
from risen.core.names import ClusterUid, InstanceName, ProviderId, Role
from risen.core.picture import EtcdSeen, MemberSeen
from risen.core.step import Birth, Bootstrap

PEER_PORT = 2380
NEW, EXISTING = "new", "existing"


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What came in: `csrs` maps purpose to PEM; `source` is the address it came from."""

    instance: InstanceName
    ticket: str = field(repr=False)
    csrs: Mapping[str, bytes]
    source: str


@dataclass(frozen=True, slots=True)
class InstanceAt:
    """The provider's word on one instance."""

    provider_id: ProviderId
    address: str | None
    launched_unix: float | None = None


@dataclass(frozen=True, slots=True)
class JoinContext:
    """What is known at the moment of deciding. `at` is None while the provider does not show the instance,
    `etcd` is None while members cannot be seen; `bootstrap` is the newest one."""

    cluster: ClusterUid
    ticket_key: bytes = field(repr=False)
    at: InstanceAt | None
    binding: Binding | None
    bootstrap: Bootstrap | None = None
    etcd_cluster_id: str = ""
    etcd: EtcdSeen | None = None
    purposes: tuple[str, ...] = ()
    """Certificates that the instance's release wants, which may be fewer than its role has by now; empty for all
    of its role."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Yes. `keys` must be bound; `etcd` is how its member starts (control plane only)."""

    keys: str
    public_keys: Mapping[str, PublicKey]
    etcd: EtcdStart | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """Not yet. `keys` must be bound before answering, unless it is empty."""

    reason: str
    keys: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Never. `alarm` is an alarm kind or empty; `condemns`: the instance is lost, not only this request."""

    reason: str
    alarm: str = ""
    condemns: bool = False


NOT_A_TICKET = Refusal("this is not a ticket of this instance")
"""Said alike for an unknown name and a wrong ticket: it tells nothing about which names exist."""


def decide(
    record: Birth | None, request: JoinRequest, now_unix: float, context: JoinContext
) -> Grant | Later | Refusal:
    """Whether `request` is granted. `record` is the birth record of the name it gives, or None."""
    if record is None or not is_genuine(request.ticket, context.ticket_key, context.cluster, record):
        return NOT_A_TICKET
    refused = _standing(record, request, now_unix, context)
    if refused is not None:
        return refused
    try:
        keys = _keys_asked(record, request, context.purposes)
    except BadRequest as error:
        return Refusal(str(error))
    bound = keys_hash(keys)
    if context.binding is not None and not hmac.compare_digest(context.binding.keys, bound):
        return Refusal("the ticket was used before with other keys", SECOND_KEY, condemns=True)
    if record.role is Role.WORKER:
        return Grant(bound, keys)
    start = _etcd_start(record, request.source, context)
    match start:
        case EtcdStart():
            return Grant(bound, keys, start)
        case Later(reason=reason):
            return Later(reason, bound)
        case Refusal():
            return start


def keys_hash(keys: Mapping[str, PublicKey]) -> str:
    """SHA-256 over the public keys in the order of their purposes' names."""
    digest = hashlib.sha256()
    for purpose in sorted(keys):
        der = key_bytes(keys[purpose])
        digest.update(f"{purpose} {len(der)}\n".encode() + der)
    return digest.hexdigest()


def peer_url(address: str) -> str:
    """The peer URL of the member on an instance."""
    return f"https://{address}:{PEER_PORT}"


def _standing(
    record: Birth, request: JoinRequest, now_unix: float, context: JoinContext
) -> Later | Refusal | None:
    """What stands against a genuine ticket before its keys are looked at."""
    binding, at = context.binding, context.at
    if binding is not None and binding.condemned:
        return Refusal(f"this instance is condemned: {binding.condemned}")
    if now_unix >= expires_unix(record, at.launched_unix if at is not None else None):
        return Refusal("the ticket has expired", EXPIRED_TICKET)
    if at is None:
        return Later("the provider does not show this instance yet")
    if at.address is None:
        return Later("the provider does not report an address for this instance yet")
    if at.address != request.source:
        return Refusal(
            f"the request came from {request.source}, the provider reports {at.address}", WRONG_ADDRESS
        )
    return None


def _keys_asked(record: Birth, request: JoinRequest, purposes: tuple[str, ...]) -> dict[str, PublicKey]:
    """The public key per purpose. Raises BadRequest when the purposes are not exactly its release's."""
    known = {purpose.name for purpose in purposes_of(record.role)}
    if not known:
        raise BadRequest(f"instances of role {record.role} do not join")
    wanted = set(purposes) or known
    if wanted - known:
        raise BadRequest(f"no {record.role} is certified for {', '.join(sorted(wanted - known))} here")
    missing, extra = sorted(wanted - set(request.csrs)), sorted(set(request.csrs) - wanted)
    if missing or extra:
        raise BadRequest(
            f"a {record.role} asks for exactly its own certificates; missing: {', '.join(missing) or 'none'}; "
            f"not its own: {', '.join(extra) or 'none'}"
        )
    keys: dict[str, PublicKey] = {}
    for purpose in sorted(wanted):
        try:
            keys[purpose] = read_csr(request.csrs[purpose])
        except BadRequest as error:
            raise BadRequest(f"{purpose}: {error}") from error
    if len({key_bytes(key) for key in keys.values()}) != len(keys):
        raise BadRequest("each certificate needs a key of its own")
    return keys


def _etcd_start(record: Birth, address: str, context: JoinContext) -> EtcdStart | Later | Refusal:
    """How the member of a control-plane instance starts, if it may."""
    members = context.etcd.members if context.etcd is not None else ()
    if any(member.name == record.instance for member in members):
        return Refusal("etcd has a started member of this name already", ALREADY_STARTED)
    founder = context.bootstrap is not None and context.bootstrap.founder == record.instance
    if founder and not context.etcd_cluster_id:
        return EtcdStart(NEW, ((record.instance, peer_url(address)),))
    if context.etcd is None:
        return Later("etcd cannot be seen")
    if context.etcd.quorum_lost:
        return Later("etcd has lost its quorum")
    return _existing(record, address, members)


def _existing(record: Birth, address: str, members: tuple[MemberSeen, ...]) -> EtcdStart | Later:
    """Join as the learner that `member add` made: found by peer URL, it has no name before it starts."""
    own = peer_url(address)
    named: dict[str, str] = {}
    found = False
    for member in members:
        if member.peer_url == own:
            if member.name:
                return Later(f"its peer URL still belongs to member {member.name}")
            named[record.instance] = own
            found = True
        elif not member.name:
            return Later(f"another member ({member.peer_url}) has not started yet")
        else:
            named[member.name] = member.peer_url
    if not found:
        return Later("not a member of etcd yet")
    return EtcdStart(EXISTING, tuple(sorted(named.items())))
