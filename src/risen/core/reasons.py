"""Why an instance is taken out: the closed list of a ledger entry's reasons."""

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
