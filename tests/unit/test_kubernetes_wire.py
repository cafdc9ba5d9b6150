"""What an answer's status means, above all whether a write may have been carried out."""

from __future__ import annotations

import json

import pytest

from risen.adapters.kubernetes.wire import Expired, refusal
from risen.interfaces.errors import (
    Conflict,
    Denied,
    InterfaceError,
    Invalid,
    Later,
    NotFound,
    OutcomeUnknown,
    Unreachable,
)
from risen.transport.session import Answer


def answer(status: int, message: str | None = "said", headers: dict[str, str] | None = None) -> Answer:
    body = b"<html>" if message is None else json.dumps({"kind": "Status", "message": message}).encode()
    return Answer(status, headers or {}, body, "PATCH x")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid), (401, Denied), (403, Denied), (404, NotFound), (409, Conflict), (410, Expired),
        (415, Invalid), (422, Invalid), (429, Later), (500, OutcomeUnknown), (504, OutcomeUnknown),
    ],
)  # fmt: skip
def test_each_status_of_a_write_has_one_meaning(status: int, kind: type[InterfaceError]) -> None:
    assert type(refusal(answer(status), read=False)) is kind


def test_a_read_that_failed_inside_is_unreachable_for_nothing_was_changed() -> None:
    assert type(refusal(answer(500), read=True)) is Unreachable


def test_a_503_of_the_endpoint_was_never_sent_on() -> None:
    assert type(refusal(answer(503, None), read=False)) is Unreachable


def test_a_503_of_the_api_server_is_later_only_if_it_says_when() -> None:
    assert type(refusal(answer(503), read=False)) is OutcomeUnknown
    said = refusal(answer(503, headers={"Retry-After": "2"}), read=False)
    assert isinstance(said, Later) and said.after_seconds == 2.0


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (500, "This pod has more than one PodDisruptionBudget, which the eviction subresource …", Later),
        (500, "failed to create typed patch object (…): .dataz: field not declared in schema", Invalid),
        (422, 'Node "n" is invalid: metadata.uid: Invalid value: "x": field is immutable', Conflict),
    ],
)
def test_some_answers_mean_something_else_than_their_status(
    status: int, message: str, kind: type[InterfaceError]
) -> None:
    assert type(refusal(answer(status, message), read=False)) is kind
