"""CoreDNS as an add-on: two replicas on different instances, from the image that was baked in.

It is pulled from nowhere, so its pods go only where that image lies: to instances of the machine images of its own
revision. While a change goes on both sets are whole or wait: a new pod is Ready before an old one ends.

Names outside the cluster go to the node's upstream servers. Where there is none, or none answers, the answer is
SERVFAIL at once, given by a second server block on loopback, instead of a pod that does not start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

from risen.core.names import IMAGE_LABEL, ImageDigest, image_label
from risen.core.spec import ClusterSpec

COREDNS_VERSION = "1.15.0"
"""What is baked where a recipe does not choose another."""
_NAMESPACE = "kube-system"
_LAMEDUCK_SECONDS = 5


def cluster_dns(
    spec: ClusterSpec, version: str, images: Collection[ImageDigest]
) -> tuple[dict[str, Any], ...]:
    """Every object of the cluster's DNS, in apply order. `images` hold CoreDNS of this version."""
    corefile = _corefile(spec)
    return (
        _object("v1", "ServiceAccount", "coredns"),
        *_permissions(),
        _object("v1", "ConfigMap", "coredns", data={"Corefile": corefile}),
        _service(spec),
        _object(
            "policy/v1",
            "PodDisruptionBudget",
            "coredns",
            spec={"maxUnavailable": 1, "selector": {"matchLabels": _labels()}},
        ),
        _object("apps/v1", "Deployment", "coredns", spec=_deployment(corefile, _pod(spec, version, images))),
    )


def _object(api_version: str, kind: str, name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": _NAMESPACE, "labels": _labels()}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def _labels() -> dict[str, str]:
    return {"k8s-app": "kube-dns"}


def _permissions() -> tuple[dict[str, Any], ...]:
    read = ["list", "watch"]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "risen:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": read},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "risen:coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "risen:coredns"},
        "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": _NAMESPACE}],
    }
    return (role, binding)


def _corefile(spec: ClusterSpec) -> str:
    return f""".:53 {{
    errors
    health {{
        lameduck {_LAMEDUCK_SECONDS}s
    }}
    ready
    kubernetes {spec.networking.dns_domain} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf 127.0.0.1:5353 {{
        policy sequential
        max_concurrent 1000
    }}
    cache 30
    loadbalance
}}
.:5353 {{
    bind 127.0.0.1
    template ANY ANY {{
        rcode SERVFAIL
    }}
}}
"""


def _service(spec: ClusterSpec) -> dict[str, Any]:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ]
    fields = {"clusterIP": spec.networking.dns_address, "selector": _labels(), "ports": ports}
    return _object("v1", "Service", "kube-dns", spec=fields)


def _deployment(corefile: str, pod: dict[str, Any]) -> dict[str, Any]:
    """A changed Corefile is a changed pod: none is reloaded in place. What is new may find place for one only, until
    more instances hold its image: so long one of the old ones serves beside it."""
    digest = hashlib.sha256(corefile.encode()).hexdigest()
    return {
        "replicas": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "selector": {"matchLabels": _labels()},
        "template": {
            "metadata": {"labels": _labels(), "annotations": {"risen.dev/corefile": digest}},
            "spec": pod,
        },
    }


def _spread(spec: ClusterSpec) -> dict[str, Any]:
    """On two nodes whatever comes first: in a bring-up both would else go to the first that is Ready, and stay. A
    cluster of one instance has no second."""
    constraint: dict[str, Any] = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _labels()},
    }
    if sum(pool.replicas for pool in spec.pools) < 2:
        return constraint
    return constraint | {
        "whenUnsatisfiable": "DoNotSchedule",
        "minDomains": 2,
        "nodeTaintsPolicy": "Honor",
        "matchLabelKeys": ["pod-template-hash"],
    }


def _where_it_lies(images: Collection[ImageDigest]) -> dict[str, Any]:
    """Nodes of instances whose image holds CoreDNS of this version."""
    values = sorted({image_label(image) for image in images})
    holds = {"key": IMAGE_LABEL, "operator": "In", "values": values}
    required = {"nodeSelectorTerms": [{"matchExpressions": [holds]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def _pod(spec: ClusterSpec, version: str, images: Collection[ImageDigest]) -> dict[str, Any]:
    return {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "affinity": _where_it_lies(images),
        "terminationGracePeriodSeconds": 30,
        "tolerations": [
            {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "risen/uninitialized", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
        ],
        "topologySpreadConstraints": [_spread(spec)],
        "containers": [_container(version)],
        "volumes": [
            {
                "name": "config",
                "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]},
            }
        ],
    }


def _container(version: str) -> dict[str, Any]:
    return {
        "name": "coredns",
        "image": f"risen.local/coredns:{version}",
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {"requests": {"cpu": "50m", "memory": "70Mi"}, "limits": {"memory": "170Mi"}},
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": 8080},
            "initialDelaySeconds": 30,
            "timeoutSeconds": 5,
            "failureThreshold": 5,
        },
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": 8181},
            "periodSeconds": 2,
            "timeoutSeconds": 2,
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
