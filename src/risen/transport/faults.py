"""The one table from what aiohttp, ssl and the operating system raise to `interfaces.errors`.

The question it answers is whether the request may have been carried out: nothing sent is Unreachable, sent
without an answer is OutcomeUnknown, and a certificate that either side refuses is Denied, since trying again
does not help.
"""

from __future__ import annotations

import email.utils
import ssl
import time
from collections.abc import Mapping

import aiohttp

from risen.interfaces.errors import Denied, InterfaceError, OutcomeUnknown, Unreachable

TRANSPORT_FAULTS = (aiohttp.ClientError, OSError, TimeoutError)
"""What `fault` takes. TimeoutError is an OSError too; named for the reader."""


def fault(error: BaseException, what: str, *, sent: bool) -> InterfaceError:
    """The operating error for a request described by `what`, of which something was `sent` or nothing."""
    certificate = _certificate_trouble(error)
    if certificate is not None:
        return Denied(f"{what}: {certificate}")
    reason = _text(error)
    if sent:
        return OutcomeUnknown(f"{what}: sent, no answer ({reason})")
    return Unreachable(f"{what}: no connection ({reason})")


def _text(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return str(error) or type(error).__name__


def _certificate_trouble(error: BaseException) -> str | None:
    """Text when either side refused the other's certificate, also where aiohttp or asyncio wrapped it."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = getattr(cause, "verify_message", "") or str(cause)
            return f"the server's certificate is not accepted: {said}"
        if isinstance(cause, ssl.SSLError) and "ALERT" in (cause.reason or "").upper():
            alert = (cause.reason or "").lower().replace("_", " ")
            if any(word in alert for word in ("certificate", "unknown ca", "access denied")):
                return f"the server refused this client's certificate ({alert})"
    return None


def _causes(error: BaseException) -> tuple[BaseException, ...]:
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        inner = getattr(following, "os_error", None) or getattr(following, "certificate_error", None)
        following = (
            inner if isinstance(inner, BaseException) else following.__cause__ or following.__context__
        )
    return tuple(found)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by the `Retry-After` header (RFC 9110 §10.2.3: a number or a date), or None."""
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, until.timestamp() - time.time())
