"""Check: right before steps are sent, on freshly read facts, what the safety rules say once more."""

from __future__ import annotations

from dataclasses import replace

from risen.core.blocked import Blocked
from risen.core.history import History
from risen.core.picture import Picture
from risen.core.plan import Now
from risen.core.safety.recheck import needs_of, recheck
from risen.core.step import Step, StepInFlight
from risen.engine.observe import Eyes


async def check(
    eyes: Eyes, picture: Picture, history: History, steps: tuple[Step, ...], now: Now
) -> tuple[tuple[Step, ...], tuple[tuple[Step, Blocked], ...]]:
    """Read afresh what these steps need, then judge them one after another.

    A step that passes counts as in flight for those after it, so that two of one batch cannot together do
    what neither may do alone. Returns (steps to send, refused steps with the refusal).
    """
    needed: frozenset[str] = frozenset().union(*(needs_of(step) for step in steps))
    fresh = await eyes.look_again(picture, history, needed) if needed else picture
    now = replace(now, boot=eyes.world.clock.boot(), unix=eyes.world.clock.unix())
    passed: list[Step] = []
    refused: list[tuple[Step, Blocked]] = []
    for step in steps:
        blocked = recheck(step, fresh, history, now)
        if blocked is not None:
            refused.append((step, blocked))
            continue
        passed.append(step)
        fresh = replace(fresh, in_flight=(*fresh.in_flight, StepInFlight(step, now.boot)))
    return tuple(passed), tuple(refused)
