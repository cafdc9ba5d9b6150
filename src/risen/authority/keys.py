"""Keys out of random bytes that are given, and their PEM forms. Draws no randomness itself."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Token = Callable[[int], bytes]
"""Gives that many random bytes (`Entropy.token`)."""


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
