"""HTTP/1.1 as bytes, for a client: a request rendered, an answer's head and body read out of what has arrived.

Pure: it opens nothing and waits for nothing. Source: RFC 9112 (framing, chunks), RFC 9110 (gzip, field names).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlencode

HEAD_END = b"\r\n\r\n"
MOST_HEAD_BYTES = 1 << 16
MOST_SIZE_LINE_BYTES = 1024
GZIP = 16 + zlib.MAX_WBITS
_NO_BODY = frozenset({204, 304})


class Malformed(OSError):
    """What arrived is not an answer of HTTP/1.1, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status, and fields by their usual spelling (`Retry-After`)."""

    status: int
    headers: Mapping[str, str]
    version: str = "HTTP/1.1"

    @property
    def kept_open(self) -> bool:
        """Whether the server takes another request on this connection after the body."""
        return self.version == "HTTP/1.1" and self.headers.get("Connection", "").lower() != "close"


def render_request(
    method: str, url: SplitResult, params: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
) -> bytes:
    """Head and body. A field that the caller names replaces ours."""
    target = quote(url.path or "/", safe="/:@!$&'()*+,;=~%-._")
    query = "&".join(part for part in (url.query, urlencode(params)) if part)
    fields = {"Host": url.netloc, "Accept-Encoding": "gzip", "User-Agent": "risen"}
    if body is not None or method not in ("GET", "HEAD"):
        fields["Content-Length"] = str(len(body or b""))
    lines = [f"{method} {target}{'?' if query else ''}{query} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in {**fields, **headers}.items()]
    if any(character in line for line in lines for character in "\r\n"):
        raise ValueError(f"a line break in a request's head: {lines!r}")
    return "\r\n".join(lines).encode("latin-1") + HEAD_END + (body or b"")


def take_head(arrived: bytearray) -> Head | None:
    """The head at the beginning of what has arrived, which is taken away; None until it is whole.

    Interim answers (1xx) are passed over. Raises Malformed.
    """
    while True:
        end = arrived.find(HEAD_END)
        if end < 0:
            if len(arrived) > MOST_HEAD_BYTES:
                raise Malformed(f"an answer's head of over {MOST_HEAD_BYTES} bytes")
            return None
        first, *lines = bytes(arrived[:end]).decode("latin-1").split("\r\n")
        del arrived[: end + len(HEAD_END)]
        head = _head(first, lines)
        if head.status >= 200:
            return head
        if head.status == 101:
            raise Malformed("the server speaks another protocol than was asked for")


def _head(first: str, lines: list[str]) -> Head:
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not code.isdigit() or len(code) < 3 or rest[3:4].strip():
        raise Malformed(f"not an answer of HTTP/1.1: {first[:100]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Malformed(f"not a field of a head: {line[:100]!r}")
        name, value = name.title(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Head(int(code), headers, version)


@dataclass(slots=True)
class Body:
    """Takes one body out of what arrives. `left` is what the present chunk, or all of it, still has to come;
    None where the end of the connection is the end of the body."""

    chunked: bool
    left: int | None
    done: bool = False
    unzip: zlib._Decompress | None = field(default=None, repr=False)
    _behind_chunk: bool = False
    _in_trailer: bool = False

    @classmethod
    def of(cls, method: str, head: Head) -> Body:
        """As the head says. Raises Malformed for a coding or length that is not understood."""
        coding = head.headers.get("Transfer-Encoding", "").lower()
        length = head.headers.get("Content-Length")
        packed = head.headers.get("Content-Encoding", "identity").lower()
        if packed not in ("gzip", "identity") or coding not in ("", "chunked"):
            raise Malformed(f"a body in a coding that was not asked for: {coding} {packed}".rstrip())
        unzip = zlib.decompressobj(GZIP) if packed == "gzip" else None
        if method == "HEAD" or head.status in _NO_BODY:
            return cls(False, 0, True)
        if coding:
            return cls(True, 0, False, unzip)
        if length is None:
            return cls(False, None, False, unzip)
        if not length.isdigit():
            raise Malformed(f"a body of {length!r} bytes")
        return cls(False, int(length), int(length) == 0, unzip)

    def take(self, arrived: bytearray) -> bytes:
        """What is there of the body, unpacked; whatever lies behind its end stays. Raises Malformed."""
        pieces = []
        while not self.done and (piece := self._piece(arrived)) is not None:
            pieces.append(piece)
        taken = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self.unzip is None or not taken:
            return taken
        try:
            plain = self.unzip.decompress(taken)
        except zlib.error as error:
            raise Malformed(f"a packed body that cannot be unpacked: {error}") from error
        if self.done and not self.unzip.eof:
            raise Malformed("a packed body that is not whole")
        return plain

    def end(self) -> None:
        """The connection ended. Raises Malformed unless that is the body's end."""
        if self.left is not None and not self.done:
            raise Malformed("the connection ended in the middle of an answer")
        self.done = True

    def _piece(self, arrived: bytearray) -> bytes | None:
        """None: nothing more can be taken just now."""
        if self.chunked and self.left == 0 and not self._begin_chunk(arrived):
            return None
        if self.done:
            return b""
        size = len(arrived) if self.left is None else min(self.left, len(arrived))
        if size == 0:
            return None
        piece = bytes(memoryview(arrived)[:size])
        del arrived[:size]
        if self.left is not None:
            self.left -= size
            self.done = not self.chunked and self.left == 0
        return piece

    def _begin_chunk(self, arrived: bytearray) -> bool:
        """Read the line that says how long the next chunk is, or the trailer behind the last one."""
        while True:
            end = arrived.find(b"\r\n", 0, MOST_SIZE_LINE_BYTES)
            if end < 0:
                if len(arrived) >= MOST_SIZE_LINE_BYTES:
                    raise Malformed("a chunk without a size, or longer than it")
                return False
            line = bytes(arrived[:end])
            del arrived[: end + 2]
            if self._in_trailer:
                self.done = not line
                if self.done:
                    return True
            elif self._behind_chunk:
                if line:
                    raise Malformed("a chunk longer than its size")
                self._behind_chunk = False
            else:
                self.left = _chunk_size(line)
                self._in_trailer = self.left == 0
                self._behind_chunk = self.left > 0
                if self.left:
                    return True


def _chunk_size(line: bytes) -> int:
    text = line.partition(b";")[0].strip()
    try:
        size = int(text, 16)
    except ValueError as error:
        raise Malformed(f"a chunk of {text[:20]!r} bytes") from error
    if not text.isalnum():
        raise Malformed(f"a chunk of {text[:20]!r} bytes")
    return size
