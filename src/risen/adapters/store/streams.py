"""Streams of the directory store: one append-only file each, every record with its number and checksum.

A record is `risen-record SEQ LENGTH SHA256\\n`, the bytes, `\\n`. A tail that a crash tore off is ignored by
readers and cut off by the next writer; anything else that does not check is Corrupt. The caller holds the lock.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from risen.adapters.store.files import fault, faults, make_folders, read_whole, sync_folder
from risen.interfaces.errors import Corrupt

_MAGIC = b"risen-record"
_MAX_HEADER = 128


@dataclass(frozen=True, slots=True)
class End:
    """Where the whole records of a file end, and the number of the last one."""

    offset: int = 0
    seq: int = 0


def render_record(seq: int, data: bytes) -> bytes:
    """A record's bytes."""
    digest = hashlib.sha256(b"%d\n" % seq + data).hexdigest().encode()
    return b"%s %d %d %s\n%s\n" % (_MAGIC, seq, len(data), digest, data)


def scan(content: bytes, path: Path, start: End = End()) -> tuple[list[tuple[int, bytes]], End]:
    """The records of `content` (the file from `start` on) and where they end. Raises Corrupt naming the file."""
    found: list[tuple[int, bytes]] = []
    at, seq = 0, start.seq
    while at < len(content):
        line_end = content.find(b"\n", at, at + _MAX_HEADER)
        if line_end < 0:
            if _is_torn(content[at:]):
                break
            raise Corrupt(f"{path}: no record header after record {seq}")
        length, digest = _header(content[at:line_end], seq + 1, path)
        body, end = line_end + 1, line_end + 1 + length
        if end + 1 > len(content):
            break
        data = content[body:end]
        whole = content[end : end + 1] == b"\n"
        if not whole or hashlib.sha256(b"%d\n" % (seq + 1) + data).hexdigest().encode() != digest:
            if end + 1 == len(content) and data.endswith(b"\0"):
                break
            raise Corrupt(f"{path}: record {seq + 1} is not what was written")
        seq += 1
        found.append((seq, data))
        at = end + 1
    return found, End(start.offset + at, seq)


def read_stream(path: Path) -> list[tuple[int, bytes]]:
    """All whole records. Raises Corrupt."""
    content = read_whole(path)
    return [] if content is None else scan(content, path)[0]


def append_record(path: Path, data: bytes, known: End) -> End:
    """Add a record after the last whole one; `known` is an end seen before, to save reading all again.

    Raises Corrupt, Denied, NoCapacity, Unreachable (nothing added), OutcomeUnknown.
    """
    with faults(path):
        new = not path.exists()
        if new:
            make_folders(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = _end_of(descriptor, path, known)
        record = render_record(end.seq + 1, data)
        with faults(path):
            os.ftruncate(descriptor, end.offset)
        try:
            _write_all(descriptor, record, end.offset)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(descriptor, end.offset)
            raise fault(error, path) from error
        with faults(path, after=True):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if new:
        sync_folder(path.parent)
    return End(end.offset + len(record), end.seq + 1)


def _end_of(descriptor: int, path: Path, known: End) -> End:
    with faults(path):
        size = os.fstat(descriptor).st_size
        start = known if size >= known.offset else End()
        content = os.pread(descriptor, size - start.offset, start.offset) if size > start.offset else b""
    return scan(content, path, start)[1]


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def _header(line: bytes, seq: int, path: Path) -> tuple[int, bytes]:
    parts = line.split(b" ")
    if len(parts) != 4 or parts[0] != _MAGIC or parts[1] != b"%d" % seq or not parts[2].isdigit():
        raise Corrupt(f"{path}: record {seq} has no readable header")
    return int(parts[2]), parts[3]


def _is_torn(tail: bytes) -> bool:
    """Whether a tail without a header's end is what a crash leaves: the start of one, or zeros."""
    return len(tail) < _MAX_HEADER or not tail.strip(b"\0")
