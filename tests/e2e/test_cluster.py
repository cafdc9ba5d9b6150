"""The story of one cluster, told in order: it rises, serves, loses a worker and an etcd leader.

`test_rollout.py` and then `test_cluster_end.py` go on with the same cluster.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from host import end_hard, processes_of
from load import Load
from members import KeyHash, key_hashes
from pieces import WEB, Cluster, Credentials, wait_for

pytestmark = pytest.mark.root


def workers(cluster: Cluster) -> list[str]:
    """Names of the instances of the worker pool that are not gone."""
    return [one["name"] for one in cluster.status()["instances"] if one["pool"] == "worker"]


def test_every_instance_of_the_spec_is_a_ready_node(cluster: Cluster) -> None:
    names = {one["name"] for one in cluster.status()["instances"]}
    assert len(names) == 5
    assert cluster.ready_nodes() == names


def test_the_nodes_together_offer_pods_no_more_memory_than_the_host_has(cluster: Cluster) -> None:
    kib = {"Ki": 1, "Mi": 1024, "Gi": 1024**2}
    offered = [node["status"]["allocatable"]["memory"] for node in cluster.objects("nodes")]
    host = next(
        line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:")
    )
    assert len(offered) == 5
    assert sum(int(one[:-2]) * kib[one[-2:]] for one in offered) <= int(host.split()[1]), offered


def test_a_second_up_finds_nothing_to_do_and_says_who_leads(cluster: Cluster) -> None:
    before = {one["name"] for one in cluster.status()["instances"]}
    told = cluster.risen("up", "--yes", bound_seconds=120)
    assert "lead" in told
    assert {one["name"] for one in cluster.status()["instances"]} == before


def test_the_two_dns_pods_run_on_different_instances(cluster: Cluster) -> None:
    pods = wait_for(
        "two DNS pods are ready",
        lambda: len(found := cluster.ready_pods("k8s-app=kube-dns", "kube-system")) == 2 and found,
        120,
    )
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2


def test_a_web_deployment_answers_by_service_node_port_and_name_from_every_node(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=WEB)
    wait_for("4 web pods ready", lambda: len(cluster.ready_pods("app=web")) == 4, 120)
    service = cluster.objects("services", "-l", "")
    address = next(one["spec"]["clusterIP"] for one in service if one["metadata"]["name"] == "web")
    pods = {pod["spec"]["nodeName"]: pod["metadata"]["name"] for pod in cluster.ready_pods("app=web")}
    assert len(pods) == 2, "the web pods are spread over both workers"
    for pod in pods.values():
        for url in (f"http://{address}/", "http://web/", "http://web.default.svc.cluster.local/"):
            asked = ("exec", pod, "--", "wget", "-qO-", url)
            wait_for(
                f"{url} answers in {pod}", lambda asked=asked: cluster.kubectl(*asked).startswith("web-"), 30
            )
    for node in cluster.status()["instances"]:
        url = f"http://{node['address']}:30080/"
        answer = lambda url=url: subprocess.run(  # noqa: E731
            ["curl", "-sS", "-m", "3", url], capture_output=True, text=True, check=False
        ).stdout.startswith("web-")
        wait_for(f"NodePort on {node['name']}", answer, 30)


def test_a_pod_reaches_its_own_service_on_its_own_node(cluster: Cluster) -> None:
    pod = cluster.ready_pods("app=web")[0]["metadata"]["name"]
    seen = {cluster.kubectl("exec", pod, "--", "wget", "-qO-", "http://web/").strip() for _ in range(20)}
    assert pod in seen, "hairpin: a pod is among those that answer it"


def test_exec_and_logs_reach_every_node_that_has_pods(cluster: Cluster) -> None:
    for pod in cluster.ready_pods("app=web"):
        name = pod["metadata"]["name"]
        assert cluster.kubectl("exec", name, "--", "hostname").strip() == name
        assert "serving" in cluster.kubectl("logs", name)


def test_a_worker_whose_processes_ended_hard_is_replaced_and_its_pods_serve_again(cluster: Cluster) -> None:
    victim = workers(cluster)[0]
    end_hard(cluster.name, victim)
    wait_for(
        "another worker is Ready",
        lambda: victim not in cluster.ready_nodes() and len(cluster.ready_nodes()) == 5,
        120,
    )
    wait_for("4 web pods ready again", lambda: len(cluster.ready_pods("app=web")) == 4, 60)
    assert processes_of(cluster.name, victim) == []
    assert victim in cluster.risen("events")


def test_the_etcd_leaders_instance_ended_hard_is_replaced_without_a_lost_write(
    cluster: Cluster, credentials: Credentials
) -> None:
    leader = next(one["name"] for one in cluster.status()["etcd"]["members"] if one["leader"])
    with Load(cluster.endpoint, credentials, "leader") as load:
        end_hard(cluster.name, leader)
        wait_for(
            "three started voters without the old one",
            lambda: len(found := _voters(cluster)) == 3 and leader not in found,
            180,
        )
    found = {one["metadata"]["name"] for one in cluster.objects("configmaps", "-l", "load=leader")}
    assert set(load.acknowledged) - found == set(), "every acknowledged write is found again"
    assert load.writes.longest_gap_seconds() <= 30
    assert load.reads.longest_gap_seconds() <= 30
    hashes = wait_for("three hashes at one revision", lambda: _key_hashes(cluster), 60)
    assert {one.member for one in hashes} == _voters(cluster), hashes
    assert len({one.hash for one in hashes}) == 1, f"the voters hold the same keys: {hashes}"


def _voters(cluster: Cluster) -> set[str]:
    """Names of the healthy voters."""
    members = cluster.status()["etcd"]["members"]
    return {one["name"] for one in members if not one["learner"] and one["healthy"]}


def _key_hashes(cluster: Cluster) -> tuple[KeyHash, ...]:
    """Of all members: every instance of the control plane is asked."""
    instances = [one for one in cluster.status()["instances"] if one["pool"] == "control-plane"]
    return key_hashes(cluster.name, tuple(one["address"] for one in instances))
