"""Signing requests in a real API server: only approved ones of our signer, settled once."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes_objects import raw, write
from servers import ApiServer

from risen.adapters.answer_file import noted
from risen.adapters.kubernetes import KubernetesClient
from risen.adapters.kubernetes.api import Api, Credentials
from risen.interfaces.errors import Conflict, NotFound
from risen.interfaces.kubernetes import Kubernetes
from risen.interfaces.signing import SigningRequests

pytestmark = pytest.mark.root

PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def request_pem() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")])
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


PEM = request_pem()


@pytest.fixture
async def api(real_api: ApiServer) -> AsyncIterator[Api]:
    opened = Api(Credentials(real_api.url, real_api.admin))
    yield opened
    await opened.close()


@pytest.fixture
async def signing(real_api: ApiServer) -> AsyncIterator[SigningRequests]:
    client = noted(KubernetesClient(Credentials(real_api.url, real_api.admin)), Kubernetes)
    yield client.signing
    await client.close()


async def ask(api: Api, name: str, verdict: str, signer: str = "kubernetes.io/kube-apiserver-client") -> str:
    """A request with a condition; its uid."""
    spec: Mapping[str, object] = {
        "request": base64.b64encode(PEM).decode(),
        "signerName": signer,
        "usages": ["client auth"],
        "expirationSeconds": 3600,
    }
    uid = await write(api, PATH, {"metadata": {"name": name}, "spec": spec})
    if verdict:
        condition = {"type": verdict, "status": "True", "reason": "Test"}
        body = {"status": {"conditions": [condition]}}
        await api.write("PATCH", f"{PATH}/{name}/approval", body, content="application/merge-patch+json")
    return uid


async def test_only_approved_requests_of_our_signer_are_pending(api: Api, signing: SigningRequests) -> None:
    uid = await ask(api, "approved", "Approved")
    await ask(api, "denied", "Denied")
    await ask(api, "waiting", "")
    await ask(api, "other-signer", "Approved", signer="example.com/other")
    (found,) = await signing.pending()
    assert (found.name, found.uid, found.request) == ("approved", uid, PEM)
    assert (found.usages, found.expiration_seconds) == (("client auth",), 3600)


async def test_a_signed_request_carries_the_certificate_and_is_settled_once(
    api: Api, signing: SigningRequests, real_api: ApiServer
) -> None:
    uid = await ask(api, "signed", "Approved")
    certificate = real_api.authority.identity("jane").certificate.decode()
    with pytest.raises(Conflict):
        await signing.sign("signed", "other-uid", certificate)
    await signing.sign("signed", uid, certificate)
    status = (await raw(api, f"{PATH}/signed"))["status"]
    assert base64.b64decode(status["certificate"]).decode() == certificate  # type: ignore[index]
    with pytest.raises(Conflict, match="settled"):
        await signing.sign("signed", uid, certificate)
    assert "signed" not in {one.name for one in await signing.pending()}


async def test_a_failed_request_keeps_its_approval_and_is_pending_no_more(
    api: Api, signing: SigningRequests
) -> None:
    uid = await ask(api, "failed", "Approved")
    await signing.fail("failed", uid, "no such user")
    status = (await raw(api, f"{PATH}/failed"))["status"]
    said = {item["type"]: item.get("message", "") for item in status["conditions"]}  # type: ignore[index]
    assert said == {"Approved": "", "Failed": "no such user"}
    assert "failed" not in {one.name for one in await signing.pending()}


async def test_a_request_that_is_gone_is_not_found(signing: SigningRequests) -> None:
    with pytest.raises(NotFound):
        await signing.sign("gone", "uid", "x")
