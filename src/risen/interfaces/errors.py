"""The operating errors of all interfaces. The type says whether to try again and what is known.

A refusal by our own rules is never an error but a `Blocked`; a programmer's error is an assertion.
"""

from __future__ import annotations


class InterfaceError(Exception):
    """Base of every operating error. `str(error)` says what, where and, if it can be mended, how."""


class Later(InterfaceError):
    """Not now: nothing was changed, the same request may work later (etcd 503 on remove, a learner not in
    sync, HTTP 429). `after_seconds` is the server's own wish, or None."""

    def __init__(self, message: str, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Unreachable(InterfaceError):
    """No connection: the request was not carried out."""


class OutcomeUnknown(InterfaceError):
    """Sent, but no answer: it may or may not have been carried out. Look before trying again."""


class Conflict(InterfaceError):
    """A precondition failed: if_absent, if_version, uid, resourceVersion."""


class NotFound(InterfaceError):
    """The thing named does not exist, said by who would know."""


class Denied(InterfaceError):
    """The caller may not (certificate, RBAC, read-only store). Trying again does not help."""


class Invalid(InterfaceError):
    """The request itself is wrong and will never work as it is."""


class Corrupt(InterfaceError):
    """Stored bytes are not what was written (checksum, schema)."""


class TooNew(Corrupt):
    """Stored bytes have a schema number newer than this program knows: it may look, never lead."""


class NoCapacity(InterfaceError):
    """The provider has no room for this just now (quota, disk, addresses)."""
