"""When a stop was: what a provider tells of it, and what the looks before say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from risen.core.fold import begin
from risen.core.names import ClusterUid, InstanceName, ProviderId
from risen.core.picture import InstanceSeen, InstanceState, ProviderSeen
from risen.engine.observe import Eyes

SEEN = InstanceSeen(InstanceName("cp-a"), ProviderId("p-1"), ClusterUid("uid"), InstanceState.RUNNING)


@dataclass
class Hand:
    """A clock moved by hand and a provider of one instance."""

    now: float = 100.0
    seen: InstanceSeen = SEEN

    def boot(self) -> float:
        return self.now

    async def list(self) -> ProviderSeen:
        return ProviderSeen((self.seen,), "boot-1")

    def stop(self, told: float | None) -> None:
        self.seen = replace(SEEN, state=InstanceState.STOPPED, stopped_at=told)


async def stopped_at(eyes: Eyes) -> float | None:
    (seen,) = (await eyes._provider(begin(ClusterUid("uid")))).instances
    return seen.stopped_at


@pytest.mark.parametrize(("told", "known"), [(None, 101.0), (3.0, 101.0), (101.5, 101.5)])
async def test_a_stop_is_no_older_than_the_last_look_at_which_it_ran(
    told: float | None, known: float
) -> None:
    """A killed machine's last word lies minutes back: its stop looked older than etcd's election could take."""
    hand = Hand()
    eyes = Eyes(SimpleNamespace(clock=hand, provider=hand))  # type: ignore[arg-type]
    for hand.now in (100.0, 101.0):
        assert await stopped_at(eyes) is None
    hand.stop(told)
    for hand.now in (102.0, 150.0):
        assert await stopped_at(eyes) == known


@pytest.mark.parametrize("told", [None, 3.0])
async def test_who_looks_for_the_first_time_takes_a_stop_as_it_is_told(told: float | None) -> None:
    """`risen plan` looks once: what has been off for long is to be replaced, not waited for."""
    hand = Hand()
    hand.stop(told)
    eyes = Eyes(SimpleNamespace(clock=hand, provider=hand))  # type: ignore[arg-type]
    assert await stopped_at(eyes) == told
