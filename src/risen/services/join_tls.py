"""TLS of the join service: a certificate of the join authority, renewed by itself while the service runs.

The key never touches a disk. Making contexts is all this does: who may connect is decided elsewhere.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field

from risen.authority.authorities import Authorities
from risen.authority.identities import join_identity
from risen.authority.passes import Identity
from risen.interfaces.clock import Clock
from risen.interfaces.entropy import Entropy

LIFE_DAYS = 30.0
RENEW_DAYS = 10.0
"""A handshake within this time of the certificate's end makes a new one."""


@dataclass(slots=True)
class JoinTls:
    """`context` is handed to the listening site; at each handshake it looks whether renewal is due."""

    authorities: Authorities = field(repr=False)
    addresses: tuple[str, ...]
    clock: Clock
    entropy: Entropy
    _current: ssl.SSLContext | None = None
    _ends_unix: float = 0.0

    def context(self) -> ssl.SSLContext:
        """A server context. TLS 1.3 only: both ends are ours."""
        context = self._fresh()
        context.sni_callback = self._at_handshake
        return context

    def _at_handshake(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if self.clock.unix() > self._ends_unix - RENEW_DAYS * 86400:
            self._fresh()
        if self._current is not None:
            connection.context = self._current

    def _fresh(self) -> ssl.SSLContext:
        identity = join_identity(
            self.authorities, self.addresses, LIFE_DAYS, self.clock.unix(), self.entropy.token
        )
        self._current, self._ends_unix = server_context(identity), identity.ends_unix
        return self._current


def server_context(identity: Identity) -> ssl.SSLContext:
    """A TLS 1.3 server context of an identity, by way of memory only (Linux)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    descriptor = os.memfd_create("risen-join", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, (identity.certificate + identity.key).encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context
