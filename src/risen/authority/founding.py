"""New authorities for a new cluster: five self-signed CAs and the secrets that its control plane shares."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from risen.authority.authorities import (
    CLUSTER,
    ETCD_CLIENT,
    ETCD_PEER,
    FRONT_PROXY,
    JOIN,
    NAMES,
    Authorities,
    Authority,
)
from risen.authority.keys import Token, key_pem, new_key, public_pem, serial_number
from risen.authority.windows import EARLY_START

LIFE_DAYS = 3650


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


def _authority_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
