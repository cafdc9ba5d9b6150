"""cluster.yaml: what is taken, what is refused, by which words and at which place."""

from __future__ import annotations

import pytest

from risen.codec.cluster_yaml import parse_cluster
from risen.codec.yaml_nodes import Problems
from risen.core.names import Role
from risen.core.spec import ClusterSpec, LocalProvider, Taint

SMALL = """\
apiVersion: risen/v1alpha1
kind: Cluster
metadata: {name: dev}
spec:
  kubernetes: {version: "1.36.3"}
  provider: {local: {}}
  pools:
  - {name: control-plane, role: control-plane, replicas: 3}
  - {name: worker, role: worker, replicas: 2}
"""
FULL = """\
apiVersion: risen/v1alpha1
kind: Cluster
metadata: {name: prod-eu}
spec:
  deletionProtection: true
  kubernetes:
    version: "1.35.4"
    apiServer: {certSANs: [api.prod-eu.acme.net, 192.0.2.7], extraArgs: {v: "4", audit-log-maxage: "30"}}
    controllerManager: {extraArgs: {leader-elect-lease-duration: 120s}}
    scheduler: {extraArgs: {v: "3"}}
    serviceAccountIssuer: https://oidc.acme.net/prod-eu
  etcd: {extraArgs: {heartbeat-interval: "500", election-timeout: "5000"}}
  networking:
    cni: none
    kubeProxy: {enabled: false}
    podSubnet: 10.32.0.0/16
    serviceSubnet: 10.33.0.0/20
    dnsDomain: acme.local
  provider: {local: {subnet: 10.78.0.0/24, disk: 12Gi, memory: 4Gi, endpoint: {checkEvery: 1s500ms}}}
  repair: {mode: observe, maxUnhealthy: 20%}
  pools:
  - {name: cp, role: control-plane, replicas: 5, image: {recipe: ./cp/recipe.yaml}}
  - name: general
    role: worker
    replicas: 0
    labels: {tier: general, topology.kubernetes.io/zone: a}
    taints: [{key: nvidia.com/gpu, effect: NoSchedule}, {key: a, value: b, effect: NoExecute}]
    kubelet: {maxPods: 60}
"""


def _with(old: str, new: str, text: str = SMALL) -> str:
    assert old in text
    return text.replace(old, new)


def _refused(text: str) -> list[str]:
    with pytest.raises(Problems) as caught:
        parse_cluster(text, "cluster.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_the_smallest_file_gives_every_default() -> None:
    spec = parse_cluster(SMALL, "cluster.yaml")
    assert spec == ClusterSpec("dev", "1.36.3", spec.pools)
    assert [(p.name, p.role, p.replicas, p.recipe, p.max_pods) for p in spec.pools] == [
        ("control-plane", Role.CONTROL_PLANE, 3, "recipe.yaml", 110),
        ("worker", Role.WORKER, 2, "recipe.yaml", 110),
    ]


def test_every_field_arrives_in_the_spec() -> None:
    spec = parse_cluster(FULL, "cluster.yaml")
    assert (spec.deletion_protection, spec.kubernetes_version) == (True, "1.35.4")
    assert spec.cert_sans == ("api.prod-eu.acme.net", "192.0.2.7")
    assert spec.api_server_extra_args == (("audit-log-maxage", "30"), ("v", "4"))
    assert spec.service_account_issuer == "https://oidc.acme.net/prod-eu"
    assert (spec.networking.cni, spec.networking.kube_proxy) == ("none", False)
    assert (spec.networking.dns_address, spec.networking.dns_domain) == ("10.33.0.10", "acme.local")
    assert spec.provider == LocalProvider("10.78.0.0/24", 12, 1.5, 4)
    assert spec.controller_manager_extra_args == (("leader-elect-lease-duration", "120s"),)
    assert spec.scheduler_extra_args == (("v", "3"),)
    assert spec.etcd_extra_args == (("election-timeout", "5000"), ("heartbeat-interval", "500"))
    assert (spec.repair.mode, spec.repair.max_unhealthy_percent) == ("observe", 20)
    control_plane, general = spec.pools
    assert (control_plane.recipe, control_plane.replicas) == ("cp/recipe.yaml", 5)
    assert general.labels == (("tier", "general"), ("topology.kubernetes.io/zone", "a"))
    assert general.taints == (Taint("a", "b", "NoExecute"), Taint("nvidia.com/gpu", "", "NoSchedule"))
    assert general.max_pods == 60


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.40", 'must be text: write "1.40" in quotes (unquoted, YAML reads the number 1.4)'),
        ('"1.40"', '"1.40" is not in this Risen, which has 1.36.3, 1.35.4'),
        ('"v1.36.3"', '"v1.36.3" is not in this Risen, which has 1.36.3, 1.35.4 (did you mean "1.36.3"?)'),
        ("", "must be text, not nothing"),
    ],
)
def test_a_version_that_cannot_be_raised_is_refused_with_the_reason(version: str, expected: str) -> None:
    found = _refused(_with('"1.36.3"', version))
    assert found == [f"cluster.yaml:5:{25 if version else 24}: spec.kubernetes.version: {expected}"]


