"""Kubernetes' CertificateSigningRequests: Risen signs them, because no instance holds a CA's key."""

from __future__ import annotations

from typing import Protocol

from risen.core.signing import SigningRequest


class SigningRequests(Protocol):
    """`pending` lists the requests of signer `kubernetes.io/kube-apiserver-client` that are approved and have
    neither certificate nor condition Failed. `sign` puts the certificate into status.certificate; `fail` adds
    condition Failed (reason `SignerValidationFailure`) with a message. Both name the uid and write the status
    subresource; NotFound when it is gone, Conflict when it changed or has another uid. All raise Unreachable,
    OutcomeUnknown, Denied. Source: KEP-1513.
    """

    async def pending(self) -> tuple[SigningRequest, ...]: ...
    async def sign(self, name: str, uid: str, certificate: str) -> None: ...
    async def fail(self, name: str, uid: str, message: str) -> None: ...
