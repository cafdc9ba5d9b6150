"""What a join answer holds per role, and that a release names exactly what is not an instance's own."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from typing import Any

import pytest

from risen.core.names import ClusterUid, ImageDigest, InstanceName, PoolName, ProviderId, Role
from risen.core.spec import ClusterSpec, Networking, PoolSpec, Taint
from risen.instance import layout
from risen.instance.answer import Credentials, pack_answer, render_answer, render_release
from risen.instance.control_plane import EtcdJoin, SharedSecrets
from risen.instance.settings import AnswerFile, Identity

CONTROL_PLANE = PoolSpec(PoolName("control-plane"), Role.CONTROL_PLANE, 3)
WORKER = PoolSpec(PoolName("general"), Role.WORKER, 2)
SPEC = ClusterSpec("dev", "1.36.3", (CONTROL_PLANE, WORKER))
IMAGE = ImageDigest("sha256:" + "a" * 64)
ETCD = EtcdJoin("old=https://10.77.0.9:2380,new=https://10.77.0.10:2380", "existing", "tok")
SECRETS = SharedSecrets("PRIVATE", "PUBLIC", "k1", "c2VjcmV0")


def identity(pool: PoolSpec) -> Identity:
    name = InstanceName(f"{pool.name}-bcdfg")
    return Identity(
        name, pool.role, pool.name, ClusterUid("uid"), "10.77.0.10", ProviderId(f"risen-local://dev/{name}/1"),
        "10.77.0.1",
    )  # fmt: skip


def credentials(role: Role) -> Credentials:
    return Credentials(
        {purpose: f"crt {purpose}" for purpose in layout.purposes(role)},
        {name: f"ca {name}" for name in layout.authorities(role)},
        SECRETS if role is Role.CONTROL_PLANE else None,
    )


def answer(pool: PoolSpec, spec: ClusterSpec = SPEC) -> dict[str, AnswerFile]:
    etcd = ETCD if pool.role is Role.CONTROL_PLANE else None
    made = render_release(spec, pool, IMAGE)
    files = render_answer(made, identity(pool), etcd, credentials(pool.role))
    return {file.path: file for file in files}


def flags(files: dict[str, AnswerFile], path: str) -> dict[str, str]:
    lines = files[path].data.decode().splitlines()
    return dict(line.removeprefix("--").split("=", 1) for line in lines)


def value(files: dict[str, AnswerFile], name: str) -> Any:
    return json.loads(files[f"/etc/kubernetes/{name}"].data)


def release(pool: PoolSpec, spec: ClusterSpec = SPEC) -> str:
    return render_release(spec, pool, IMAGE).id


@pytest.mark.parametrize("pool", [CONTROL_PLANE, WORKER], ids=str)
def test_an_answer_holds_only_paths_that_the_join_script_takes(pool: PoolSpec) -> None:
    assert set(answer(pool)) <= set(layout.answer_paths(pool.role))


@pytest.mark.parametrize("pool", [CONTROL_PLANE, WORKER], ids=str)
def test_no_answer_holds_a_key_that_was_made_on_the_instance_or_a_key_of_an_authority(pool: PoolSpec) -> None:
    files = answer(pool)
    assert not {layout.key(purpose) for purpose in layout.purposes(pool.role)} & set(files)
    keys = [path for path in files if path.endswith(".key")]
    assert keys == (["/etc/kubernetes/pki/sa.key"] if pool is CONTROL_PLANE else [])


def test_what_is_secret_is_readable_by_root_only_and_in_no_workers_answer() -> None:
    files = answer(CONTROL_PLANE)
    secret = {path for path, file in files.items() if b"PRIVATE" in file.data or b"c2VjcmV0" in file.data}
    assert secret == {"/etc/kubernetes/pki/sa.key", "/etc/kubernetes/encryption.yaml"}
    assert {files[path].mode for path in secret} == {0o600}
    assert not secret & set(answer(WORKER))


def test_a_control_plane_instance_talks_to_its_own_apiserver_and_a_worker_to_the_endpoint() -> None:
    def api(files: dict[str, AnswerFile], name: str) -> str:
        return str(value(files, name)["clusters"][0]["cluster"]["server"])

    own = answer(CONTROL_PLANE)
    configs = ("kubelet.conf", "controller-manager.conf", "scheduler.conf")
    assert {api(own, name) for name in configs} == {"https://10.77.0.10:6443"}
    assert api(answer(WORKER), "kubelet.conf") == "https://10.77.0.1:6443"


def test_a_node_registers_with_its_provider_id_and_the_taint_that_only_the_engine_takes_away() -> None:
    kubelet = value(answer(WORKER), "kubelet.yaml")
    assert kubelet["providerID"] == "risen-local://dev/general-bcdfg/1"
    assert kubelet["registerWithTaints"] == [{"key": "risen/uninitialized", "effect": "NoSchedule"}]


def test_etcd_trusts_peers_and_clients_by_different_authorities_and_joins_as_it_was_told() -> None:
    etcd = flags(answer(CONTROL_PLANE), "/etc/etcd/etcd.flags")
    assert etcd["trusted-ca-file"] == "/etc/kubernetes/pki/etcd-client-ca.crt"
    assert etcd["peer-trusted-ca-file"] == "/etc/kubernetes/pki/etcd-peer-ca.crt"
    assert etcd["initial-cluster"] == "old=https://10.77.0.9:2380,new=https://10.77.0.10:2380"
    assert (etcd["initial-cluster-state"], etcd["client-cert-auth"]) == ("existing", "true")


def test_secrets_are_written_sealed_and_anonymous_callers_see_health_only() -> None:
    files = answer(CONTROL_PLANE)
    providers = value(files, "encryption.yaml")["resources"][0]["providers"]
    assert [next(iter(provider)) for provider in providers] == ["secretbox", "identity"]
    conditions = value(files, "authentication.yaml")["anonymous"]["conditions"]
    assert [condition["path"] for condition in conditions] == ["/livez", "/readyz", "/healthz"]


def test_every_apiserver_writes_an_audit_log_of_who_did_what_without_content() -> None:
    files = answer(CONTROL_PLANE)
    found = flags(files, "/etc/kubernetes/kube-apiserver.flags")
    assert found["audit-policy-file"] == "/etc/kubernetes/audit-policy.yaml"
    assert found["audit-log-path"] == "/var/log/kubernetes/audit.log"
    assert (found["audit-log-maxsize"], found["audit-log-maxbackup"]) == ("50", "3")
    rules = value(files, "audit-policy.yaml")["rules"]
    assert rules[-1] == {"level": "Metadata"}, "whatever no rule before it leaves out"
    assert {rule["level"] for rule in rules} == {"None", "Metadata"}
    wide = [rule for rule in rules[:-1] if not {"nonResourceURLs", "resources", "verbs"} & rule.keys()]
    assert wide == [], "no rule leaves out all that somebody does"


def test_every_file_that_a_flag_names_under_etc_is_in_the_answer_or_made_on_the_instance() -> None:
    files = answer(CONTROL_PLANE)
    there = set(files) | {layout.key(purpose) for purpose in layout.purposes(Role.CONTROL_PLANE)}
    named = {
        word
        for path in files
        if path.endswith(".flags")
        for word in flags(files, path).values()
        if word.startswith("/etc/")
    }
    assert len(named) > 20
    assert named <= there


@pytest.mark.parametrize(("version", "expected"), [("1.36.3", True), ("1.35.4", False)])
def test_the_lease_is_released_on_exit_where_kubernetes_knows_the_gate(version: str, expected: bool) -> None:
    files = answer(CONTROL_PLANE, replace(SPEC, kubernetes_version=version))
    gates = flags(files, "/etc/kubernetes/kube-controller-manager.flags").get("feature-gates", "")
    assert ("ControllerManagerReleaseLeaderElectionLockOnExit=true" in gates) is expected


@pytest.mark.parametrize(
    ("field", "file"),
    [
        ("api_server_extra_args", "kube-apiserver.flags"),
        ("controller_manager_extra_args", "kube-controller-manager.flags"),
        ("scheduler_extra_args", "kube-scheduler.flags"),
        ("etcd_extra_args", "etcd.flags"),
    ],
)
def test_a_users_own_flags_come_last_and_a_line_break_in_one_is_refused(field: str, file: str) -> None:
    found = answer(CONTROL_PLANE, replace(SPEC, **{field: (("own", "2h"),)}))
    (text,) = (value.data for path, value in found.items() if path.endswith(f"/{file}"))
    assert text.endswith(b"--own=2h\n")
    with pytest.raises(ValueError, match="line break"):
        answer(CONTROL_PLANE, replace(SPEC, **{field: (("own", "2h\n--v=9"),)}))


def test_without_flannel_and_kube_proxy_neither_is_given_a_file() -> None:
    spec = replace(SPEC, networking=Networking(cni="none", kube_proxy=False))
    assert not [path for path in answer(WORKER, spec) if "flannel" in path or "proxy" in path]


def test_secrets_for_a_worker_or_none_for_the_control_plane_are_a_programmers_error() -> None:
    worker, plane = render_release(SPEC, WORKER, IMAGE), render_release(SPEC, CONTROL_PLANE, IMAGE)
    own, granted = identity(CONTROL_PLANE), credentials(Role.CONTROL_PLANE)
    with pytest.raises(ValueError, match="shared secrets"):
        render_answer(worker, identity(WORKER), None, replace(credentials(Role.WORKER), secrets=SECRETS))
    with pytest.raises(ValueError, match=r"needs secret.encryption-key-id"):
        render_answer(plane, own, ETCD, replace(granted, secrets=None))
    with pytest.raises(ValueError, match=r"needs etcd.members"):
        render_answer(plane, own, None, granted)
    with pytest.raises(ValueError, match=r"needs certificate.kubelet-client"):
        render_answer(worker, identity(WORKER), None, Credentials({}, {"cluster": "ca"}))


def test_a_packed_answer_is_the_same_bytes_for_any_order_and_belongs_to_root() -> None:
    files = tuple(answer(WORKER).values())
    packed = pack_answer(files)
    assert packed == pack_answer(tuple(reversed(files)))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(file.path[1:] for file in files)
    assert {(member.uid, member.mtime) for member in members} == {(0, 0)}


@pytest.mark.parametrize("pool", [CONTROL_PLANE, WORKER], ids=str)
def test_what_rolls_nothing_leaves_the_release_as_it_is(pool: PoolSpec) -> None:
    changed = replace(pool, replicas=9, labels=(("tier", "x"),), taints=(Taint("a", "b", "NoSchedule"),))
    grown = replace(SPEC, pools=(*SPEC.pools, replace(WORKER, name=PoolName("more"))))
    assert release(changed, grown) == release(pool)


@pytest.mark.parametrize("pool", [CONTROL_PLANE, WORKER], ids=str)
def test_what_an_instance_is_given_changes_the_release(pool: PoolSpec) -> None:
    service_subnet = replace(SPEC, networking=Networking(service_subnet="10.97.0.0/16"))
    others = {release(replace(pool, max_pods=50)), release(pool, service_subnet)}
    others.add(render_release(SPEC, pool, ImageDigest("sha256:" + "b" * 64)).id)
    assert len(others | {release(pool)}) == 4


def test_a_name_for_the_apiservers_certificate_rolls_the_control_plane_and_no_worker() -> None:
    named = replace(SPEC, cert_sans=("api.example.org",))
    assert release(CONTROL_PLANE, named) != release(CONTROL_PLANE)
    assert release(WORKER, named) == release(WORKER)
