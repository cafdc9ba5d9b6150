"""Where the time of a planned replacement went, out of a cluster's events. Reads no store and no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from risen.core.events import (
    BecameReady,
    Born,
    EntryClosed,
    EntryOpened,
    Event,
    Launched,
    ReplaceAsked,
    SeenGone,
)
from risen.core.names import InstanceName


@dataclass(frozen=True)
class Replacement:
    """Unix seconds. `asked` of a person; `closed` when the ledger's entry was, which is the whole of it."""

    old: InstanceName
    new: InstanceName
    asked: float
    launched: float
    ready: float
    opened: float
    gone: float
    closed: float

    @property
    def whole(self) -> float:
        """From the wish to the closed entry."""
        return self.closed - self.asked

    @property
    def boot(self) -> float:
        """From the new one's launch to Ready."""
        return self.ready - self.launched

    @property
    def drain(self) -> float:
        """From the old one's entry to the old one gone: drain, preStop, power off; of a control plane its handover."""
        return self.gone - self.opened

    def beyond(self, soak_seconds: float) -> float:
        """What is neither boot nor drain nor the soak that the pool's strategy wants."""
        return self.whole - self.boot - self.drain - soak_seconds


def last_replacement(events: Sequence[Event], old: InstanceName) -> Replacement:
    """The replacement of this instance, which must be over. Fails with what is missing."""
    moments: dict[str, float] = {}
    new, entry = InstanceName(""), ""
    for event in events:
        match event:
            case ReplaceAsked(unix=unix, instance=name) if name == old:
                moments["asked"] = unix
            case Born(birth=birth) if "asked" in moments and not new:
                new = birth.instance
            case Launched(unix=unix, instance=name) if name == new:
                moments.setdefault("launched", unix)
            case BecameReady(unix=unix, instance=name) if name == new:
                moments.setdefault("ready", unix)
            case EntryOpened(unix=unix, subject=name) if name == old and "asked" in moments:
                moments["opened"], entry = unix, event.entry
            case SeenGone(unix=unix, instance=name) if name == old:
                moments.setdefault("gone", unix)
            case EntryClosed(unix=unix, entry=closed) if closed == entry and entry:
                moments["closed"] = unix
            case _:
                continue
    wanted = ("asked", "launched", "ready", "opened", "gone", "closed")
    missing = [name for name in wanted if name not in moments]
    assert not missing, f"{old}: its events lack {missing}"
    return Replacement(old, new, *(moments[name] for name in wanted))
