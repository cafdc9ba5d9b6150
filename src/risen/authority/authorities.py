"""The authorities of one cluster: five CAs and the secrets that its control plane shares.

Keys come from random bytes that are given, so that equal bytes make equal authorities. No key of a CA ever
leaves Risen: they lie sealed in the store.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE_DAYS = 3650
CLUSTER, ETCD_PEER, ETCD_CLIENT, FRONT_PROXY, JOIN = (
    "cluster",
    "etcd-peer",
    "etcd-client",
    "front-proxy",
    "join",
)
NAMES = (CLUSTER, ETCD_PEER, ETCD_CLIENT, FRONT_PROXY, JOIN)
EARLY_START = timedelta(hours=1)
"""Certificates start this much before they are made: clocks differ."""

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Token = Callable[[int], bytes]
"""Gives that many random bytes (`Entropy.token`)."""


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


def make_authorities(cluster_name: str, now_unix: float, token: Token) -> Authorities:
    """New authorities, ten years from now."""
    made = {name: make_authority(cluster_name, name, now_unix, token) for name in NAMES}
    account = new_key(token)
    encryption = token(32)
    return Authorities(
        cluster=made[CLUSTER],
        etcd_peer=made[ETCD_PEER],
        etcd_client=made[ETCD_CLIENT],
        front_proxy=made[FRONT_PROXY],
        join=made[JOIN],
        service_account_key=key_pem(account),
        service_account_public=public_pem(account.public_key()),
        encryption_key=base64.b64encode(encryption).decode(),
        encryption_key_id=f"key{int(now_unix)}",
        ticket_key=base64.b64encode(token(32)).decode(),
    )


def make_authority(cluster_name: str, name: str, now_unix: float, token: Token) -> Authority:
    """One self-signed CA that may sign leaf certificates only (path length 0)."""
    key = new_key(token)
    public = key.public_key()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"risen {cluster_name}"[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority of {cluster_name}"[:64]),
        ]
    )
    start = datetime.fromtimestamp(int(now_unix), UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(serial_number(token(20)))
        .not_valid_before(start - EARLY_START)
        .not_valid_after(start + timedelta(days=LIFE_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_authority_usage(), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return Authority(certificate.public_bytes(serialization.Encoding.PEM).decode(), key_pem(key))


def new_key(token: Token) -> ec.EllipticCurvePrivateKey:
    """An EC P-256 key out of 48 random bytes (FIPS 186-5, A.2.1: the surplus bits make the bias negligible)."""
    secret = int.from_bytes(token(48), "big") % (_P256_ORDER - 1) + 1
    return ec.derive_private_key(secret, ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """PEM in SEC 1 form (`EC PRIVATE KEY`), which everything in Kubernetes reads."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def public_pem(key: ec.EllipticCurvePublicKey) -> str:
    """PEM, SubjectPublicKeyInfo."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def serial_number(random: bytes) -> int:
    """A positive serial of at most 159 bits (RFC 5280, 4.1.2.2) from 20 bytes."""
    return (int.from_bytes(random[:20], "big") >> 1) | 1


def _authority_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
