"""From `apiVersion` and `kind` to a path: a small table for what every cluster has, discovery for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from risen.adapters.kubernetes.api import Api
from risen.adapters.kubernetes.wire import Struct
from risen.interfaces.errors import Invalid, Later, NotFound


@dataclass(frozen=True, slots=True)
class Resource:
    """Where objects of a kind live."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str = "", name: str = "") -> str:
        """The URL path of one object, of a namespace's, or of all."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


_KNOWN = (
    ("v1", "Namespace namespaces, ServiceAccount serviceaccounts, ConfigMap configmaps, Service services"),
    ("v1", "Secret secrets"),
    ("apps/v1", "Deployment deployments, DaemonSet daemonsets, StatefulSet statefulsets"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole clusterroles, ClusterRoleBinding clusterrolebindings"),
    ("rbac.authorization.k8s.io/v1", "Role roles, RoleBinding rolebindings"),
    ("policy/v1", "PodDisruptionBudget poddisruptionbudgets"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy validatingadmissionpolicies"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding validatingadmissionpolicybindings"),
    ("scheduling.k8s.io/v1", "PriorityClass priorityclasses"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition customresourcedefinitions"),
)
_CLUSTER_WIDE = frozenset(
    {
        "Namespace", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding", "PriorityClass", "CustomResourceDefinition",
    }
)  # fmt: skip


def known_resources() -> dict[tuple[str, str], Resource]:
    """Kinds that an add-on bundle commonly holds, by (apiVersion, kind)."""
    found = {}
    for api_version, names in _KNOWN:
        for pair in names.split(", "):
            kind, plural = pair.split(" ")
            resource = Resource(api_version, kind, plural, kind not in _CLUSTER_WIDE)
            found[api_version, kind] = resource
    return found


class _ApiResource(Struct, frozen=True):
    name: str
    kind: str
    namespaced: bool = False


class _ApiResources(Struct, frozen=True):
    resources: tuple[_ApiResource, ...] = ()


class Resources:
    """Remembers what discovery said."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._found = known_resources()

    def all(self) -> tuple[Resource, ...]:
        """Every kind known so far."""
        return tuple(self._found.values())

    async def of(self, manifest: Mapping[str, object]) -> Resource:
        """Where a manifest's object lives. Invalid without apiVersion and kind; Later for a kind that the API
        does not serve (its definition may not be established yet)."""
        api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
        if not isinstance(api_version, str) or not isinstance(kind, str):
            raise Invalid("a manifest without apiVersion or kind")
        if (api_version, kind) not in self._found:
            await self._discover(api_version)
        resource = self._found.get((api_version, kind))
        if resource is None:
            raise Later(
                f"the API does not serve {kind} in {api_version}: not yet, or its definition is missing"
            )
        return resource

    async def _discover(self, api_version: str) -> None:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            served = await self._api.get(path, _ApiResources)
        except NotFound as error:
            raise Later(f"the API does not serve {api_version} (yet): {error}") from error
        for item in served.resources:
            if "/" not in item.name:
                resource = Resource(api_version, item.kind, item.name, item.namespaced)
                self._found.setdefault((api_version, item.kind), resource)
