"""Notice: what a picture shows for the first time becomes an event. Facts only; it decides nothing."""

from __future__ import annotations

from risen.core.events import BecameReady, Event, KillDone, Launched, ReplaceDone, SeenGone
from risen.core.fold import apply
from risen.core.history import History, Life
from risen.core.picture import InstanceSeen, InstanceState, Picture, Seen
from risen.engine.record import Records

NOT_LAUNCHED = (InstanceState.UNKNOWN, InstanceState.UNFINISHED)
"""States that do not show whether a launch was carried out."""


async def notice(records: Records, before: History, picture: Picture, unix: float) -> History:
    """Append an event for each instance first seen ready or gone, and for each kill or replacement that is done.

    `before` is the history from before the look: an instance that was launched during it is not gone
    because the list was read a moment earlier. Returns `before` with these events.
    """
    for event in noticed(before, picture, unix):
        await records.append(event)
        before = apply(before, event)
    return before


def noticed(history: History, picture: Picture, unix: float) -> tuple[Event, ...]:
    """The new events, in a stable order.

    A launch whose answer was lost is known by its provider id from when it is first seen: only by that id is
    its Node ours once it is gone.
    A kill is done once its instance is gone *and* that is in the ledger: a person's kill of what is gone
    already is what opens its entry when a storm holds repair back. A person's wish for another in its place is
    done once it is in the ledger, or it was gone already.
    """
    subjects = {entry.subject for entry in history.entries.values()}
    events: list[Event] = []
    if isinstance(picture.kubernetes, Seen):
        for node in sorted(picture.kubernetes.value.nodes, key=lambda node: node.name):
            life = history.lives.get(node.name)
            if life is not None and node.ready and life.ready_at_unix is None:
                events.append(BecameReady(unix, node.name))
    if isinstance(picture.provider, Seen):
        for seen in sorted(picture.provider.value.instances, key=lambda instance: instance.name):
            life = history.lives.get(seen.name)
            if life is None or life.gone_at_unix is not None:
                continue
            if seen.state is not InstanceState.GONE:
                if _first_seen(history, life, seen):
                    events.append(Launched(unix, seen.name, seen.provider_id))
                continue
            if life.launched_at_unix is not None or seen.name in subjects:
                events.append(SeenGone(unix, seen.name))
    gone = {event.instance for event in events if isinstance(event, SeenGone)}
    gone |= {name for name, life in history.lives.items() if life.gone_at_unix is not None}
    done = {name for name in gone if name in subjects}
    events.extend(KillDone(unix, kill.id) for kill in history.kills if kill.instance in done)
    taken = {entry.subject for entry in history.open_entries} | gone
    events.extend(
        ReplaceDone(unix, asked.id)
        for asked in history.replaces
        if asked.instance in taken or asked.instance not in history.lives
    )
    return tuple(events)


def _first_seen(history: History, life: Life, seen: InstanceSeen) -> bool:
    """Whether this shows a launch that is not on record. What is gone may just as well never have been."""
    ours = seen.cluster == history.cluster and bool(seen.provider_id)
    return ours and life.provider_id is None and seen.state not in NOT_LAUNCHED
