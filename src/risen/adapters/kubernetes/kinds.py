"""What is followed by list and watch, and what of it is kept."""

from __future__ import annotations

from typing import Any

from risen.adapters.kubernetes import wire
from risen.adapters.kubernetes.boiling import (
    Pods,
    attachment,
    budget_seen,
    lease_holder,
    local_volume,
    node_lease,
    node_seen,
)
from risen.adapters.kubernetes.cache import PODS
from risen.adapters.kubernetes.reflector import Kind

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
NODE_LEASES = "node-leases"
NODES = Kind("nodes", "/api/v1/nodes", wire.Node, node_seen)
NODE_LEASE_KIND = Kind(NODE_LEASES, LEASES.format("kube-node-lease"), wire.Lease, node_lease)
HOLDERS = Kind("lease-holders", LEASES.format("kube-system"), wire.Lease, lease_holder)
BUDGETS = Kind("budgets", "/apis/policy/v1/poddisruptionbudgets", wire.Budget, budget_seen)
ATTACHMENTS = Kind("attachments", "/apis/storage.k8s.io/v1/volumeattachments", wire.Attachment, attachment)
VOLUMES = Kind("local-volumes", "/api/v1/persistentvolumes", wire.PersistentVolume, local_volume)


def kinds() -> tuple[Kind[Any], ...]:
    """Every kind, each to be followed by a reflector of its own."""
    pods = Kind(PODS, "/api/v1/pods", wire.Pod, Pods().seen)
    return (NODES, pods, NODE_LEASE_KIND, HOLDERS, BUDGETS, ATTACHMENTS, VOLUMES)
