"""Why an instance is taken out: the closed list of a ledger entry's reasons; and the outcomes that let it live."""

from __future__ import annotations

REPAIR = "repair"
KILL = "kill"
NEVER_JOINED = "never-joined"
SCALE_DOWN = "scale-down"
ROLLOUT = "rollout"
"""Its release is not the one wanted."""
ROLLBACK = "rollback"
"""Its release is of a revision that goes back."""
REPLACE = "replace"
"""A person asked for another in its place, without harm to what runs on it."""
EXPIRY = "expiry"
"""It is older than its pool's `expireAfter`."""

ROLLING = frozenset({ROLLOUT, ROLLBACK, REPLACE, EXPIRY})
"""Planned, and another instance takes its place."""
PLANNED = ROLLING | {SCALE_DOWN}
"""The instance is drained and powered off in order."""

RECOVERED = "recovered"
"""Outcome of an entry whose subject came back by itself."""
SKIPPED = "skipped"
"""Outcome of an entry whose drain took too long: its subject stays until the next revision."""
CALLED_OFF = "called off"
"""Outcome of an entry whose subject is what is headed for after all."""
PUT_OFF = "put off"
"""Outcome of an entry whose drain took too long while another of its pool could be drained: it goes later."""
LET_LIVE = frozenset({RECOVERED, SKIPPED, CALLED_OFF, PUT_OFF})
"""Every other outcome of a closed entry ends its subject's story."""
