"""What differs between two cluster.yaml, and of every field what a change of it does to running instances.

Pure. Decides nothing: `risen apply` and `plan` say from this what they refuse.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from risen.codec.cluster_yaml import ClusterWritten
from risen.codec.fields import FieldDoc, field_docs
from risen.codec.rollout_checks import duration_text, share_text
from risen.core.names import Role
from risen.core.spec import ClusterSpec, Gate, PoolSpec


class Effect(StrEnum):
    """What changing a field does."""

    NOTHING = "replaces nothing"
    ROLLS = "rolls instances"
    FIXED = "fixed once the cluster is up"
    ENDS = "its instances are drained and ended"


EFFECTS: Mapping[str, Effect] = MappingProxyType(
    {
        "metadata.name": Effect.FIXED,
        "spec.deletionProtection": Effect.NOTHING,
        "spec.kubernetes.version": Effect.FIXED,
        "spec.kubernetes.apiServer.certSANs": Effect.ROLLS,
        "spec.kubernetes.apiServer.extraArgs": Effect.ROLLS,
        "spec.kubernetes.controllerManager.extraArgs": Effect.ROLLS,
        "spec.kubernetes.scheduler.extraArgs": Effect.ROLLS,
        "spec.kubernetes.serviceAccountIssuer": Effect.FIXED,
        "spec.etcd.extraArgs": Effect.ROLLS,
        "spec.registries": Effect.ROLLS,
        "spec.registries[].host": Effect.ROLLS,
        "spec.registries[].credentialsFile": Effect.NOTHING,
        "spec.networking.cni": Effect.ROLLS,
        "spec.networking.kubeProxy.enabled": Effect.ROLLS,
        "spec.networking.podSubnet": Effect.FIXED,
        "spec.networking.serviceSubnet": Effect.FIXED,
        "spec.networking.dnsDomain": Effect.FIXED,
        "spec.provider.local.subnet": Effect.FIXED,
        "spec.provider.local.disk": Effect.FIXED,
        "spec.provider.local.memory": Effect.FIXED,
        "spec.provider.local.endpoint.checkEvery": Effect.FIXED,
        "spec.repair.mode": Effect.NOTHING,
        "spec.repair.maxUnhealthy": Effect.NOTHING,
        "spec.disruption.drainTimeout": Effect.NOTHING,
        "spec.disruption.onDrainTimeout": Effect.NOTHING,
        "spec.disruption.loadBalancerSeconds": Effect.NOTHING,
        "spec.gates": Effect.NOTHING,
        "spec.pools[]": Effect.NOTHING,
        "spec.pools[].name": Effect.FIXED,
        "spec.pools[].role": Effect.FIXED,
        "spec.pools[].replicas": Effect.NOTHING,
        "spec.pools[].minReplicas": Effect.NOTHING,
        "spec.pools[].maxReplicas": Effect.NOTHING,
        "spec.pools[].image.recipe": Effect.ROLLS,
        "spec.pools[].labels": Effect.NOTHING,
        "spec.pools[].taints": Effect.NOTHING,
        "spec.pools[].kubelet.maxPods": Effect.ROLLS,
        "spec.pools[].strategy.maxSurge": Effect.NOTHING,
        "spec.pools[].strategy.maxUnavailable": Effect.NOTHING,
        "spec.pools[].strategy.minReadySeconds": Effect.NOTHING,
        "spec.pools[].expireAfter": Effect.NOTHING,
    }
)
"""By written path. `spec.pools[]` itself: a pool more launches instances, a pool less ends its own."""


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One field that differs. `old` is empty for what is new, `new` for what is gone; a pool is named in its
    path: `spec.pools[worker].replicas`."""

    path: str
    old: str
    new: str
    effect: Effect

    @property
    def rolls(self) -> bool:
        """Whether running instances are replaced by it."""
        return self.effect is Effect.ROLLS

    @property
    def fixed(self) -> bool:
        """Whether it cannot be changed on a cluster that is up."""
        return self.effect is Effect.FIXED

    def __str__(self) -> str:
        return f"{self.path}: {self.old or 'none'} → {self.new or 'none'} ({self.effect})"


def effect_of(path: str) -> Effect:
    """What a change of the field at a path does; pools by name (`spec.pools[worker].labels`) or `[]`.

    Raises KeyError for a path that is no field's."""
    return EFFECTS[re.sub(r"\[[^]]*]", "[]", path)]


def compare(old: ClusterSpec, new: ClusterSpec) -> tuple[Change, ...]:
    """Every field that differs, by path. A pool that came or went is one change."""
    before, after = dict(_fields(old)), dict(_fields(new))
    changes = [
        _change(path, before.get(path, ""), after.get(path, ""))
        for path in {**before, **after}
        if before.get(path) != after.get(path)
    ]
    came_or_went = [change.path for change in changes if change.path.endswith("]")]
    return tuple(
        sorted(
            change
            for change in changes
            if not any(change.path.startswith(f"{pool}.") for pool in came_or_went)
        )
    )


