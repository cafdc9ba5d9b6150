"""The add-on bundle and the table of ports."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any, cast

from risen.core.names import IMAGE_LABEL, ImageDigest, PoolName, ReleaseId, Role
from risen.core.ports import Peer, service_ports
from risen.core.rules.nodes import wanted_labels
from risen.core.spec import ClusterSpec, Networking, PoolSpec, Taint
from risen.instance.addons import DIGEST_ANNOTATION, Addon, addon_bundle

CONTROL_PLANE = PoolSpec(PoolName("control-plane"), Role.CONTROL_PLANE, 3)
WORKER = PoolSpec(
    PoolName("general"), Role.WORKER, 2, labels=(("tier", "general"), ("risen.dev/pool", "stolen")),
    taints=(Taint("gpu", "", "NoSchedule"),),
)  # fmt: skip
SPEC = ClusterSpec("dev", "1.36.3", (CONTROL_PLANE, WORKER))
COREDNS = "1.16.2"
IMAGES = (ImageDigest(f"sha256:{'ab' * 32}"), ImageDigest(f"sha256:{'01' * 32}"))


def bundle(spec: ClusterSpec) -> tuple[Addon, ...]:
    return addon_bundle(spec, COREDNS, IMAGES)


def manifest(spec: ClusterSpec, kind: str, name: str) -> Any:
    (found,) = (addon for addon in bundle(spec) if addon.key.endswith(f"/{kind}/{where(addon)}/{name}"))
    return cast(Any, found.manifest)


def where(addon: Addon) -> str:
    return addon.key.split("/")[-2]


def test_a_digest_covers_the_manifest_and_stands_in_its_own_annotation() -> None:
    for addon in bundle(SPEC):
        bare = json.loads(json.dumps(addon.manifest))
        assert bare["metadata"]["annotations"].pop(DIGEST_ANNOTATION) == addon.digest
        if not bare["metadata"]["annotations"]:
            del bare["metadata"]["annotations"]
        text = json.dumps(bare, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == addon.digest


def test_keys_are_unique_and_say_version_kind_namespace_and_name() -> None:
    keys = [addon.key for addon in bundle(SPEC)]
    assert len(set(keys)) == len(keys)
    assert keys[-1] == "apps/v1/Deployment/kube-system/coredns"
    assert "v1/Service/kube-system/kube-dns" in keys
    assert "rbac.authorization.k8s.io/v1/ClusterRoleBinding//risen:admins" in keys


def test_only_the_objects_that_a_setting_reaches_change_their_digest() -> None:
    other = replace(SPEC, networking=Networking(dns_domain="corp.local"))
    before, after = bundle(SPEC), bundle(other)
    changed = {one.key for one, two in zip(before, after, strict=True) if one.digest != two.digest}
    assert changed == {"v1/ConfigMap/kube-system/coredns", "apps/v1/Deployment/kube-system/coredns"}


def test_nothing_is_bound_to_system_masters_and_admins_are_a_group_of_ours() -> None:
    assert "system:masters" not in json.dumps([addon.manifest for addon in bundle(SPEC)])
    admins = manifest(SPEC, "ClusterRoleBinding", "risen:admins")
    assert (admins["roleRef"]["name"], admins["subjects"][0]["name"]) == ("cluster-admin", "risen:admins")


def test_dns_is_two_pods_from_the_baked_image_spread_and_kept_by_a_budget() -> None:
    deployment = manifest(SPEC, "Deployment", "coredns")["spec"]
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert (deployment["replicas"], container["imagePullPolicy"]) == (2, "Never")
    assert container["image"] == "risen.local/coredns:1.16.2"
    (spread,) = pod["topologySpreadConstraints"]
    assert (spread["whenUnsatisfiable"], spread["minDomains"]) == ("DoNotSchedule", 2)
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert manifest(SPEC, "PodDisruptionBudget", "coredns")["spec"]["maxUnavailable"] == 1
    assert manifest(SPEC, "Service", "kube-dns")["spec"]["clusterIP"] == SPEC.networking.dns_address


def test_dns_runs_only_where_the_image_that_it_is_baked_into_runs() -> None:
    """It is pulled from nowhere: on a node of another image its pod would wait for ever."""
    pod = manifest(SPEC, "Deployment", "coredns")["spec"]["template"]["spec"]
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    ((where,),) = (term["matchExpressions"] for term in required["nodeSelectorTerms"])
    assert where == {"key": IMAGE_LABEL, "operator": "In", "values": ["010101010101", "abababababab"]}
    labels = {dict(wanted_labels(WORKER, ReleaseId("r-1"), image))[IMAGE_LABEL] for image in IMAGES}
    assert labels == set(where["values"])


def test_in_a_cluster_of_one_instance_both_dns_pods_run_on_it() -> None:
    alone = replace(SPEC, pools=(replace(SPEC.pools[0], replicas=1),))
    (spread,) = manifest(alone, "Deployment", "coredns")["spec"]["template"]["spec"][
        "topologySpreadConstraints"
    ]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"


def test_a_changed_corefile_makes_new_pods() -> None:
    other = replace(SPEC, networking=Networking(dns_domain="corp.local"))
    templates = [manifest(spec, "Deployment", "coredns")["spec"]["template"] for spec in (SPEC, other)]
    assert templates[0]["metadata"] != templates[1]["metadata"]


def test_a_kubelet_may_create_only_the_node_of_its_clusters_own_provider_id() -> None:
    policy = manifest(SPEC, "ValidatingAdmissionPolicy", "risen-born-nodes-only")["spec"]
    assert policy["failurePolicy"] == "Fail"
    assert "'risen-local://dev/' + object.metadata.name + '/'" in policy["validations"][0]["expression"]
    binding = manifest(SPEC, "ValidatingAdmissionPolicyBinding", "risen-born-nodes-only")["spec"]
    assert binding["validationActions"] == ["Deny"]


def test_etcd_peers_only_with_members_and_a_worker_serves_no_control_plane_port() -> None:
    table = {port.port: port for port in service_ports(SPEC, Role.CONTROL_PLANE)}
    assert table[2380].peers == (Peer.MEMBERS,)
    assert Peer.PODS not in table[2379].peers
    assert {port.port for port in service_ports(SPEC, Role.WORKER)} == {8472, 10250, 10256, 30000}


def test_a_port_of_an_absent_program_is_not_in_the_table() -> None:
    bare = replace(SPEC, networking=Networking(cni="none", kube_proxy=False))
    assert {port.port for port in service_ports(bare, Role.WORKER)} == {10250}
