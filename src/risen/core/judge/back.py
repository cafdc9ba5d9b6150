"""Why a revision is gone back from. It proposes nothing."""

from __future__ import annotations

from risen.core.history import History
from risen.core.spec import Revision

PAUSE, RESUME, ABORT = "pause", "resume", "abort"
"""Orders of people on a revision's rollout; the last one holds."""


def why_gone_back(history: History, revision: Revision) -> str | None:
    """None while it is headed for. Without one that stood there is no back. One that stands is not aborted any more; a
    release of it may still prove bad where its pool was empty and nobody had tried it."""
    if not history.settled:
        return None
    order = history.orders.get(revision.number)
    if order is not None and order.order == ABORT and history.completed < revision.number:
        return f"aborted by {order.by or 'somebody'}"
    for release in revision.releases:
        revoked = history.revoked.get(release.release)
        if revoked is not None:
            return f"{revoked.release} is revoked: {'; '.join(revoked.evidence)}"
    return None
