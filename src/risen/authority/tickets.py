"""Tickets: proof that a request to join comes from an instance that this cluster launched.

A ticket is an HMAC over cluster, instance name and the nonce of the birth record, so that a retried launch is
byte-identical and nothing about a ticket has to be stored. It is good for minutes. It says nothing about who
holds it: `grant` binds it to keys and to an address.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from risen.core.names import ClusterUid
from risen.core.step import Birth

VALID_SECONDS = 15 * 60.0
_PREFIX = "rt1."


def make_ticket(key: bytes, cluster: ClusterUid, birth: Birth) -> str:
    """The ticket of an instance: 47 printable characters, equal for equal input. `key` is the ticket key."""
    parts = (b"risen-ticket", cluster.encode(), birth.instance.encode(), birth.nonce.encode())
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    digest = hmac.new(key, message, hashlib.sha256).digest()
    return _PREFIX + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_genuine(ticket: str, key: bytes, cluster: ClusterUid, birth: Birth) -> bool:
    """Whether this is the ticket of that birth; takes the same time for every wrong one."""
    return hmac.compare_digest(ticket.encode("utf-8", "replace"), make_ticket(key, cluster, birth).encode())


def expires_unix(birth: Birth, launched_unix: float | None) -> float:
    """When the ticket ends: minutes after the launch, or after the birth while no launch is on record."""
    return max(birth.born_unix, launched_unix or 0.0) + VALID_SECONDS
