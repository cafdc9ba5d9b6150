"""The second check judges what is read then, not what was planned on, and each step beside those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from builders import Cluster, id_of
from risen.core.names import InstanceName
from risen.core.picture import EtcdSeen, InstanceSeen, InstanceState, ProviderSeen, Seen
from risen.core.step import Destroy, PowerOn
from risen.engine.check import check
from risen.engine.observe import Eyes
from risen.interfaces.errors import NotFound, Unreachable

W_A = InstanceName("w-a")


@dataclass
class Answers:
    """A world that answers what a cluster in the making shows; `silent` are neither listed nor answered for."""

    cluster: Cluster
    silent: set[str] = field(default_factory=set)

    @property
    def provider(self) -> Any:
        return self

    @property
    def etcd(self) -> Any:
        return EtcdAnswers(self.cluster)

    @property
    def clock(self) -> Any:
        return self

    def boot(self) -> float:
        return self.cluster.now.boot

    def unix(self) -> float:
        return self.cluster.now.unix

    async def list(self) -> ProviderSeen:
        seen = tuple(one for name, one in self.cluster.instances.items() if name not in self.silent)
        return ProviderSeen(seen, self.cluster.host_boot)

    async def get(self, name: str) -> InstanceSeen:
        if name in self.silent:
            raise Unreachable("nobody answers")
        raise NotFound(name)


@dataclass
class EtcdAnswers:
    """Its members as the cluster shows them."""

    cluster: Cluster

    async def observe(self, addresses: Sequence[str]) -> EtcdSeen:
        seen = self.cluster.picture().etcd
        assert isinstance(seen, Seen)
        return seen.value


def eyes_on(answers: Any) -> Eyes:
    return Eyes(answers)


async def test_what_came_back_since_the_plan_is_not_powered_on() -> None:
    planned, now = Cluster.standing().stop("w-a"), Cluster.standing()
    steps = (PowerOn(W_A, id_of("w-a")),)
    passed, refused = await check(
        eyes_on(Answers(now)), planned.picture(), planned.history(), steps, planned.now
    )
    assert (passed, [blocked.why for _, blocked in refused]) == ((), ["the provider says running of it"])


async def test_two_steps_that_each_may_be_sent_and_claim_the_same_are_not_sent_together() -> None:
    cluster = Cluster.standing(3, 0).open("cp-b", "kill").open("cp-c", "kill")
    steps = tuple(Destroy(InstanceName(name), id_of(name), True) for name in ("cp-b", "cp-c"))
    passed, refused = await check(
        eyes_on(Answers(cluster)), cluster.picture(), cluster.history(), steps, cluster.now
    )
    assert (passed, [step for step, _ in refused]) == (steps[:1], [steps[1]])


async def test_what_is_neither_listed_nor_answered_for_is_unknown_and_not_gone() -> None:
    cluster = Cluster.standing()
    picture = await eyes_on(Answers(cluster, {"w-a"})).look_again(
        cluster.picture(), cluster.history(), frozenset({"provider"})
    )
    assert isinstance(picture.provider, Seen)
    states = {one.name: one.state for one in picture.provider.value.instances}
    assert states[W_A] is InstanceState.UNKNOWN


@dataclass
class AwayOnce(Answers):
    """Its provider's list fails the second time."""

    lists: int = 0

    async def list(self) -> ProviderSeen:
        self.lists += 1
        if self.lists == 2:
            raise Unreachable("nobody answers")
        return await super().list()


async def test_what_could_not_be_read_says_since_when_it_can_be_again() -> None:
    cluster = Cluster.standing()
    eyes, since = eyes_on(AwayOnce(cluster)), []
    for _ in range(4):
        cluster.now = replace(cluster.now, boot=cluster.now.boot + 1)
        seen = (await eyes.look_again(cluster.picture(), cluster.history(), frozenset({"provider"}))).provider
        since.append(seen.since - cluster.now.boot if seen.since else None)
    assert since == [None, 0.0, 0.0, -1.0]
