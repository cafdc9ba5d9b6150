"""HTTP/1.1 read out of bytes: the same answer however they are cut, and nothing taken for whole that is not."""

from __future__ import annotations

import gzip
from itertools import pairwise
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risen.transport.http1 import MOST_HEAD_BYTES, Body, Head, Malformed, render_request, take_head

URL = urlsplit("https://10.77.0.1:6443/api/v1/nodes")


def read(answer: bytes, method: str = "GET", piece: int = 10**6, closed: bool = False) -> tuple[Head, bytes]:
    """Head and body of an answer that arrives in pieces of a size; `closed`: the server then ends the connection."""
    arrived, head, body, found = bytearray(), None, None, b""
    for at in range(0, len(answer), piece):
        arrived += answer[at : at + piece]
        head = head or take_head(arrived)
        if head is not None:
            body = body or Body.of(method, head)
            found += body.take(arrived)
    assert head is not None and body is not None, "no head"
    if closed:
        body.end()
    assert body.done, "no end"
    assert not arrived, "something is left"
    return head, found


def chunked(*pieces: bytes, fields: str = "", trailer: str = "") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    head = f"HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n"
    return head.encode() + body + f"0\r\n{trailer}\r\n".encode()


def test_a_read_names_the_host_and_takes_packed_answers() -> None:
    said = render_request("GET", URL, {"limit": "500", "labelSelector": "a/b=c d"}, {"Accept": "x/y"}, None)
    first, *fields = said.decode().split("\r\n")
    assert first == "GET /api/v1/nodes?limit=500&labelSelector=a%2Fb%3Dc+d HTTP/1.1"
    assert fields[:3] == ["Host: 10.77.0.1:6443", "Accept-Encoding: gzip", "User-Agent: risen"]
    assert fields[3:] == ["Accept: x/y", "", ""]


@pytest.mark.parametrize(("body", "length"), [(b"{}", 2), (None, 0), (b"", 0)])
def test_a_write_says_how_long_it_is_even_when_it_is_empty(body: bytes | None, length: int) -> None:
    said = render_request("POST", URL, {}, {}, body)
    assert f"Content-Length: {length}\r\n".encode() in said
    assert said.endswith(b"\r\n\r\n" + (body or b""))


def test_a_line_break_cannot_be_smuggled_into_a_head() -> None:
    with pytest.raises(ValueError, match="line break"):
        render_request("GET", URL, {}, {"Accept": "x\r\nHost: other"}, None)
    assert b"%0D%0A" in render_request("GET", URL, {"name": "x\r\nHost: other"}, {}, None)


def test_a_head_is_read_with_its_fields_by_their_usual_spelling() -> None:
    head, body = read(b"HTTP/1.1 503 \r\nretry-after:  7 \r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 2\r\n\r\nok")
    assert (head.status, body) == (503, b"ok")
    assert head.headers == {"Retry-After": "7", "X-A": "1, 2", "Content-Length": "2"}


def test_an_interim_answer_is_passed_over() -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert read(answer)[0].status == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: line\r\n\r\n",
        b"x" * (MOST_HEAD_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
    ],
)
def test_what_is_no_answer_is_malformed(answer: bytes) -> None:
    with pytest.raises(Malformed):
        read(answer)


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_an_answer_without_a_body_is_over_with_its_head(method: str, answer: bytes) -> None:
    assert read(answer, method)[1] == b""


def test_a_body_without_a_length_ends_with_the_connection_and_any_other_must_not() -> None:
    assert read(b"HTTP/1.1 200 OK\r\n\r\nall of it", closed=True)[1] == b"all of it"
    for answer in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal",
        chunked(b"half")[:-5],
        chunked(b"half")[:-2],
    ):
        with pytest.raises(Malformed, match="in the middle"):
            read(answer, closed=True)


def test_a_packed_body_that_ends_too_soon_is_not_taken_for_whole() -> None:
    packed = gzip.compress(b"nodes " * 100)[:-9]
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    with pytest.raises(Malformed, match="not whole"):
        read(answer + packed)


def test_all_chunks_that_have_arrived_are_one_piece() -> None:
    arrived = bytearray(chunked(b"one\n", b"two\n")[:-5] + b"6\r\nthr")
    head = take_head(arrived)
    assert head is not None
    body = Body.of("GET", head)
    assert body.take(arrived) == b"one\ntwo\nthr"
    arrived += b"ee\n\r\n"
    assert (body.take(arrived), body.take(arrived), body.done) == (b"ee\n", b"", False)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\n\r\n", False),
    ],
)
def test_whether_a_connection_stays_open_is_said_in_the_head(answer: bytes, kept: bool) -> None:
    head = take_head(bytearray(answer))
    assert head is not None and head.kept_open == kept


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.booleans(), st.integers(1, 60))
def test_a_body_is_the_same_however_it_is_packed_and_cut(
    pieces: list[bytes], packed: bool, size: int
) -> None:
    plain = b"".join(pieces)
    sent = gzip.compress(plain) if packed else plain
    field = "Content-Encoding: gzip\r\n" if packed else ""
    bounds = [0, len(sent) // 3, len(sent) // 2, len(sent)]
    cut = [sent[low:high] for low, high in pairwise(bounds) if high > low]
    by_chunks = chunked(*cut, fields=field, trailer="X-Checksum: 1\r\n")
    by_length = f"HTTP/1.1 200 OK\r\n{field}Content-Length: {len(sent)}\r\n\r\n".encode() + sent
    assert read(by_chunks, piece=size)[1] == plain
    assert read(by_length, piece=size)[1] == plain
