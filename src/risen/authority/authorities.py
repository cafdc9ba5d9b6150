"""The authorities of one cluster: five CAs and the secrets that its control plane shares.

No key of a CA ever leaves Risen: they lie sealed in the store. They are made in `founding`, from random bytes
that are given, so that equal bytes make equal authorities.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

CLUSTER, ETCD_PEER, ETCD_CLIENT, FRONT_PROXY, JOIN = (
    "cluster",
    "etcd-peer",
    "etcd-client",
    "front-proxy",
    "join",
)
NAMES = (CLUSTER, ETCD_PEER, ETCD_CLIENT, FRONT_PROXY, JOIN)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA: certificate and key, both PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authorities:
    """Everything secret that a cluster is founded on."""

    cluster: Authority
    etcd_peer: Authority
    etcd_client: Authority
    front_proxy: Authority
    join: Authority
    service_account_key: str = field(repr=False)
    """EC P-256, PEM (SEC 1): service-account tokens are signed with it (ES256)."""
    service_account_public: str
    encryption_key: str = field(repr=False)
    """32 bytes in base64: Secrets in etcd are sealed with it (secretbox)."""
    encryption_key_id: str
    ticket_key: str = field(repr=False)
    """32 bytes in base64: tickets are HMACs under it."""

    def named(self, name: str) -> Authority:
        """The authority of one of NAMES. Raises KeyError."""
        return {
            CLUSTER: self.cluster, ETCD_PEER: self.etcd_peer, ETCD_CLIENT: self.etcd_client,
            FRONT_PROXY: self.front_proxy, JOIN: self.join,
        }[name]  # fmt: skip

    @property
    def join_digest(self) -> str:
        """SHA-256 (hex) of the join authority's PEM bytes: what user data carries."""
        return hashlib.sha256(self.join.certificate.encode()).hexdigest()

    @property
    def ticket_secret(self) -> bytes:
        """The ticket key's bytes."""
        return base64.b64decode(self.ticket_key)
