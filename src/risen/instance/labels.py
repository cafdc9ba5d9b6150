"""Labels and taints that a pool's Nodes carry. They are Kubernetes objects: changing them replaces nothing."""

from __future__ import annotations

from risen.core.names import ReleaseId, Role
from risen.core.spec import PoolSpec, Taint

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
POOL_LABEL, RELEASE_LABEL = "risen.dev/pool", "risen.dev/release"


def node_labels(pool: PoolSpec, release: ReleaseId) -> tuple[tuple[str, str], ...]:
    """Sorted by key. The pool's own labels never stand in for Risen's."""
    labels = dict(pool.labels)
    labels |= {POOL_LABEL: pool.name, RELEASE_LABEL: release}
    if pool.role is Role.CONTROL_PLANE:
        labels[CONTROL_PLANE_LABEL] = ""
    return tuple(sorted(labels.items()))


def node_taints(pool: PoolSpec) -> tuple[Taint, ...]:
    """Sorted; a control-plane pool keeps ordinary pods away."""
    taints = set(pool.taints)
    if pool.role is Role.CONTROL_PLANE:
        taints.add(Taint(CONTROL_PLANE_LABEL, "", "NoSchedule"))
    return tuple(sorted(taints))
