"""What differs between two cluster.yaml, and of every field what a change of it does to running instances.

Pure. Decides nothing: `risen apply` and `plan` say from this what they refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from risen.codec.cluster_yaml import ClusterWritten
from risen.core.spec import ClusterSpec, PoolSpec


class Effect(StrEnum):
    """What changing a field does."""

    NOTHING = "replaces nothing"
    ROLLS = "rolls instances"
    FIXED = "fixed once the cluster is up"


EFFECTS: Mapping[str, Effect] = MappingProxyType(
    {
        "metadata.name": Effect.FIXED,
        "spec.store": Effect.FIXED,
        "spec.deletionProtection": Effect.NOTHING,
        "spec.kubernetes.version": Effect.ROLLS,
        "spec.kubernetes.apiServer.certSANs": Effect.ROLLS,
        "spec.kubernetes.apiServer.extraArgs": Effect.ROLLS,
        "spec.kubernetes.serviceAccountIssuer": Effect.ROLLS,
        "spec.networking.cni": Effect.ROLLS,
        "spec.networking.kubeProxy.enabled": Effect.ROLLS,
        "spec.networking.podSubnet": Effect.FIXED,
        "spec.networking.serviceSubnet": Effect.FIXED,
        "spec.networking.dnsDomain": Effect.FIXED,
        "spec.provider.local.subnet": Effect.FIXED,
        "spec.provider.local.disk": Effect.ROLLS,
        "spec.repair.mode": Effect.NOTHING,
        "spec.repair.maxUnhealthy": Effect.NOTHING,
        "spec.pools[]": Effect.NOTHING,
        "spec.pools[].name": Effect.FIXED,
        "spec.pools[].role": Effect.FIXED,
        "spec.pools[].replicas": Effect.NOTHING,
        "spec.pools[].image.recipe": Effect.ROLLS,
        "spec.pools[].labels": Effect.NOTHING,
        "spec.pools[].taints": Effect.NOTHING,
        "spec.pools[].kubelet.maxPods": Effect.ROLLS,
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
        """Whether running instances cannot stay as they are: rolled, or not possible at all."""
        return self.effect is not Effect.NOTHING

    def __str__(self) -> str:
        return f"{self.path}: {self.old or 'none'} → {self.new or 'none'} ({self.effect})"


@dataclass(frozen=True, slots=True)
class FieldDoc:
    """One field as the reference shows it. `default` is empty where it is required or a mapping."""

    path: str
    kind: str
    required: bool
    default: str
    description: str
    effect: Effect | None
    not_built: tuple[tuple[str, str], ...] = ()
    """Fields of this mapping that are refused by name, with what there is instead."""


def effect_of(path: str) -> Effect:
    """What a change of the field at a path does; pools by name (`spec.pools[worker].labels`) or `[]`.

    Raises KeyError for a path that is no field's."""
    return EFFECTS[re.sub(r"\[[^]]*]", "[]", path)]


def compare(old: ClusterSpec, new: ClusterSpec) -> tuple[Change, ...]:
    """Every field that differs, by path. A pool that came or went is one change."""
    before, after = dict(_fields(old)), dict(_fields(new))
    changes = [
        Change(path, before.get(path, ""), after.get(path, ""), effect_of(path))
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


def schema() -> tuple[FieldDoc, ...]:
    """Every field of cluster.yaml in the order in which it is written, for the reference."""
    return tuple(_walk(ClusterWritten, ""))


def _fields(spec: ClusterSpec) -> Iterator[tuple[str, str]]:
    networking = spec.networking
    yield "metadata.name", spec.name
    yield "spec.store", spec.store
    yield "spec.deletionProtection", _flag(spec.deletion_protection)
    yield "spec.kubernetes.version", spec.kubernetes_version
    yield "spec.kubernetes.apiServer.certSANs", ", ".join(spec.cert_sans)
    yield "spec.kubernetes.apiServer.extraArgs", _pairs(spec.api_server_extra_args)
    yield "spec.kubernetes.serviceAccountIssuer", spec.service_account_issuer
    yield "spec.networking.cni", networking.cni
    yield "spec.networking.kubeProxy.enabled", _flag(networking.kube_proxy)
    yield "spec.networking.podSubnet", networking.pod_subnet
    yield "spec.networking.serviceSubnet", networking.service_subnet
    yield "spec.networking.dnsDomain", networking.dns_domain
    yield "spec.provider.local.subnet", spec.provider.subnet
    yield "spec.provider.local.disk", f"{spec.provider.disk_gib}Gi"
    yield "spec.repair.mode", spec.repair.mode
    yield "spec.repair.maxUnhealthy", f"{spec.repair.max_unhealthy_percent}%"
    for pool in spec.pools:
        yield from _pool_fields(pool)


def _pool_fields(pool: PoolSpec) -> Iterator[tuple[str, str]]:
    path = f"spec.pools[{pool.name}]"
    yield path, "present"
    yield f"{path}.role", pool.role.value
    yield f"{path}.replicas", str(pool.replicas)
    yield f"{path}.image.recipe", pool.recipe
    yield f"{path}.labels", _pairs(pool.labels)
    taints = (f"{taint.key}={taint.value}:{taint.effect}" for taint in sorted(pool.taints))
    yield f"{path}.taints", ", ".join(taints)
    yield f"{path}.kubelet.maxPods", str(pool.max_pods)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(pairs))


def _walk(model: type[BaseModel], prefix: str) -> Iterator[FieldDoc]:
    for name, info in model.model_fields.items():
        path = f"{prefix}{info.alias or name}"
        inner, many = _inner(info.annotation)
        here = f"{path}[]" if many else path
        later = tuple(getattr(inner, "not_built", {}).items())
        required = info.is_required()
        yield FieldDoc(
            path=here,
            kind=_kind(info),
            required=required,
            default="" if required or inner else _default(info),
            description=info.description or "",
            effect=EFFECTS.get(here) or EFFECTS.get(path),
            not_built=later,
        )
        if inner:
            yield from _walk(inner, f"{here}.")


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside an annotation, and whether it is a list of them."""
    if get_origin(annotation) is list:
        inner, _ = _inner(get_args(annotation)[0])
        return inner, inner is not None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    return None, False


def _kind(info: FieldInfo) -> str:
    annotation: Any = info.annotation
    inner, many = _inner(annotation)
    if inner:
        return "list" if many else "mapping"
    if get_args(annotation) and all(isinstance(one, str) for one in get_args(annotation)):
        return " or ".join(get_args(annotation))
    names = {
        str: "text",
        int: "whole number",
        bool: "true or false",
        list: "list of text",
        dict: "mapping of text",
    }
    return names.get(get_origin(annotation) or annotation, "text")


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True)
    return _flag(value) if isinstance(value, bool) else str(value or "")
