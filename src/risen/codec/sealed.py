"""What lies in the store, or beside it, only in a form that its reader cannot use: values to sealed bytes and back."""

from __future__ import annotations

from typing import TypeVar

from risen.authority.authorities import Authorities
from risen.authority.sealing import SealingKey, Unsealable, seal, unseal
from risen.codec import records
from risen.interfaces.errors import Corrupt, Denied, TooNew

T = TypeVar("T")


def seal_record(value: object, key: SealingKey, nonce: bytes) -> bytes:
    """Bytes that are unreadable without the sealing key. `nonce`: 12 fresh random bytes."""
    return seal(records.encode(value), key, nonce)


def open_record(data: bytes, kind: type[T], key: SealingKey, place: str) -> T:
    """What was sealed. `place` is named in errors: Denied for another sealing key, Corrupt, TooNew."""
    try:
        plain = unseal(data, key)
    except Unsealable as error:
        if error.other_key:
            raise Denied(f"{place}: {error}") from error
        if error.newer:
            raise TooNew(f"{place}: {error}") from error
        raise Corrupt(f"{place}: {error}") from error
    return records.decode(plain, kind, place)


def seal_authorities(authorities: Authorities, key: SealingKey, nonce: bytes) -> bytes:
    """The object `authorities`."""
    return seal_record(authorities, key, nonce)


def open_authorities(data: bytes, key: SealingKey) -> Authorities:
    """Authority keys out of their object. Raises Denied for another sealing key, Corrupt, TooNew."""
    return open_record(data, Authorities, key, records.AUTHORITIES)
