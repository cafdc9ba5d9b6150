"""The table of faults: what may have been carried out, and what a certificate's refusal looks like."""

from __future__ import annotations

import datetime
import email.utils
import ssl

import aiohttp
import pytest

from risen.interfaces.errors import Denied, Invalid, OutcomeUnknown, Unreachable
from risen.transport.faults import fault, retry_after_seconds
from risen.transport.tls import TlsIdentity, client_context


@pytest.mark.parametrize(
    "error", [aiohttp.ServerDisconnectedError(), ConnectionResetError(104, "reset"), TimeoutError()]
)
def test_the_same_break_is_unknown_once_something_was_sent(error: Exception) -> None:
    assert isinstance(fault(error, "PUT x", sent=False), Unreachable)
    assert isinstance(fault(error, "PUT x", sent=True), OutcomeUnknown)


def test_a_time_out_is_named_since_its_own_text_is_empty() -> None:
    assert str(fault(TimeoutError(), "PUT x", sent=True)) == "PUT x: sent, no answer (timed out)"


def test_a_certificate_refused_by_us_is_denied_even_when_wrapped() -> None:
    wrapped = OSError("connection lost")
    wrapped.__cause__ = ssl.SSLCertVerificationError(1, "certificate has expired")
    assert isinstance(fault(wrapped, "GET x", sent=False), Denied)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", Denied),
        ("SSLV3_ALERT_BAD_CERTIFICATE", Denied),
        ("TLSV1_ALERT_UNKNOWN_CA", Denied),
        ("TLSV1_ALERT_PROTOCOL_VERSION", OutcomeUnknown),
    ],
)
def test_only_alerts_about_certificates_are_denials(reason: str, kind: type[Exception]) -> None:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    assert isinstance(fault(error, "GET x", sent=True), kind)


def test_a_cycle_of_causes_ends() -> None:
    first, second = OSError("a"), OSError("b")
    first.__cause__, second.__cause__ = second, first
    assert isinstance(fault(first, "GET x", sent=False), Unreachable)


@pytest.mark.parametrize(("text", "seconds"), [("10", 10.0), ("0", 0.0), ("", None), ("soon", None)])
def test_retry_after_is_read_as_seconds_or_not_at_all(text: str, seconds: float | None) -> None:
    assert retry_after_seconds({"Retry-After": text} if text else {}) == seconds


def test_retry_after_as_a_date_is_the_time_until_then_and_never_negative() -> None:
    now = datetime.datetime.now(datetime.UTC)
    later = email.utils.format_datetime(now + datetime.timedelta(seconds=30), usegmt=True)
    assert 25 < (retry_after_seconds({"Retry-After": later}) or 0) <= 30
    past = email.utils.format_datetime(now - datetime.timedelta(hours=1), usegmt=True)
    assert retry_after_seconds({"Retry-After": past}) == 0.0


def test_broken_pem_is_invalid_and_the_key_is_never_shown() -> None:
    identity = TlsIdentity(b"no certificate", b"very secret", b"no authority")
    with pytest.raises(Invalid):
        client_context(identity)
    assert "very secret" not in repr(identity)
