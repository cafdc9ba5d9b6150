"""Streams of the directory store: one append-only file each, every record with its number and checksum.

A record is `risen-record SEQ LENGTH SHA256\\n`, the bytes, `\\n`. A tail that a crash tore off, or left zeros in, is
ignored by readers and cut off by the next writer; anything else that does not check is Corrupt. Who appends holds the
lock. Readers hold none: they begin at the end of a whole record seen before, which no writer ever cuts off.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from risen.adapters.store.files import fault, faults, make_folders, sync_folder
from risen.interfaces.errors import Corrupt

_MAGIC = b"risen-record"
_MAX_HEADER = 128
_BLOCK_BYTES = 1 << 20
_MOST_ENDS = 8
"""Remembered of a stream: one for each who reads it at a pace of his own."""


@dataclass(frozen=True, slots=True)
class End:
    """Where the whole records of a file end, and the number of the last one."""

    offset: int = 0
    seq: int = 0


def render_record(seq: int, data: bytes) -> bytes:
    """A record's bytes."""
    digest = hashlib.sha256(b"%d\n" % seq + data).hexdigest().encode()
    return b"%s %d %d %s\n%s\n" % (_MAGIC, seq, len(data), digest, data)


START = End()


def scan(
    content: bytes, path: Path, start: End = START, most: int | None = None
) -> tuple[list[tuple[int, bytes]], End]:
    """The records of `content` (the file from `start` on), at most so many, and where they end.

    Raises Corrupt naming the file."""
    found: list[tuple[int, bytes]] = []
    at, seq = 0, start.seq
    while at < len(content) and (most is None or len(found) < most):
        line_end = content.find(b"\n", at, at + _MAX_HEADER)
        if line_end < 0:
            if _is_torn(content[at:]):
                break
            raise Corrupt(f"{path}: no record header after record {seq}")
        length, digest = _header(content[at:line_end], seq + 1, path)
        body, end = line_end + 1, line_end + 1 + length
        if end + 1 > len(content):
            if b"\n%s %d " % (_MAGIC, seq + 2) in content[body:]:
                raise Corrupt(f"{path}: record {seq + 1} is shorter than its header says")
            break
        data = content[body:end]
        whole = content[end : end + 1] == b"\n"
        if not whole or hashlib.sha256(b"%d\n" % (seq + 1) + data).hexdigest().encode() != digest:
            if end + 1 == len(content) and (data.endswith(b"\0") or content.endswith(b"\0")):
                break
            raise Corrupt(f"{path}: record {seq + 1} is not what was written")
        seq += 1
        found.append((seq, data))
        at = end + 1
    return found, End(start.offset + at, seq)


def read_stream(
    path: Path, after: int = 0, known: End = START, most: int | None = None
) -> tuple[list[tuple[int, bytes]], End]:
    """Whole records after number `after`, at most so many, and where they end. `known` is an end seen before,
    at or before `after`. Raises Corrupt.
    """
    with faults(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return [], START
    try:
        return _after(descriptor, path, known, (after, most))
    finally:
        os.close(descriptor)


def _after(
    descriptor: int, path: Path, known: End, wanted: tuple[int, int | None]
) -> tuple[list[tuple[int, bytes]], End]:
    """From the end known on; from the beginning where that does not fit the file (a backup was put back)."""
    with faults(path):
        fits = os.fstat(descriptor).st_size >= known.offset
    if fits and known != START:
        with suppress(Corrupt):
            return _by_blocks(descriptor, path, known, wanted)
    return _by_blocks(descriptor, path, START, wanted)


def _by_blocks(
    descriptor: int, path: Path, end: End, wanted: tuple[int, int | None]
) -> tuple[list[tuple[int, bytes]], End]:
    """A long stream is never held whole. A record larger than a block gets a larger one."""
    after, most = wanted
    found: list[tuple[int, bytes]] = []
    block = _BLOCK_BYTES
    while most is None or len(found) < most:
        with faults(path):
            content = os.pread(descriptor, block, end.offset)
        room = None if most is None else max(0, after - end.seq) + most - len(found)
        records, reached = scan(content, path, end, room)
        if not records and len(content) < block:
            break
        found += [record for record in records if record[0] > after]
        block, end = (_BLOCK_BYTES if records else 2 * block), reached
    return found, end


def nearest(ends: tuple[End, ...], after: int) -> End:
    """The furthest of the ends remembered from which the records after number `after` are all to come."""
    return max((end for end in ends if end.seq <= after), key=lambda end: end.seq, default=START)


def remembered(ends: tuple[End, ...], end: End) -> tuple[End, ...]:
    """The ends with one more, which is the newest; the oldest are forgotten."""
    return (*(one for one in ends if one.seq != end.seq), end)[-_MOST_ENDS:]


def append_record(path: Path, data: bytes, known: End = START) -> End:
    """Add a record after the last whole one; `known` is an end seen before, to save reading all again.

    Raises Corrupt, Denied, NoCapacity, Unreachable (nothing added), OutcomeUnknown.
    """
    with faults(path):
        new = not path.exists()
        if new:
            make_folders(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _, end = _after(descriptor, path, known, (sys.maxsize, None))
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
    """Whether a tail without a header's end is what a crash leaves: the start of one, and zeros."""
    return len(tail.rstrip(b"\0")) < _MAX_HEADER
