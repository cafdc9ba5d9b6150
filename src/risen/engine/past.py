"""The past: a cluster's history out of its store, read whole once and from then on only what was appended.

It writes nothing and takes no part in leading: whoever looks at a cluster may follow its past.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TypeVar

from risen.codec import records
from risen.core.events import Born, Event
from risen.core.fold import apply, begin, complete
from risen.core.history import History
from risen.core.step import Birth, Bootstrap
from risen.interfaces.errors import Corrupt, NotFound
from risen.interfaces.store import Store

PAGE_RECORDS = 2000
"""Read at once: all events of years would not fit the controller's memory beside everything else."""
T = TypeVar("T")


@dataclass(slots=True)
class Past:
    """History, the last record of the stream that it holds, and the keys of all births in it."""

    store: Store
    history: History
    seq: int = 0
    births: set[str] = field(default_factory=set)

    async def follow(self) -> History:
        """Apply what lies in the stream behind `seq`, in its order. Raises Corrupt, TooNew, Unreachable."""
        async for seq, event in _events(self.store, self.seq):
            if seq > self.seq:  # two tasks may follow at the same time: each event once
                self.history, self.seq = apply(self.history, event), seq
                if isinstance(event, Born):
                    self.births.add(records.birth_key(event.birth.instance))
        return self.history

    async def follow_births(self) -> History:
        """The same, and any birth whose event was never written, for who does not write births himself."""
        keys = await self.store.list(records.BIRTHS)
        await self.follow()
        if not self.births.issuperset(keys):
            await self.read_again()
        return self.history

    async def read_again(self) -> None:
        """Everything from the beginning."""
        past = await load_past(self.store)
        self.history, self.seq, self.births = past.history, past.seq, past.births


async def _events(store: Store, after: int) -> AsyncIterator[tuple[int, Event]]:
    more = True
    while more:
        page = await store.read(records.EVENTS, after, PAGE_RECORDS)
        for seq, data in page:
            yield seq, records.decode_event(data, seq)
            after = seq
        more = len(page) == PAGE_RECORDS


async def load_past(store: Store) -> Past:
    """All that lies in the store. Raises NotFound when it is not a cluster's store, Corrupt, TooNew, Unreachable.

    Births are looked for before the stream is read, so that one written meanwhile is taken from its event.
    """
    cluster = await store.get(records.CLUSTER)
    if cluster is None:
        raise NotFound("the store has no cluster in it: `risen up` makes one")
    uid = records.decode(cluster.data, records.ClusterRecord, records.CLUSTER).uid
    keys = await store.list(records.BIRTHS)
    past = Past(store, begin(uid))
    await past.follow()
    untold = [key for key in keys if key not in past.births]
    if untold:
        past = Past(store, begin(uid, [await _object(store, key, Birth) for key in untold]), 0, set(untold))
        await past.follow()
    bootstraps = [await _object(store, key, Bootstrap) for key in await store.list(records.BOOTSTRAPS)]
    past.history = complete(past.history, bootstraps, await _etcd_cluster_id(store))
    return past


async def _etcd_cluster_id(store: Store) -> str:
    seen = await store.get(records.ETCD_CLUSTER_ID)
    if seen is None:
        return ""
    return records.decode(seen.data, records.EtcdClusterId, records.ETCD_CLUSTER_ID).cluster_id


async def _object(store: Store, key: str, kind: type[T]) -> T:
    there = await store.get(key)
    if there is None:
        raise Corrupt(f"{key}: listed by the store, but not there")
    return records.decode(there.data, kind, key)
