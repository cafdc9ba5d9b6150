"""The Kubernetes API as the engine uses it. Every write names a uid or resourceVersion where one exists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from risen.core.picture import KubernetesSeen
from risen.core.spec import Taint


class Kubernetes(Protocol):
    """Reads come from a cache kept by list and watch; `observe` raises Unreachable while it is not in sync.

    `patch_node` sets these labels and replaces the taints whose keys are `ours`, uid as precondition.
    `cordon` with `on=False` lets a node take pods again.
    `evict` raises Later when a budget refuses (429, or 500 for two budgets), NotFound when gone, Conflict for
    another uid; with `past_budgets` it is a plain deletion with the pod's own grace.
    `free_pod` marks Failed with condition DisruptionTarget, then deletes with grace 0.
    `apply` is a server-side apply with field manager `risen`, forced; Later while its kind or namespace is not
    served yet. `delete_node` treats NotFound as done.
    `release_lease` empties holderIdentity if it is still `holder`. All raise Unreachable, OutcomeUnknown,
    Denied, Invalid. Source: KEP-555 (apply), KEP-4212 (eviction), KEP-2268 (out-of-service).
    """

    async def observe(self) -> KubernetesSeen: ...
    async def apply(self, manifest: Mapping[str, object]) -> None: ...
    async def patch_node(
        self, node: str, uid: str, labels: Mapping[str, str], taints: tuple[Taint, ...]
    ) -> None: ...
    async def cordon(self, node: str, uid: str, on: bool = True) -> None: ...
    async def taint_out_of_service(self, node: str, uid: str) -> None: ...
    async def evict(self, namespace: str, pod: str, uid: str, past_budgets: bool = False) -> None: ...
    async def free_pod(self, namespace: str, pod: str, uid: str) -> None: ...
    async def delete_node(self, node: str, uid: str) -> None: ...
    async def release_lease(self, lease: str, holder: str) -> None: ...
