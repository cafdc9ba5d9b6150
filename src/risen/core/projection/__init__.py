"""What a revision would do and how long that takes: shown by `plan` and `rollout status`, decides nothing."""

from risen.core.projection.forecast import Spread
from risen.core.projection.hindrances import Pinned, hindrances, pinned, quorum_words
from risen.core.projection.waves import How, PoolProgress, Projection, Wave, forecast_whole, progress, project

__all__ = [
    "How",
    "Pinned",
    "PoolProgress",
    "Projection",
    "Spread",
    "Wave",
    "forecast_whole",
    "hindrances",
    "pinned",
    "progress",
    "project",
    "quorum_words",
]
