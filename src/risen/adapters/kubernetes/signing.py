"""Implements `interfaces.signing.SigningRequests` over the API. Decides nothing about who gets a certificate.

Source: KEP-1513; certificates.k8s.io/v1.
"""

from __future__ import annotations

import base64
import datetime
from typing import Any

from risen.adapters.kubernetes.api import MERGE_PATCH, Api, Listing
from risen.adapters.kubernetes.wire import Metadata, Struct
from risen.core.signing import SigningRequest
from risen.interfaces.errors import Conflict

PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SIGNER = "kubernetes.io/kube-apiserver-client"
FAILED_REASON = "SignerValidationFailure"


class Spec(Struct, frozen=True):
    """Of a request; `request` is PEM, base64 on the wire."""

    request: bytes = b""
    signer_name: str = ""
    usages: tuple[str, ...] = ()
    expiration_seconds: int | None = None


class RequestStatus(Struct, frozen=True):
    """Conditions stay whole: they are sent back as they came."""

    conditions: tuple[dict[str, Any], ...] = ()
    certificate: bytes = b""


class Csr(Struct, frozen=True):
    """`certificates.k8s.io/v1/CertificateSigningRequest`."""

    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: RequestStatus = RequestStatus()


class SigningClient:
    """Shares the connections of a `KubernetesClient`; made by it."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def pending(self) -> tuple[SigningRequest, ...]:
        """See `SigningRequests.pending`."""
        listing = Listing(PATH, Csr, signing_request, {"fieldSelector": f"spec.signerName={SIGNER}"})
        found, _ = await self._api.list_all(listing)
        return tuple(one for one in found if one.approved and not one.denied and not one.settled)

    async def sign(self, name: str, uid: str, certificate: str) -> None:
        """See `SigningRequests.sign`. Conflict also when it was settled meanwhile."""
        seen = await self._unsettled(name, uid)
        encoded = base64.b64encode(certificate.encode()).decode()
        await self._write_status(seen, {"certificate": encoded})

    async def fail(self, name: str, uid: str, message: str) -> None:
        """See `SigningRequests.fail`. Conflict also when it was settled meanwhile."""
        seen = await self._unsettled(name, uid)
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        failed = {
            "type": "Failed",
            "status": "True",
            "reason": FAILED_REASON,
            "message": message,
            "lastUpdateTime": now,
        }
        await self._write_status(seen, {"conditions": [*seen.status.conditions, failed]})

    async def _unsettled(self, name: str, uid: str) -> Csr:
        seen = await self._api.get(f"{PATH}/{name}", Csr)
        if seen.metadata.uid != uid:
            raise Conflict(f"signing request {name} has uid {seen.metadata.uid}, not {uid}")
        if signing_request(seen).settled:
            raise Conflict(f"signing request {name} is settled already")
        return seen

    async def _write_status(self, seen: Csr, status: dict[str, object]) -> None:
        body = {"metadata": {"resourceVersion": seen.metadata.resource_version}, "status": status}
        await self._api.write("PATCH", f"{PATH}/{seen.metadata.name}/status", body, content=MERGE_PATCH)


def signing_request(csr: Csr) -> SigningRequest:
    """An object as the signer sees it."""
    said = {str(item.get("type")) for item in csr.status.conditions if item.get("status") == "True"}
    return SigningRequest(
        name=csr.metadata.name,
        uid=csr.metadata.uid,
        signer=csr.spec.signer_name,
        request=csr.spec.request,
        usages=csr.spec.usages,
        approved="Approved" in said,
        denied="Denied" in said,
        settled=bool(csr.status.certificate) or "Failed" in said,
        expiration_seconds=csr.spec.expiration_seconds,
    )
