"""Which of Kubernetes' CertificateSigningRequests Risen signs, and what it then certifies.

Only signer `kubernetes.io/kube-apiserver-client`, only what somebody with the right to approve has approved, only
client usage. Nobody becomes a part of the cluster this way: names and groups of `system:` and `risen:` are
refused (the API server's CertificateSubjectRestriction stops `system:masters` alone). SANs are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from risen.authority.authorities import Authority
from risen.authority.certificates import BadRequest, Leaf, PublicKey, read_csr, sign_leaf
from risen.authority.windows import Window
from risen.core.signing import SigningRequest

SIGNER = "kubernetes.io/kube-apiserver-client"
BACKDATE = timedelta(minutes=5)
"""As kube-controller-manager's own signer does."""
MIN_SECONDS, MAX_SECONDS = 600, 7 * 86400
_USAGES = frozenset({"client auth", "digital signature", "key encipherment"})
_OURS = ("system:", "risen:")


@dataclass(frozen=True, slots=True)
class Signed:
    """Sign it: for whom and how long."""

    common_name: str
    organization: tuple[str, ...]
    key: PublicKey
    seconds: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Mark it Failed, with this message."""

    message: str


@dataclass(frozen=True, slots=True)
class NotOurs:
    """Leave it alone: another signer's, not approved, denied, or settled."""


def decide_signing(request: SigningRequest) -> Signed | Refused | NotOurs:
    """What to do with a request."""
    if request.signer != SIGNER or not request.approved or request.denied or request.settled:
        return NotOurs()
    usages = set(request.usages)
    if "client auth" not in usages or usages - _USAGES:
        return Refused(f"usages must hold 'client auth' and be of: {', '.join(sorted(_USAGES))}")
    try:
        key = read_csr(request.request)
        subject = x509.load_pem_x509_csr(request.request).subject
    except (BadRequest, ValueError) as error:
        return Refused(str(error))
    names = _values(subject, NameOID.COMMON_NAME)
    groups = _values(subject, NameOID.ORGANIZATION_NAME)
    if len(names) != 1 or not names[0]:
        return Refused("the subject must have exactly one common name")
    reserved = [text for text in (*names, *groups) if text.startswith(_OURS)]
    if reserved:
        return Refused(f"{', '.join(reserved)}: names and groups of {' and '.join(_OURS)} are not signed")
    return Signed(names[0], groups, key, _bounded(request.expiration_seconds))


def sign_request(signed: Signed, authority: Authority, now_unix: float) -> str:
    """The certificate, PEM, under the cluster's authority."""
    now = datetime.fromtimestamp(int(now_unix), UTC)
    leaf = Leaf(signed.common_name, signed.organization, (ExtendedKeyUsageOID.CLIENT_AUTH,))
    window = Window(now - BACKDATE, now + timedelta(seconds=signed.seconds))
    return sign_leaf(leaf, signed.key, authority, window)


def _values(subject: x509.Name, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(one.value) for one in subject.get_attributes_for_oid(oid))


def _bounded(seconds: int | None) -> int:
    return MAX_SECONDS if seconds is None else max(MIN_SECONDS, min(seconds, MAX_SECONDS))
