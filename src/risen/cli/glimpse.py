"""A glimpse: one look at a cluster, with what the rules would do now. Sends nothing, leads nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from risen.bootstrap import CLOCK, ENTROPY, Cluster, Sights, heartbeat_of, look_at, store_trouble
from risen.cli.consoles import Consoles, read_consoles
from risen.core.blocked import Blocked
from risen.core.deciding import decide
from risen.core.history import History
from risen.core.picture import KubernetesSeen, Picture, Seen
from risen.core.plan import Now, Plan, Supplies
from risen.core.spec import Revision
from risen.engine.observe import Eyes
from risen.engine.past import Past, load_past
from risen.engine.record import read_intents

LOOK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What was seen, what the store remembers, what the rules say, and who leads."""

    cluster: Cluster
    history: History
    picture: Picture
    plan: Plan
    leader: str | None
    boot: float
    unix: float
    consoles: Consoles
    orders: int = 0
    """What people asked for and no controller has taken in yet."""
    seen_unix: float | None = None
    """When the controller last went about its work, whoever leads; None where none has since the boot."""
    store_trouble: str = ""
    """Why the store cannot be written; empty where it can."""
    unread: tuple[Blocked, ...] = ()
    """What people asked for and cannot be read: no controller will ever take it in."""

    @property
    def settled(self) -> bool:
        """Everything wanted is there: nothing asked for, no step to take, nothing awaited, refused or unseen.

        A stranger beside the instances is told of, but there is nothing to be awaited of it.
        """
        seen = isinstance(self.picture.kubernetes, Seen) and isinstance(self.picture.etcd, Seen)
        refused = [item for item in self.plan.blocked if not self._is_stranger(item)]
        nothing = not (self.orders or self.plan.steps or self.plan.waiting or refused)
        return seen and nothing and not self.history.open_entries and not self.not_ready

    def _is_stranger(self, item: Blocked) -> bool:
        """Whether a refusal only says that something the provider lists carries no uid of ours."""
        section = self.picture.provider
        listed = section.value.instances if isinstance(section, Seen) else ()
        return item.name == "foreign" and any(
            one.name == item.subject and one.cluster != self.history.cluster for one in listed
        )

    @property
    def not_ready(self) -> tuple[str, ...]:
        """Living instances whose Node is not Ready, or was never noted as Ready by the controller."""
        ready: set[str] = set()
        match self.picture.kubernetes:
            case Seen(value=KubernetesSeen(nodes=nodes)):
                ready = {node.name for node in nodes if node.ready}
        living = (life for life in self.history.lives.values() if life.gone_at_unix is None)
        late = (one for one in living if one.birth.instance not in ready or one.ready_at_unix is None)
        return tuple(sorted(one.birth.instance for one in late))


class Looker:
    """Keeps clients open between glimpses."""

    def __init__(self, cluster: Cluster, sights: Sights) -> None:
        self.cluster, self.sights = cluster, sights
        self.eyes = Eyes(sights)
        self._past: Past | None = None
        self._orders = 0
        self._unread: tuple[Blocked, ...] = ()

    @classmethod
    async def open(cls, cluster: Cluster, addon_poll_seconds: float | None = None) -> Looker:
        """Without a connection yet. Who watches add-ons being applied says how often to look for them."""
        looker = cls(cluster, await look_at(cluster))
        if addon_poll_seconds is not None:
            looker.sights.kubernetes.poll_addons_every(addon_poll_seconds)
        return looker

    async def look(self) -> Glimpse:
        """One look of several: Kubernetes is followed, and not seen until all of it was listed."""
        self.sights.kubernetes.start()
        history = await self._history()
        return await self._glimpse(history, await self.eyes.look(history, ()))

    async def _history(self) -> History:
        """Read whole at the first look, followed after that. Orders are counted before: one that is taken in
        meanwhile is in the history."""
        intents, self._unread = await read_intents(self.cluster.store)
        self._orders = len(intents)
        if self._past is None:
            self._past = await load_past(self.cluster.store)
            return self._past.history
        return await self._past.follow_births()

    async def _glimpse(self, history: History, picture: Picture) -> Glimpse:
        suffixes = tuple(ENTROPY.suffix() for _ in range(64))
        supplies = Supplies(suffixes, tuple("0" * 32 for _ in range(64)))
        now = Now(CLOCK.boot(), CLOCK.unix())
        plan = decide(_revision(self.cluster), picture, history, now, supplies)
        leader = await self.cluster.leadership.leader()
        consoles = await read_consoles(self.sights.provider, history)
        return Glimpse(
            self.cluster,
            history,
            picture,
            plan,
            leader,
            now.boot,
            now.unix,
            consoles,
            self._orders,
            heartbeat_of(self.sights.settings).seen_unix(),
            store_trouble(self.cluster.host, self.cluster.name),
            self._unread,
        )

    async def look_once(self, bound_seconds: float = LOOK_SECONDS) -> Glimpse:
        """One look, or the first of several, at everything: Kubernetes is listed, all else is looked at meanwhile.
        Where nothing was launched yet there is nothing to list."""
        history = await self._history()
        launched = any(life.launched_at_unix is not None for life in history.lives.values())
        listed = self.sights.kubernetes.list_once(bound_seconds if launched else 0.0)
        _, picture = await asyncio.gather(listed, self.eyes.look(history, ()))
        picture = await self.eyes.look_again(picture, history, frozenset({"kubernetes"}))
        return await self._glimpse(history, picture)

    async def close(self) -> None:
        """End all connections."""
        await self.sights.close()


async def glance(cluster: Cluster) -> Glimpse:
    """One look at everything, with clients of its own."""
    looker = await Looker.open(cluster)
    try:
        return await looker.look_once()
    finally:
        await looker.close()


def _revision(cluster: Cluster) -> Revision:
    assert cluster.revision is not None, "a cluster is looked at only after its first revision"
    return cluster.revision
