"""Short-lived identities that Risen makes for itself and for people: hours, never on an instance.

`system:masters` appears in one certificate only, Risen's own at the API, which lives for at most twelve hours, in
memory or sealed (`passes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from cryptography.x509.oid import ExtendedKeyUsageOID

from risen.authority.authorities import (
    CLUSTER,
    ETCD_CLIENT,
    JOIN,
    Authorities,
)
from risen.authority.certificates import Leaf, general_name, sign_leaf
from risen.authority.keys import Token, key_pem, new_key
from risen.authority.passes import Identity
from risen.authority.windows import EARLY_START, Window


@dataclass(frozen=True, slots=True)
class _Kind:
    authority: str
    common_name: str
    organization: str
    max_hours: float


class IdentityKind(Enum):
    """Who is identified. ADMIN: a person's kubeconfig (bound to rights by an add-on). CONTROLLER: the engine
    at the API. ETCD: the engine at etcd."""

    ADMIN = _Kind(CLUSTER, "risen:admin", "risen:admins", 168.0)
    CONTROLLER = _Kind(CLUSTER, "risen:controller", "system:masters", 12.0)
    ETCD = _Kind(ETCD_CLIENT, "risen:controller", "", 12.0)


def short_lived(
    authorities: Authorities, kind: IdentityKind, hours: float, now_unix: float, token: Token
) -> Identity:
    """A client identity for some hours. Raises ValueError when that is more than its kind may have."""
    about = kind.value
    if not 0 < hours <= about.max_hours:
        raise ValueError(f"{kind.name} lives at most {about.max_hours:g} hours, not {hours:g}")
    organizations = (about.organization,) if about.organization else ()
    leaf = Leaf(about.common_name, organizations, (ExtendedKeyUsageOID.CLIENT_AUTH,))
    return _identity(authorities, about.authority, leaf, _window(now_unix, timedelta(hours=hours)), token)


def join_identity(
    authorities: Authorities, addresses: tuple[str, ...], days: float, now_unix: float, token: Token
) -> Identity:
    """The join service's own certificate, for the names and addresses it is called by."""
    leaf = Leaf(
        "risen:join",
        (),
        (ExtendedKeyUsageOID.SERVER_AUTH,),
        tuple(general_name(text) for text in addresses),
    )
    return _identity(authorities, JOIN, leaf, _window(now_unix, timedelta(days=days)), token)


def _window(now_unix: float, life: timedelta) -> Window:
    now = datetime.fromtimestamp(int(now_unix), UTC)
    return Window(now - EARLY_START, now + life)


def _identity(authorities: Authorities, authority: str, leaf: Leaf, window: Window, token: Token) -> Identity:
    key = new_key(token)
    signer = authorities.named(authority)
    certificate = sign_leaf(leaf, key.public_key(), signer, window)
    return Identity(certificate, key_pem(key), signer.certificate, window.end.timestamp())
