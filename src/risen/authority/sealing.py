"""Sealing: what may lie in a bucket only in a form that the bucket's reader cannot use.

ChaCha20-Poly1305 (RFC 8439) under a 32-byte key that is kept outside the store. The header (schema, key id)
is authenticated. This file draws no randomness and reads no file: nonce and key are given. The cipher is imported
where it is used: many commands know of sealing and seal nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

SCHEMA = 1
KEY_BYTES = 32
NONCE_BYTES = 12
_MAGIC = b"risen-sealed"


class Unsealable(Exception):
    """A sealed object cannot be opened; `other_key` when it was sealed with a key that is not this one,
    `newer` when its schema is not known here, else its bytes were changed."""

    def __init__(self, message: str, *, other_key: bool = False, newer: bool = False) -> None:
        super().__init__(message)
        self.other_key = other_key
        self.newer = newer


@dataclass(frozen=True, slots=True)
class SealingKey:
    """32 secret bytes. `id` names the key without telling it."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"a sealing key has {KEY_BYTES} bytes, this one {len(self.secret)}")

    @property
    def id(self) -> str:
        """First 16 hex characters of a hash over the key."""
        return hashlib.sha256(b"risen-sealing-key-id\0" + self.secret).hexdigest()[:16]


def seal(plain: bytes, key: SealingKey, nonce: bytes) -> bytes:
    """`risen-sealed SCHEMA KEYID\\n`, nonce, ciphertext. A nonce must never be used twice with one key."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes, this one {len(nonce)}")
    header = b"%s %d %s\n" % (_MAGIC, SCHEMA, key.id.encode())
    return header + nonce + ChaCha20Poly1305(key.secret).encrypt(nonce, plain, header)


def unseal(blob: bytes, key: SealingKey) -> bytes:
    """What was sealed. Raises Unsealable."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    line, newline, rest = blob.partition(b"\n")
    parts = line.split(b" ")
    if not newline or len(parts) != 3 or parts[0] != _MAGIC or not parts[1].isdigit():
        raise Unsealable("not a sealed object, or its header was changed")
    if int(parts[1]) > SCHEMA:
        raise Unsealable(f"sealed by a newer Risen (schema {int(parts[1])})", newer=True)
    key_id = parts[2].decode("ascii", "replace")
    if key_id != key.id:
        raise Unsealable(
            f"sealed with key {key_id}, but the key given is {key.id}: restore the sealing key of this cluster",
            other_key=True,
        )
    try:
        nonce, ciphertext = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
        return ChaCha20Poly1305(key.secret).decrypt(nonce, ciphertext, line + newline)
    except (InvalidTag, ValueError) as error:
        raise Unsealable("the sealed bytes were changed") from error