@pytest.mark.parametrize(
    ("where", "written", "path"),
    [
        ("  pools:", "  provider: {aws: {region: eu-central-1}}\n", "spec.provider.aws"),
        ("  pools:", "  keys: {kms: x}\n", "spec.keys.kms"),
        ("  pools:", "  keys: {age: [x]}\n", "spec.keys.age"),
        ("  pools:", "  etcd: {external: {endpoints: []}}\n", "spec.etcd.external"),
        ("  pools:", "  etcd: {snapshots: {every: 15m}}\n", "spec.etcd.snapshots"),
        ("  pools:", "  store: s3://acme-risen/prod\n", "spec.store"),
        ("  pools:", "  addons: [./a.yaml]\n", "spec.addons"),
        ("  pools:", "  disruption: {windows: []}\n", "spec.disruption.windows"),
    ],
)
def test_what_is_planned_but_not_built_is_refused_by_name(where: str, written: str, path: str) -> None:
    base = SMALL.replace("  provider: {local: {}}\n", "") if "provider" in written else SMALL
    found = _refused(_with(where, written + where, base))
    assert any(f" {path}: is not built yet; this Risen has: " in line for line in found), found


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("cloudProvider: external", "spec.kubernetes.cloudProvider"),
        ("instanceTypes: [m7g.large]", "spec.pools[1].instanceTypes"),
        ("image: {channel: stable}", "spec.pools[1].image.channel"),
        ("image: {digest: x}", "spec.pools[1].image.digest"),
        ("kubelet: {systemReserved: {cpu: 1}}", "spec.pools[1].kubelet.systemReserved"),
    ],
)
def test_fields_of_later_issues_are_refused_by_name(field: str, path: str) -> None:
    if "kubernetes" in path:
        text = _with('{version: "1.36.3"}', f'{{version: "1.36.3", {field}}}')
    else:
        text = _with("role: worker, replicas: 2", f"role: worker, replicas: 2, {field}")
    found = _refused(text)
    assert len(found) == 1
    assert f"{path}: is not built yet; this Risen has: " in found[0]


@pytest.mark.parametrize("size", ["4", "1Gi", "2048Mi", "1025Gi", "-4Gi"])
def test_a_memory_that_no_node_could_run_in_is_refused(size: str) -> None:
    (found,) = _refused(_with("local: {}", f"local: {{memory: '{size}'}}"))
    assert (
        f'spec.provider.local.memory: must be a size from 2Gi to 1024Gi, such as 4Gi, not "{size}"' in found
    )


@pytest.mark.parametrize(
    ("replicas", "why"),
    [
        (0, "without a control plane there is no cluster"),
        (2, "losing 1 of 2 stops it"),
        (4, "4 bear the loss of 1, like 3"),
        (6, "even numbers bear no more losses than one less"),
        (7, "more only slows writes"),
    ],
)
def test_a_control_plane_that_etcd_is_worse_off_with_is_refused_with_the_reason(
    replicas: int, why: str
) -> None:
    (found,) = _refused(_with("replicas: 3", f"replicas: {replicas}"))
    assert found.startswith(
        f"cluster.yaml:8:58: spec.pools[0].replicas: must be 1, 3 or 5 (etcd members), not {replicas}: {why}"
    )


