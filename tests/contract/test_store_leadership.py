"""Leadership by flock: one holder, readable by others, gone with its holder."""

from __future__ import annotations

import asyncio
import math
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from risen.adapters.answer_file import noted
from risen.adapters.store.leadership import DirectoryLeadership
from risen.adapters.store.sealing_key import create_sealing_key, read_sealing_key
from risen.interfaces.errors import Corrupt, Denied, NotFound
from risen.interfaces.store import Leadership

HOLDER = textwrap.dedent(
    """
    import asyncio, sys, time
    from pathlib import Path
    from risen.adapters.store.leadership import DirectoryLeadership

    class Clock:
        def boot(self): return 0.0
        def unix(self): return 1700000000.0

    async def main():
        lead = await DirectoryLeadership(Path(sys.argv[1]), Clock()).try_lead("somewhere 42")
        print("lead" if lead else "no", flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
    """
)


def start_holder(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", HOLDER, str(root)], stdout=subprocess.PIPE, text=True)


class FixedClock:
    def boot(self) -> float:
        return 5.0

    def unix(self) -> float:
        return 1700000000.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def test_one_leads_and_the_others_can_say_who(tmp_path: Path) -> None:
    mine, other = (noted(DirectoryLeadership(tmp_path, FixedClock()), Leadership) for _ in range(2))
    assert await other.leader() is None
    lead = await mine.try_lead("here 7")
    assert lead is not None and lead.valid_until == math.inf
    assert await other.try_lead("there 8") is None
    assert await other.leader() == "here 7 since 1700000000"
    await lead.release()
    assert lead.valid_until == -math.inf
    assert await other.leader() is None
    assert await other.try_lead("there 8") is not None


async def test_leadership_dies_with_a_killed_holder(tmp_path: Path) -> None:
    mine = noted(DirectoryLeadership(tmp_path, FixedClock()), Leadership)
    with start_holder(tmp_path) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "lead\n"
        assert await mine.leader() == "somewhere 42 since 1700000000"
        assert await mine.try_lead("here 7") is None
        holder.kill()
    assert await mine.try_lead("here 7") is not None


async def test_looking_who_leads_never_keeps_another_from_leading(tmp_path: Path) -> None:
    looker, taker = (noted(DirectoryLeadership(tmp_path, FixedClock()), Leadership) for _ in range(2))
    stop = asyncio.Event()

    async def look() -> None:
        while not stop.is_set():
            await looker.leader()
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    for _ in range(50):
        lead = await taker.try_lead("here 7")
        assert lead is not None
        await lead.release()
    stop.set()
    await looking


async def test_who_held_a_lock_file_that_was_removed_leads_no_more(tmp_path: Path) -> None:
    first = await noted(DirectoryLeadership(tmp_path, FixedClock()), Leadership).try_lead("a 1")
    (tmp_path / "lead.lock").unlink()
    second = await noted(DirectoryLeadership(tmp_path, FixedClock()), Leadership).try_lead("b 2")
    assert first is not None and second is not None
    assert (first.valid_until, second.valid_until) == (-math.inf, math.inf)
    assert (
        await noted(DirectoryLeadership(tmp_path, FixedClock()), Leadership).leader()
        == "b 2 since 1700000000"
    )


def test_a_sealing_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys/dev.key"
    made = create_sealing_key(path, b"k" * 32)
    assert create_sealing_key(path, b"x" * 32) == made == read_sealing_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["dev.key"]


def test_a_missing_open_or_changed_sealing_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dev.key"
    with pytest.raises(NotFound, match=r"dev\.key.*missing"):
        read_sealing_key(path)
    create_sealing_key(path, b"k" * 32)
    path.chmod(0o640)
    with pytest.raises(Denied, match="chmod 600"):
        read_sealing_key(path)
    path.chmod(0o600)
    path.write_text("risen-sealing-key 1 !!!")
    with pytest.raises(Corrupt, match=r"dev\.key"):
        read_sealing_key(path)
