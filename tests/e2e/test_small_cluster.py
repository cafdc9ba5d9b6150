"""The story of a small cluster under a strict firewall: interrupted, read, changed, visited by a stranger, cut off."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import begin_up, controllers
from host import HOME, end_hard, host_facts, leftovers, processes_of, run
from load import credentials_of
from pieces import WEB, Cluster, Credentials, add_test_image, wait_for
from surroundings import join_closed, program, reaches, stranger, strict_firewall

from risen.authority.identities import IdentityKind
from risen.bootstrap import Host, identity_of, open_authorities, open_cluster

pytestmark = [pytest.mark.e2e, pytest.mark.root]
NAME, SUBNET_HEAD = "risen-e2e", "10.81.0"
NETNS = f"risen-{NAME}"
FOLDER = HOME / "clusters" / NAME
WHILE_WATCHING = ("lead ", signal.SIGINT)
WATCH_SECONDS = 1.5
"""After the line that tells who leads `up` only watches; a control plane takes ten times as long to rise."""


@pytest.fixture(scope="module", autouse=True)
def interruptible() -> Iterator[None]:
    """A shell lets what it runs in the background ignore SIGINT, and so would every `up` that is started here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def rules() -> dict[str, str]:
    """The host's firewall as both of its front ends show it, and the rest that must be the same."""
    saved = "\n".join(line for line in run("iptables-save").splitlines() if line[:1] != "#")
    return {**host_facts(), "iptables": saved}


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """Host facts under the strict firewall, before `up`."""
    return {}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, before: dict[str, str]) -> Iterator[Cluster]:
    """One control-plane instance and one worker, not raised yet, on a host that drops what it can."""
    cluster = Cluster(NAME, tmp_path_factory.mktemp("small"), SUBNET_HEAD)
    cluster.clear()
    assert leftovers(NAME) == []
    subnet = f"{SUBNET_HEAD}.0/24"
    cluster.risen("init", "--name", NAME, "--subnet", subnet, "--control-plane", "1", "--workers", "1")
    add_test_image(cluster.folder)
    with strict_firewall():
        before.update(rules())
        try:
            yield cluster
        finally:
            cluster.clear()


def names(cluster: Cluster, pool: str = "") -> list[str]:
    """Living instances, of one pool if named."""
    return [one["name"] for one in cluster.status()["instances"] if pool in ("", one["pool"]) and one["pool"]]


def settled(cluster: Cluster, workers: int) -> bool:
    """All Ready, nothing in the air."""
    seen = cluster.status()
    return seen["settled"] and len(names(cluster, "worker")) == workers


def scale(cluster: Cluster, now: int, wanted: int) -> None:
    """Edit the worker pool's replicas."""
    text = (cluster.folder / "cluster.yaml").read_text()
    head, mark, tail = text.partition("name: worker")
    assert f"replicas: {now}" in tail
    (cluster.folder / "cluster.yaml").write_text(
        head + mark + tail.replace(f"replicas: {now}", f"replicas: {wanted}", 1)
    )


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("cached", signal.SIGINT), ("cached", signal.SIGKILL), ("image ", signal.SIGKILL),
        ("apply ", signal.SIGKILL), ("lead ", signal.SIGKILL), ("lead ", signal.SIGINT),
    ],
)  # fmt: skip
def test_up_ended_at_any_line_leaves_what_the_next_up_carries_on_from(
    small: Cluster, tmp_path: Path, line: str, number: signal.Signals
) -> None:
    output = tmp_path / "out"
    up = begin_up(small, output)
    last = time.monotonic() + 300
    while line not in output.read_text() and up.poll() is None and time.monotonic() < last:
        time.sleep(0.01)
    if (line, number) == WHILE_WATCHING:
        time.sleep(WATCH_SECONDS)
    up.send_signal(number)
    up.wait(30)
    told = output.read_text()
    assert line in told
    if number is signal.SIGINT:
        assert up.returncode == 130
    if (line, number) == WHILE_WATCHING:
        assert "the controller goes on" in told
        assert len(controllers(small)) == 1


def test_after_all_those_interruptions_up_ends_in_one_whole_cluster(small: Cluster) -> None:
    small.risen("up", "--yes", bound_seconds=300)
    assert len(controllers(small)) == 1
    assert sorted(one["pool"] for one in small.status()["instances"]) == ["control-plane", "worker"]
    assert small.ready_nodes() == set(names(small))
    assert {path.name for path in (FOLDER / "instances").iterdir()} == set(names(small))