def test_a_cluster_has_exactly_one_control_plane_pool() -> None:
    assert _refused(_with("role: control-plane", "role: worker")) == [
        "cluster.yaml:8:3: spec.pools: one pool must have role control-plane"
    ]
    (found,) = _refused(_with("role: worker, replicas: 2", "role: control-plane, replicas: 1"))
    assert "spec.pools[1].role: a second control-plane pool" in found


def test_pools_cannot_share_a_name() -> None:
    (found,) = _refused(_with("name: worker", "name: control-plane"))
    assert (
        found
        == 'cluster.yaml:9:12: spec.pools[1].name: a second pool named "control-plane": choose another name'
    )


@pytest.mark.parametrize("bad", ["Dev", "1dev", "dev-", "-dev", "de_v", "a.b", "x" * 21])
def test_names_that_do_not_fit_into_dns_or_interfaces_are_refused(bad: str) -> None:
    (found,) = _refused(_with("name: dev", f'name: "{bad}"'))
    assert found.startswith(f'cluster.yaml:3:18: metadata.name: "{bad}" ')
    (found,) = _refused(_with("name: worker", f'name: "{bad}"'))
    assert "spec.pools[1].name: " in found


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ("podSubnet: 10.96.0.0/16", "podSubnet: 10.96.0.0/16 overlaps spec.networking.serviceSubnet"),
        ("podSubnet: 10.0.0.0/8", "podSubnet: 10.0.0.0/8 overlaps spec.provider.local.subnet 10.77.0.0/24"),
        ("podSubnet: 10.244.0.0/24", "podSubnet: /24 must be /8 to /22: each instance takes a /24 of it"),
        (
            "podSubnet: 10.244.1.0/16",
            'podSubnet: "10.244.1.0/16" must be a network\'s own address: write 10.244.0.0/16',
        ),
        ("podSubnet: fd00::/48", "podSubnet: IPv6 is not built yet; this Risen has: IPv4"),
        ("podSubnet: 127.0.0.0/8", "podSubnet: 127.0.0.0/8 is kept for other uses"),
        ("podSubnet: pods", "podSubnet: must be an IPv4 network such as"),
        ("serviceSubnet: 10.96.0.0/25", "serviceSubnet: /25 must be /12 to /24"),
        ("dnsDomain: a_b", "dnsDomain: must be a DNS domain"),
        ("cni: cilium", "cni: must be 'flannel' or 'none', not \"cilium\""),
    ],
)
def test_networks_that_cannot_work_are_refused(networks: str, expected: str) -> None:
    found = _refused(_with("  pools:", f"  networking: {{{networks}}}\n  pools:"))
    assert any(expected in line for line in found), found


