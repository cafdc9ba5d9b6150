"""What surrounds the instances is looked at while a controller leads: the endpoint each second, the way out less often."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from risen.core.names import InstanceName
from risen.core.picture import BackendSeen
from risen.interfaces.errors import OutcomeUnknown
from risen.services.site_keeper import OUTSIDE_SECONDS, SiteKeeper


class Enough(Exception):
    """The clock's end."""


@dataclass
class SteppedClock:
    """Time that only sleeping moves, until `end`."""

    end: float
    now: float = 1000.0

    def boot(self) -> float:
        return self.now

    def unix(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > 1000.0 + self.end:
            raise Enough


@dataclass
class TakenFrom:
    """A site that others of the host take something from before each of these looks."""

    taken: list[tuple[str, ...]]
    looks: int = 0
    prepared: int = 0

    async def prepare(self) -> None:
        self.prepared += 1

    async def clear(self) -> None: ...

    async def mend_outside(self) -> tuple[str, ...]:
        self.looks += 1
        if not self.taken:
            raise OutcomeUnknown("nft: exit 1")
        return self.taken.pop(0)


@dataclass
class Program:
    """An endpoint program that answers."""

    async def list(self) -> tuple[BackendSeen, ...]:
        return ()

    async def add(self, instance: InstanceName, address: str) -> None: ...
    async def drain(self, instance: InstanceName) -> None: ...
    async def remove(self, instance: InstanceName) -> None: ...


def kept_for(seconds: float, site: TakenFrom) -> list[str]:
    """What a keeper notes in so long."""
    said: list[str] = []
    keeper = SiteKeeper(site, Program(), SteppedClock(seconds), said.append)
    with pytest.raises(Enough):
        asyncio.run(keeper.run())
    return said


def test_what_others_took_of_the_way_out_is_told_once_it_is_laid_again() -> None:
    site = TakenFrom([(), ("nft table risen_dev", "sysctl ip_forward"), ()])
    assert kept_for(3 * OUTSIDE_SECONDS - 1, site) == [
        "missing on the host, laid again: nft table risen_dev, sysctl ip_forward"
    ]
    assert (site.looks, site.prepared) == (3, 0)


def test_what_cannot_be_laid_again_is_noted_and_tried_again() -> None:
    said = kept_for(2 * OUTSIDE_SECONDS, TakenFrom([]))
    assert said == ["site cannot be mended: OutcomeUnknown: nft: exit 1"] * 2


class OnADiskThatTakesNothing(TakenFrom):
    """Its lock file cannot be opened."""

    async def mend_outside(self) -> tuple[str, ...]:
        raise OSError(30, "Read-only file system")


def test_a_disk_that_takes_no_writes_is_noted_and_does_not_end_the_keeper() -> None:
    said = kept_for(2 * OUTSIDE_SECONDS, OnADiskThatTakesNothing([]))
    assert said == ["site cannot be mended: OSError: [Errno 30] Read-only file system"] * 2
