"""Client TLS contexts from PEM bytes. Key material never stays on a disk."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass, field

from risen.interfaces.errors import Invalid


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Who we are and whom we trust, all PEM. `authorities` may hold several certificates (rotation)."""

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes


def client_context(identity: TlsIdentity) -> ssl.SSLContext:
    """A context that proves this identity and accepts only servers signed by its authorities, name checked.

    Raises Invalid for PEM that is broken or a key that does not belong to the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=identity.authorities.decode("ascii"))
        _load_chain(context, identity)
    except (ssl.SSLError, ValueError) as error:
        raise Invalid(f"TLS identity cannot be used: {error}") from error
    return context


def _load_chain(context: ssl.SSLContext, identity: TlsIdentity) -> None:
    """`load_cert_chain` takes only paths: give it a memory file, or a private file deleted at once."""
    pem = identity.certificate + b"\n" + identity.key
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("risen-identity", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        return
    with tempfile.NamedTemporaryFile(prefix="risen-identity-") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
