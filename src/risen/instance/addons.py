"""The add-on bundle: what Risen itself keeps in the API, in the order in which it is applied.

Applied by server-side apply, when `core/rules/addons.py` says so. Each object carries the digest of its own
manifest, so that what is there can be compared with what is wanted without reading it field by field.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from risen.core.names import ImageDigest
from risen.core.spec import ClusterSpec
from risen.instance.cluster_dns import cluster_dns

DIGEST_ANNOTATION = "risen.dev/digest"
ADMINS, VIEWERS, KUBELET_CLIENTS = "risen:admins", "risen:viewers", "risen:kubelet-clients"
"""Groups that certificates carry; none of them is `system:masters`."""
_NODES = "system:nodes"
_RBAC = "rbac.authorization.k8s.io/v1"
_ADMISSION = "admissionregistration.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Addon:
    """One object. `key` is `APIVERSION/KIND/NAMESPACE/NAME`, the namespace empty where there is none; `digest`
    is hex SHA-256, also in the manifest's annotation."""

    key: str
    digest: str
    manifest: Mapping[str, object] = field(repr=False)


def addon_bundle(
    spec: ClusterSpec, coredns_version: str, images: Collection[ImageDigest]
) -> tuple[Addon, ...]:
    """Every object of the bundle, in apply order: permissions, policy, then DNS, of the version in the images, and on
    instances of these alone."""
    manifests = [*_permissions(), *_born_nodes_only(spec), *cluster_dns(spec, coredns_version, images)]
    return tuple(_addon(manifest) for manifest in manifests)


def _addon(manifest: Mapping[str, Any]) -> Addon:
    marked: dict[str, Any] = copy.deepcopy(dict(manifest))
    metadata = marked["metadata"]
    metadata.setdefault("labels", {})["app.kubernetes.io/managed-by"] = "risen"
    digest = hashlib.sha256(json.dumps(marked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    metadata.setdefault("annotations", {})[DIGEST_ANNOTATION] = digest
    where = f"{metadata.get('namespace', '')}/{metadata['name']}"
    return Addon(f"{marked['apiVersion']}/{marked['kind']}/{where}", digest, marked)


def _permissions() -> tuple[dict[str, Any], ...]:
    """kube-proxy and flannel run with the node's own credentials."""
    flannel = {
        "apiVersion": _RBAC,
        "kind": "ClusterRole",
        "metadata": {"name": "risen:flannel"},
        "rules": [
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
        ],
    }
    return (
        _bind("risen:admins", "cluster-admin", ADMINS),
        _bind("risen:viewers", "view", VIEWERS),
        _bind("risen:kubelet-clients", "system:kubelet-api-admin", KUBELET_CLIENTS),
        _bind("risen:node-proxier", "system:node-proxier", _NODES),
        flannel,
        _bind("risen:flannel", "risen:flannel", _NODES),
    )


def _bind(name: str, role: str, group: str) -> dict[str, Any]:
    return {
        "apiVersion": _RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
    }


def _born_nodes_only(spec: ClusterSpec) -> tuple[dict[str, Any], ...]:
    """A kubelet's certificate lets it create its Node again; this asks that the Node names a provider id of this
    cluster and of that very name, and the taint that only Risen takes away."""
    prefix = f"risen-local://{spec.name}/"
    validations = [
        {
            "expression": "has(object.spec.providerID) && object.spec.providerID.startsWith("
            f"'{prefix}' + object.metadata.name + '/')",
            "message": f"the providerID is not that of an instance of this name in cluster {spec.name}",
        },
        {
            "expression": "has(object.spec.taints) && "
            "object.spec.taints.exists(t, t.key == 'risen/uninitialized')",
            "message": "a Node registers with the taint risen/uninitialized",
        },
    ]
    nodes = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nodes"]}
    kubelets = "request.userInfo.username.startsWith('system:node:')"
    policy = {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "risen-born-nodes-only"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [nodes]},
            "matchConditions": [{"name": "by-a-kubelet", "expression": kubelets}],
            "validations": validations,
        },
    }
    binding = {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "risen-born-nodes-only"},
        "spec": {"policyName": "risen-born-nodes-only", "validationActions": ["Deny"]},
    }
    return (policy, binding)
