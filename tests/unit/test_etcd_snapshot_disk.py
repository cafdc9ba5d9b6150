"""A disk that takes no more of a snapshot is told as that, not as a connection that was lost."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from risen.adapters.etcd.client import _write_part
from risen.adapters.etcd.rehearsal import Rehearsals
from risen.core.names import MemberId
from risen.interfaces.errors import NoCapacity

FULL = Path("/dev/full")


def test_a_piece_that_cannot_be_written_is_no_capacity() -> None:
    line = json.dumps({"result": {"remaining_bytes": "5", "blob": base64.b64encode(b"x" * 10).decode()}})
    with FULL.open("wb", buffering=0) as file, pytest.raises(NoCapacity, match="No space left on device"):
        _write_part(line.encode(), file.write, "POST https://x")


@dataclass
class Snapshot:
    """An etcd client whose snapshot has so many bytes."""

    size: int

    async def snapshot(self, member: MemberId, write: Callable[[bytes], object]) -> None:
        write(b"x" * self.size)


@pytest.mark.parametrize("size", [10, 1 << 22])
async def test_a_disk_that_is_full_only_when_all_is_written_out_is_no_capacity(size: int) -> None:
    rehearsals = Rehearsals(Snapshot(size), None, None, Path())  # type: ignore[arg-type]
    with pytest.raises(NoCapacity, match="/dev/full: No space left on device"):
        await rehearsals._take(MemberId("1"), FULL)
