"""The signer at a real API server: an approved request gets its certificate, a reserved name fails for good."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import AsyncIterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes_objects import raw, write
from servers import ApiServer

from risen.adapters.kubernetes.api import Api, Credentials
from risen.adapters.kubernetes.signing import SigningClient
from risen.authority.founding import make_authority
from risen.services.signer import Signer

pytestmark = pytest.mark.root

PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
AUTHORITY = make_authority("signer", "cluster", time.time(), os.urandom)


class WallClock:
    def unix(self) -> float:
        return time.time()

    def boot(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"one round does not wait, and this waits {seconds} s")


@pytest.fixture
async def api(real_api: ApiServer) -> AsyncIterator[Api]:
    opened = Api(Credentials(real_api.url, real_api.admin))
    yield opened
    await opened.close()


async def approved(api: Api, name: str, common_name: str) -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = request.public_bytes(serialization.Encoding.PEM)
    spec = {
        "request": base64.b64encode(pem).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["digital signature", "key encipherment", "client auth"],
        "expirationSeconds": 3600,
    }
    await write(api, PATH, {"metadata": {"name": name}, "spec": spec})
    body = {"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "Test"}]}}
    await api.write("PATCH", f"{PATH}/{name}/approval", body, content="application/merge-patch+json")


async def test_a_round_of_the_signer_settles_what_the_real_api_shows_as_approved(api: Api) -> None:
    await approved(api, "signer-jane", "jane")
    await approved(api, "signer-node", "system:node:worker-bcdfg")
    notes: list[str] = []
    await Signer(SigningClient(api), AUTHORITY, WallClock(), notes.append).settle_all()
    status = (await raw(api, f"{PATH}/signer-jane"))["status"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(status["certificate"]))  # type: ignore[index]
    assert certificate.subject.rfc4514_string() == "CN=jane"
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(AUTHORITY.certificate.encode()))
    refused = (await raw(api, f"{PATH}/signer-node"))["status"]
    conditions = {one["type"]: one.get("message", "") for one in refused["conditions"]}  # type: ignore[index]
    assert "are not signed" in conditions["Failed"] and "certificate" not in refused
    assert not [note for note in notes if "Conflict" in note or "Denied" in note]