@pytest.fixture(scope="module")
def etcd_credentials(small: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    """The engine's kind of certificate for etcd, good for an hour; needs the store only now."""
    import asyncio

    async def make() -> Credentials:
        cluster = await open_cluster(Host.from_environment(os.environ), NAME)
        made = identity_of(await open_authorities(cluster), IdentityKind.ETCD, 1.0)
        folder = tmp_path_factory.mktemp("etcd")
        found = Credentials(folder / "certificate.pem", folder / "key.pem", folder / "authority.pem")
        found.certificate.write_text(made.certificate)
        found.key.write_text(made.key)
        found.authority.write_text(made.authority)
        return found

    return asyncio.run(make())


def ask_etcd(credentials: Credentials, address: str, path: str, body: dict) -> dict:
    """One answer of a member's JSON gateway."""
    return json.loads(curl(credentials, f"https://{address}:2379{path}", "-d", json.dumps(body)))


def curl(credentials: Credentials, url: str, *more: str) -> str:
    """Body of an answer; fails unless it is a good one."""
    done = subprocess.run(
        ("curl", "-sSf", "-m", "5", "--cacert", credentials.authority, "--cert", credentials.certificate,
         "--key", credentials.key, *more, url),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def control_plane_address(cluster: Cluster) -> str:
    """Of the one control-plane instance."""
    return next(one["address"] for one in cluster.status()["instances"] if one["pool"] == "control-plane")


def test_a_secret_cannot_be_read_in_etcds_files_nor_by_a_client_of_etcd(
    small: Cluster, etcd_credentials: Credentials
) -> None:
    hidden, plain = secrets.token_hex(20), secrets.token_hex(20)
    small.kubectl("create", "secret", "generic", "hidden", f"--from-literal=value={hidden}")
    small.kubectl("create", "configmap", "plain", f"--from-literal=value={plain}")
    given = small.objects("secrets", "--field-selector", "metadata.name=hidden")[0]["data"]["value"]
    assert base64.b64decode(given).decode() == hidden, "the API itself gives it"
    member = FOLDER / "instances" / names(small, "control-plane")[0] / "disk" / "etcd"
    data = lambda: b"".join(file.read_bytes() for file in member.rglob("*") if file.is_file())  # noqa: E731
    wait_for("the ConfigMap is in a file of etcd", lambda: plain.encode() in data(), 10)
    wait_for("the Secret is in a file of etcd", lambda: b"/registry/secrets/default/hidden" in data(), 10)
    assert hidden.encode() not in data()
    assert given.encode() not in data()
    address = control_plane_address(small)
    for key, value, readable in (("secrets", hidden, False), ("configmaps", plain, True)):
        name = "hidden" if key == "secrets" else "plain"
        asked = base64.b64encode(f"/registry/{key}/default/{name}".encode()).decode()
        answer = ask_etcd(etcd_credentials, address, "/v3/kv/range", {"key": asked})
        stored = base64.b64decode(answer["kvs"][0]["value"])
        assert (value.encode() in stored) is readable
        assert stored.startswith(b"k8s:enc:secretbox:") is not readable


def test_plan_and_apply_of_labels_and_taints_change_nodes_and_replace_nothing(small: Cluster) -> None:
    there = names(small)
    worker = names(small, "worker")[0]
    small.change("    # labels: {tier: general}", "    labels: {tier: general}")
    small.change("    # taints: [{", "    taints: [{")
    planned = small.run("plan", "--detailed-exitcode")
    assert planned.returncode == 2
    assert "revision 1 → 2" in planned.stdout
    assert "spec.pools[worker].labels: none → tier=general (replaces nothing)" in planned.stdout
    small.risen("apply", "--yes")
    node = lambda: next(n for n in small.objects("nodes") if n["metadata"]["name"] == worker)  # noqa: E731
    tainted = lambda: "batch" in {t.get("value") for t in node()["spec"].get("taints", ())}  # noqa: E731
    wait_for("the label is on the Node", lambda: node()["metadata"]["labels"].get("tier") == "general", 30)
    wait_for("the taint is on the Node", tainted, 30)
    small.change("    labels: {tier: general}", "    # labels: {tier: general}")
    small.change("    taints: [{", "    # taints: [{")
    small.risen("apply", "--yes")
    wait_for("the label is gone", lambda: "tier" not in node()["metadata"]["labels"], 30)
    wait_for("the taint is gone", lambda: not tainted(), 30)
    assert names(small) == there
    assert small.run("plan", "--detailed-exitcode").returncode == 0


def test_a_field_that_is_fixed_is_refused_by_name_and_changes_nothing(small: Cluster) -> None:
    fixed, other = f"subnet: {SUBNET_HEAD}.0/24", "subnet: 10.84.0.0/24"
    small.change(fixed, other)
    refused = small.run("apply", "--yes")
    small.change(other, fixed)
    assert refused.returncode == 1
    assert "spec.provider.local.subnet" in refused.stderr
    assert "nothing would change" in small.risen("plan")


def test_workers_scale_up_drained_down_and_leave_a_stranger_on_the_bridge_alone(small: Cluster) -> None:
    small.kubectl("apply", "-f", "-", stdin=WEB)
    with stranger(NETNS, "stranger", f"{SUBNET_HEAD}.200"):
        listed = json.loads(small.risen("get", "instances", "-o", "json"))
        assert [one["name"] for one in listed if one["verdict"] == "foreign"] == ["stranger"]
        scale(small, 1, 2)
        assert "worker: launch 1" in small.risen("plan")
        small.risen("apply", "--yes")
        wait_for("two workers", lambda: settled(small, 2), 90)
        scale(small, 2, 1)
        assert "worker: drain and delete 1" in small.risen("plan")
        both = set(names(small, "worker"))
        small.risen("apply", "--yes")
        wait_for("one worker", lambda: settled(small, 1), 120)
        (gone,) = both - set(names(small, "worker"))
        assert gone not in {node["metadata"]["name"] for node in small.objects("nodes")}
        assert processes_of(NAME, gone) == []
        assert f"scale-down{gone}" in small.risen("events").replace(" ", "")
        wait_for("4 web pods on the other", lambda: len(small.ready_pods("app=web")) == 4, 60)
        assert reaches(small.endpoint), "the stranger kept its network"


def test_kill_replaces_and_down_refuses_beside_a_stranger_before_anything_is_ended(small: Cluster) -> None:
    (victim,) = names(small, "worker")
    with stranger(NETNS, "stranger", f"{SUBNET_HEAD}.200"):
        assert victim in small.risen("kill", victim, "--yes", "--reason", "a test")
        wait_for("another worker", lambda: settled(small, 1) and victim not in names(small), 120)
        there = names(small)
        refused = small.run("down", "--yes")
        assert refused.returncode == 1
        assert "not made by Risen: stranger; unplug them first" in refused.stderr
        assert names(small) == there
        assert len(controllers(small)) == 1, "the controller goes on too"
        assert small.ready_nodes() == set(there), small.kubectl("describe", "nodes")
        assert reaches(small.endpoint)
    assert "a test" in small.risen("events")


def test_status_says_from_its_console_why_an_instance_does_not_join(small: Cluster) -> None:
    there = set(names(small))
    with join_closed(NETNS):
        scale(small, 1, 2)
        small.risen("apply", "--yes")
        wait_for("it is launched", lambda: set(names(small)) - there, 30)
        (new,) = set(names(small)) - there
        told = f"{new} has not joined yet: cannot fetch the authority from https://{small.endpoint}:9443"
        wait_for("status quotes its console", lambda: told in small.risen("status"), 60)
        (row,) = [r for r in json.loads(small.risen("get", "instances", "-o", "json")) if r["name"] == new]
        assert "console: cannot fetch the authority" in row["evidence"]
        assert row["verdict"] == "Starting"
    wait_for("it joins once it is let in", lambda: settled(small, 2), 90)
    scale(small, 2, 1)
    small.risen("apply", "--yes")
    wait_for("one worker again", lambda: settled(small, 1), 120)


def test_stop_powers_all_off_in_order_and_start_brings_the_same_instances_back(small: Cluster) -> None:
    before_stop = small.status()
    told = small.risen("stop", "--yes", bound_seconds=240)
    assert told.count("stopped") == 2
    assert processes_of(NAME, names_of(before_stop)[0]) == []
    wait_for("the controller ended too", lambda: controllers(small) == [], 10)
    small.risen("start", bound_seconds=120)
    small.risen("up", "--yes", bound_seconds=240)
    after = small.status()
    assert names_of(after) == names_of(before_stop)
    assert after["etcd"]["cluster_id"] == before_stop["etcd"]["cluster_id"]


def names_of(status: dict) -> list[str]:
    """Instances of a status."""
    return [one["name"] for one in status["instances"]]


def test_after_a_power_cut_start_alone_brings_the_api_back_while_the_store_is_away(
    small: Cluster, etcd_credentials: Credentials, tmp_path: Path
) -> None:
    small.risen("kubeconfig", "--out", str(tmp_path / "kubeconfig"))
    admin = credentials_of(tmp_path / "kubeconfig", tmp_path)
    seen, address = small.status(), control_plane_address(small)
    end_hard(NAME)
    wait_for("nothing of the cluster runs", lambda: processes_of(NAME) == [], 30)
    store, away = FOLDER / "store", tmp_path / "away"
    program("mv", str(store), str(away))
    try:
        small.risen("start", "-c", NAME, bound_seconds=120)
        url = f"https://{small.endpoint}:6443/api/v1/namespaces/default/configmaps/plain"
        wait_for("the API gives what was written before the cut", lambda: "plain" in curl(admin, url), 120)
        members = ask_etcd(etcd_credentials, address, "/v3/cluster/member/list", {})
        assert members["header"]["cluster_id"] == seen["etcd"]["cluster_id"]
        assert controllers(small) == []
        assert not store.exists()
    finally:
        program("mv", str(away), str(store))
    small.risen("up", "--yes", bound_seconds=240)
    after = small.status()
    assert names_of(after) == names_of(seen)
    assert after["etcd"]["cluster_id"] == seen["etcd"]["cluster_id"]
    assert after["settled"]


def test_after_down_nothing_is_left_and_the_hosts_firewall_is_as_it_was(
    small: Cluster, before: dict[str, str]
) -> None:
    assert rules() != before, "the way out adds rules of its own while the cluster stands"
    small.risen("down", "--yes")
    assert leftovers(NAME) == []
    assert rules() == before