def _change(path: str, old: str, new: str) -> Change:
    """A change of one field. The control plane's own pool neither comes nor goes: its members hold the data."""
    control_plane = f"a {Role.CONTROL_PLANE.value} pool"
    effect = effect_of(path)
    if path.endswith("]"):
        effect = Effect.FIXED if control_plane in (old, new) else effect if new else Effect.ENDS
    return Change(path, old, new, effect)


def schema() -> tuple[tuple[FieldDoc, Effect | None], ...]:
    """Every field of cluster.yaml in the order in which it is written, with what changing it does (None for
    what only holds others)."""
    return tuple(
        (field, EFFECTS.get(field.path) or EFFECTS.get(field.path.removesuffix("[]")))
        for field in field_docs(ClusterWritten)
    )


def _fields(spec: ClusterSpec) -> Iterator[tuple[str, str]]:
    networking = spec.networking
    yield "metadata.name", spec.name
    yield "spec.deletionProtection", _flag(spec.deletion_protection)
    yield "spec.kubernetes.version", spec.kubernetes_version
    yield "spec.kubernetes.apiServer.certSANs", ", ".join(spec.cert_sans)
    yield "spec.kubernetes.apiServer.extraArgs", _pairs(spec.api_server_extra_args)
    yield "spec.kubernetes.controllerManager.extraArgs", _pairs(spec.controller_manager_extra_args)
    yield "spec.kubernetes.scheduler.extraArgs", _pairs(spec.scheduler_extra_args)
    yield "spec.kubernetes.serviceAccountIssuer", spec.service_account_issuer
    yield "spec.etcd.extraArgs", _pairs(spec.etcd_extra_args)
    yield "spec.registries", ", ".join(spec.registries)
    yield "spec.networking.cni", networking.cni
    yield "spec.networking.kubeProxy.enabled", _flag(networking.kube_proxy)
    yield "spec.networking.podSubnet", networking.pod_subnet
    yield "spec.networking.serviceSubnet", networking.service_subnet
    yield "spec.networking.dnsDomain", networking.dns_domain
    yield "spec.provider.local.subnet", spec.provider.subnet
    yield "spec.provider.local.disk", f"{spec.provider.disk_gib}Gi"
    memory = spec.provider.memory_gib
    yield "spec.provider.local.memory", f"{memory}Gi" if memory else ""
    yield "spec.provider.local.endpoint.checkEvery", duration_text(spec.provider.endpoint_check_seconds)
    yield "spec.repair.mode", spec.repair.mode
    yield "spec.repair.maxUnhealthy", f"{spec.repair.max_unhealthy_percent}%"
    yield "spec.disruption.drainTimeout", duration_text(spec.disruption.drain_timeout_seconds)
    yield "spec.disruption.onDrainTimeout", spec.disruption.on_drain_timeout
    yield "spec.disruption.loadBalancerSeconds", f"{spec.disruption.load_balancer_seconds:.0f}"
    yield "spec.gates", ", ".join(_gate(gate) for gate in spec.gates)
    for pool in spec.pools:
        yield from _pool_fields(pool)


def _pool_fields(pool: PoolSpec) -> Iterator[tuple[str, str]]:
    path = f"spec.pools[{pool.name}]"
    yield path, f"a {pool.role.value} pool"
    yield f"{path}.role", pool.role.value
    if pool.max_replicas is None:
        yield f"{path}.replicas", str(pool.replicas)
    else:
        yield f"{path}.minReplicas", str(pool.replicas)
        yield f"{path}.maxReplicas", str(pool.max_replicas)
    yield f"{path}.image.recipe", pool.recipe
    yield f"{path}.labels", _pairs(pool.labels)
    taints = (f"{taint.key}={taint.value}:{taint.effect}" for taint in sorted(pool.taints))
    yield f"{path}.taints", ", ".join(taints)
    yield f"{path}.kubelet.maxPods", str(pool.max_pods)
    yield f"{path}.strategy.maxSurge", share_text(pool.strategy.max_surge)
    yield f"{path}.strategy.maxUnavailable", share_text(pool.strategy.max_unavailable)
    yield f"{path}.strategy.minReadySeconds", f"{pool.strategy.min_ready_seconds:.0f}"
    expire = pool.expire_after_seconds
    yield f"{path}.expireAfter", "" if expire is None else duration_text(expire)


def _gate(gate: Gate) -> str:
    """A Job by the digest of its manifest."""
    digest = hashlib.sha256(gate.job.encode()).hexdigest()[:12]
    what = f"Job {digest}" if gate.job else f"GET {gate.url} → {gate.status}"
    return f"{gate.name} ({what} within {duration_text(gate.timeout_seconds)})"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(pairs))
