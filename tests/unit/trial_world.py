"""A worker release that one instance tries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from builders import NOW, Cluster, W
from risen.core.names import ReleaseId
from risen.core.step import PassRelease, RevokeRelease

NEW = ReleaseId("r-w-new")


def tried(ready_ago: float | None = 20.0, launched_ago: float = 40.0, **changes: Any) -> Cluster:
    """A worker release that `w-x` tries; it has taken the place of `w-b`."""
    cluster = Cluster.standing(3, 2).apply(W)
    ready = None if ready_ago is None else NOW.unix - ready_ago
    cluster.serve("w-x", ready_at_unix=ready, launched_at_unix=NOW.unix - launched_ago, **changes)
    cluster.of_release("w-x")
    cluster.nodes["w-x"] = replace(cluster.nodes["w-x"], lease_renewed_unix=NOW.unix)
    for part in (cluster.lives, cluster.instances, cluster.nodes):
        part.pop("w-b")
    if ready_ago is None:
        cluster.nodes["w-x"] = replace(cluster.nodes["w-x"], ready=False)
    return cluster


def revoked(cluster: Cluster) -> list[str]:
    return [step.evidence[0] for step in cluster.steps(RevokeRelease)]  # type: ignore[attr-defined]


def passed(cluster: Cluster) -> list[str]:
    return [step.evidence[0] for step in cluster.steps(PassRelease)]  # type: ignore[attr-defined]