def test_the_instances_network_must_be_a_24_apart_from_the_others() -> None:
    (size,) = _refused(_with("local: {}", "local: {subnet: 10.77.0.0/16}"))
    assert "subnet: /16 must be /24: instances get .10 to .250 of it" in size
    (overlap,) = _refused(_with("local: {}", "local: {subnet: 10.96.3.0/24}"))
    assert "local.subnet: 10.96.3.0/24 overlaps spec.networking.serviceSubnet 10.96.0.0/16" in overlap


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("labels: {kubernetes.io/arch: x}", "kubernetes.io/ is kept for Kubernetes"),
        ("labels: {node.kubernetes.io/x: x}", "node.kubernetes.io/ is kept for Kubernetes"),
        ("labels: {x.k8s.io/a: x}", "x.k8s.io/ is kept for Kubernetes"),
        ("labels: {risen/pool: x}", "risen/ is kept for Risen"),
        ("labels: {node-role.kubernetes.io/x: ''}", "Risen sets node-role.kubernetes.io/"),
        ("labels: {-a: x}", '"-a" must be 1 to 63 letters'),
        ("labels: {a/b/c: x}", '"a/b" before the "/" must be a DNS domain'),
        ("labels: {a: 'x y'}", '"x y" must be at most 63 letters'),
        ("labels: {a: true}", 'must be text: write "true" in quotes'),
        (
            "taints: [{key: a, effect: NoRun}]",
            "must be 'NoSchedule', 'PreferNoSchedule' or 'NoExecute', not \"NoRun\"",
        ),
        (
            "taints: [{key: a, effect: NoExecute}, {key: a, value: b, effect: NoExecute}]",
            "a:NoExecute stands already",
        ),
        ("kubelet: {maxPods: 251}", "must be at most 250, not the number 251"),
        ("replica: 3", 'unknown field (did you mean "replicas"?)'),
    ],
)
def test_labels_taints_and_settings_follow_kubernetes_rules(field: str, expected: str) -> None:
    (found,) = _refused(_with("role: worker, replicas: 2", f"role: worker, replicas: 2, {field}"))
    assert expected in found
    assert found.startswith("cluster.yaml:9:")


def test_a_role_that_is_not_there_is_named() -> None:
    assert "role etcd is not built yet" in _refused(_with("role: worker", "role: etcd"))[0]
    assert 'not "wrker" (did you mean "worker"?)' in _refused(_with("role: worker", "role: wrker"))[0]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--v: '4'", 'write the flag without dashes: "v"'),
        ("etcd-servers: x", 'Risen sets "etcd-servers" itself'),
        ("V: '4'", '"V" is no flag'),
        ('v: "4\\n5"', "must be one line"),
    ],
)
def test_flags_that_would_break_the_api_server_are_refused(argument: str, expected: str) -> None:
    (found,) = _refused(
        _with('{version: "1.36.3"}', f'{{version: "1.36.3", apiServer: {{extraArgs: {{{argument}}}}}}}')
    )
    assert expected in found


@pytest.mark.parametrize(
    ("program", "argument", "expected"),
    [
        ("controllerManager", "leader-elect: 'false'", 'Risen sets "leader-elect" itself'),
        ("scheduler", "--v: '4'", 'write the flag without dashes: "v"'),
        ("scheduler", "V: '4'", '"V" is no flag of kube-scheduler'),
    ],
)
def test_flags_that_would_break_the_controllers_are_refused(
    program: str, argument: str, expected: str
) -> None:
    (found,) = _refused(
        _with('{version: "1.36.3"}', f'{{version: "1.36.3", {program}: {{extraArgs: {{{argument}}}}}}}')
    )
    assert expected in found


def test_flags_that_would_break_etcd_are_refused() -> None:
    (found,) = _refused(_with("spec:\n", "spec:\n  etcd: {extraArgs: {force-new-cluster: 'true'}}\n"))
    assert 'Risen sets "force-new-cluster" itself' in found


@pytest.mark.parametrize("every", ["50ms", "11s", "fast", "1ms5s"])
def test_a_period_of_the_endpoints_checks_that_is_none_is_refused(every: str) -> None:
    (found,) = _refused(_with("local: {}", f"local: {{endpoint: {{checkEvery: {every}}}}}"))
    assert "must be a duration from 100ms to 10s" in found


def test_more_instances_than_addresses_are_refused() -> None:
    (found,) = _refused(_with("replicas: 2", "replicas: 198"))
    assert "spec.pools: 201 instances: a /24 has addresses for 200" in found


def test_trouble_of_single_fields_and_across_fields_comes_at_once() -> None:
    text = _with("replicas: 3", "replicas: 4", _with("name: dev", "name: Dev"))
    assert len(_refused(_with("local: {}", "local: {subnet: 10.96.0.0/24}", text))) == 3


@pytest.mark.parametrize(
    "text", ["[]", "spec: 3", "spec: {pools: 3}", "spec: {pools: [3]}", "spec: {pools: []}", "a"]
)
def test_data_of_any_shape_gets_problems_and_no_crash(text: str) -> None:
    assert _refused(text)
