"""A Kubernetes CertificateSigningRequest as Risen's signer sees it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """One object. `request` is spec.request, decoded (PEM); `expiration_seconds` None where none is asked.
    `settled`: it has a certificate or condition Failed. Source: certificates.k8s.io/v1."""

    name: str
    uid: str
    signer: str
    request: bytes = field(repr=False)
    usages: tuple[str, ...]
    approved: bool
    denied: bool = False
    settled: bool = False
    expiration_seconds: int | None = None
