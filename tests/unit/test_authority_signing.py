"""Kubernetes' CertificateSigningRequests: what is signed, what is refused, and the rounds of the signer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from join_world import AUTHORITIES, NOW, HandClock, openssl

from risen.authority.signing import NotOurs, Refused, Signed, decide_signing, sign_request
from risen.core.signing import SigningRequest
from risen.interfaces.errors import Conflict, Unreachable
from risen.services.signer import Signer


def csr(subject: str) -> bytes:
    with TemporaryDirectory(prefix="csr-") as folder:
        key = f"{folder}/key"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        return openssl(
            "req", "-new", "-key", key, "-subj", subject, "-addext", "subjectAltName=DNS:api.example.net"
        )


def asked(subject: str = "/O=team-a/O=team-b/CN=jane") -> SigningRequest:
    return SigningRequest(
        name="jane",
        uid="u-1",
        signer="kubernetes.io/kube-apiserver-client",
        request=csr(subject),
        usages=("client auth", "digital signature", "key encipherment"),
        approved=True,
        expiration_seconds=3600,
    )


def test_an_approved_request_is_signed_for_client_use_and_the_time_it_asks() -> None:
    signed = decide_signing(asked())
    assert isinstance(signed, Signed)
    pem = sign_request(signed, AUTHORITIES.cluster, NOW)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    assert [one.value for one in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == [
        "team-a",
        "team-b",
    ]
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "jane"
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() == 3900
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    certificate.verify_directly_issued_by(
        x509.load_pem_x509_certificate(AUTHORITIES.cluster.certificate.encode())
    )


@pytest.mark.parametrize(
    "subject",
    [
        "/O=system:masters/CN=jane",
        "/O=team-a/O=system:masters/CN=jane",
        "/O=system:nodes/CN=system:node:worker-x",
        "/CN=system:kube-controller-manager",
        "/CN=risen:controller",
        "/O=risen:admins/CN=jane",
    ],
)
def test_nobody_becomes_a_part_of_the_cluster_by_a_signing_request(subject: str) -> None:
    verdict = decide_signing(asked(subject))
    assert isinstance(verdict, Refused) and "are not signed" in verdict.message


@pytest.mark.parametrize("subject", ["/O=team-a", "/CN=jane/CN=root"])
def test_a_subject_has_one_common_name(subject: str) -> None:
    assert decide_signing(asked(subject)) == Refused("the subject must have exactly one common name")


@pytest.mark.parametrize("usages", [(), ("digital signature",), ("client auth", "server auth"), ("any",)])
def test_other_usages_than_a_clients_are_refused(usages: tuple[str, ...]) -> None:
    assert isinstance(decide_signing(replace(asked(), usages=usages)), Refused)


def test_bytes_that_are_no_request_are_refused() -> None:
    assert isinstance(decide_signing(replace(asked(), request=b"x")), Refused)


@pytest.mark.parametrize(
    ("wanted", "given"), [(None, 604800), (600, 600), (1, 600), (10**9, 604800), (86400, 86400)]
)
def test_the_time_is_bounded(wanted: int | None, given: int) -> None:
    signed = decide_signing(replace(asked(), expiration_seconds=wanted))
    assert isinstance(signed, Signed) and signed.seconds == given


@pytest.mark.parametrize(
    "change",
    [{"approved": False}, {"denied": True}, {"settled": True}, {"signer": "example.com/other"}],
)
def test_what_is_not_approved_settled_or_anothers_is_left_alone(change: dict[str, bool]) -> None:
    assert decide_signing(replace(asked(), **change)) == NotOurs()


@dataclass
class Api:
    """Requests kept in a list; `failing` names those whose status cannot be written."""

    waiting: list[SigningRequest]
    failing: set[str] = field(default_factory=set)
    reachable: bool = True
    signed: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    async def pending(self) -> tuple[SigningRequest, ...]:
        if not self.reachable:
            raise Unreachable("no API")
        return tuple(one for one in self.waiting if one.name not in self.signed | self.failed)

    async def sign(self, name: str, uid: str, certificate: str) -> None:
        if name in self.failing:
            raise Conflict(name)
        self.signed[name] = certificate

    async def fail(self, name: str, uid: str, message: str) -> None:
        self.failed[name] = message


async def test_a_round_settles_each_and_one_that_conflicts_holds_up_none() -> None:
    good, bad = asked(), replace(asked("/O=system:masters/CN=x"), name="bad")
    api = Api([replace(good, name="stuck"), good, bad], failing={"stuck"})
    notes: list[str] = []
    await Signer(api, AUTHORITIES.cluster, HandClock(), notes.append).settle_all()
    assert set(api.signed) == {"jane"} and set(api.failed) == {"bad"}
    assert any("stuck" in note and "Conflict" in note for note in notes)


@dataclass
class QuickClock(HandClock):
    """Ends each wait at once."""

    rounds: int = 0

    async def sleep(self, seconds: float) -> None:
        self.rounds += 1
        await asyncio.sleep(0)


async def test_an_api_that_comes_back_is_served_and_its_absence_noted_once() -> None:
    api, notes, clock = Api([asked()], reachable=False), list[str](), QuickClock()
    running = asyncio.create_task(Signer(api, AUTHORITIES.cluster, clock, notes.append).run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert clock.rounds > 3 and len(notes) == 1
    api.reachable = True
    for _ in range(20):
        await asyncio.sleep(0)
    running.cancel()
    assert set(api.signed) == {"jane"}
