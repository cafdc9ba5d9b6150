"""One bad release of each kind, for the workers and for the control plane of one cluster: one instance has it, it is
revoked with its evidence, and everything is as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from host import leftovers
from pieces import WEB, Cluster, add_test_image, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.root]
NAME, SUBNET_HEAD = "risen-e2e", "10.81.0"
ROLES = ("worker", "control-plane")
WATCH_SECONDS = 600.0
REPLICAS = 4


@dataclass(frozen=True)
class Kind:
    """A file that makes instances bad, and what the evidence then says."""

    path: str
    text: str
    evidence: str


KINDS = {
    "cannot boot": Kind(
        "/etc/systemd/system/systemd-tmpfiles-setup.service.d/50-bad.conf",
        "[Service]\nExecStartPre=/bin/systemctl --force --force poweroff\n",
        "died before it was Ready",
    ),
    "cannot join": Kind(
        "/etc/systemd/system/risen-join.service.d/50-bad.conf",
        "[Service]\nExecStart=\nExecStart=/bin/false\n",
        "join: not within",
    ),
    "is never Ready": Kind(
        "/etc/systemd/system/kubelet.service.d/50-bad.conf",
        "[Service]\nExecStart=\nExecStart=/bin/false\n",
        "Kubernetes: no Node",
    ),
    "dies in its soak": Kind(
        "/etc/systemd/system/kubelet.service.d/50-bad.conf",
        "[Unit]\nFailureAction=poweroff-force\n[Service]\nRestart=no\nRuntimeMaxSec=12\n",
        "died in its soak",
    ),
    "breaks the gate": Kind("/etc/acme.conf", "level = 2\n", "gate shop: "),
}


class _Broken(BaseHTTPRequestHandler):
    """The user's own check, which does not like what it sees."""

    def do_GET(self) -> None:
        self.send_error(500, "the shop is closed")

    def log_message(self, format: str, *args: object) -> None:
        """Told by the gate."""


@contextmanager
def a_gate_that_breaks(cluster: Cluster) -> Iterator[None]:
    """In cluster.yaml while this lasts, with somebody behind it on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Broken)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    file = cluster.folder / "cluster.yaml"
    without = file.read_text()
    url = f"http://127.0.0.1:{server.server_port}/"
    file.write_text(f'{without}  gates: [{{name: shop, http: {{url: "{url}", status: 200}}, timeout: 5s}}]\n')
    try:
        yield
    finally:
        file.write_text(without)
        server.shutdown()
        serving.join()
        server.server_close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three control-plane instances and two workers with an app."""
    found = Cluster(NAME, tmp_path_factory.mktemp("bad"), SUBNET_HEAD)
    found.run("down", "-c", NAME, "--yes")
    assert leftovers(NAME) == []
    subnet = f"{SUBNET_HEAD}.0/24"
    found.risen("init", "--name", NAME, "--subnet", subnet, "--control-plane", "3", "--workers", "2")
    add_test_image(found.folder)
    found.risen("up", "--yes", bound_seconds=2400)
    try:
        found.kubectl("apply", "-f", "-", stdin=WEB)
        wait_for("the app is ready", lambda: len(found.ready_pods("app=web")) == REPLICAS, 120)
        yield found
    finally:
        found.run("down", "-c", NAME, "--yes")


def released(cluster: Cluster, kind: Kind, role: str) -> int:
    """Apply the recipe with the bad file for a role, watch to the end, and put the recipe back: the exit status."""
    recipe = cluster.folder / "recipe.yaml"
    good = recipe.read_text()
    (cluster.folder / "bad").write_text(kind.text)
    recipe.write_text(f"{good}  files: [{{path: {kind.path}, source: ./bad, roles: [{role}]}}]\n")
    try:
        cluster.risen("recipe", "lock")
        cluster.risen("apply", "--yes", "--reason", f"{kind.path} for {role}", bound_seconds=600)
        watched = cluster.run(
            "rollout", "status", "-w", "--timeout", str(WATCH_SECONDS), bound_seconds=WATCH_SECONDS + 60
        )
    finally:
        recipe.write_text(good)
    print(watched.stdout[-1500:], watched.stderr)
    return watched.returncode


def whole(cluster: Cluster) -> bool:
    """Every wanted instance on the release that stands, a Ready Node each, three voters, nothing open in the ledger."""
    seen = cluster.status()
    members = seen["etcd"]["members"]
    return (
        [(one["pool"], one["release"]) for one in sorted(seen["instances"], key=lambda one: one["name"])]
        == [("control-plane", seen["want"]["control-plane"])] * 3 + [("worker", seen["want"]["worker"])] * 2
        and cluster.ready_nodes() == {one["name"] for one in seen["instances"]}
        and [member["learner"] for member in members] == [False] * 3
        and seen["entries"] == []
    )


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_release_that(cluster: Cluster, kind: str, role: str) -> None:
    """… is tried by one instance, revoked, and leaves the cluster as it was."""
    assert whole(cluster)
    wanted, revoked_before = cluster.status()["want"], len(cluster.events("ReleaseRevoked"))
    if KINDS[kind] is KINDS["breaks the gate"]:
        with a_gate_that_breaks(cluster):
            status = released(cluster, KINDS[kind], role)
    else:
        status = released(cluster, KINDS[kind], role)
    (revoked,) = cluster.events("ReleaseRevoked")[revoked_before:]
    print(revoked)
    assert status == 1, "it was gone back from"
    assert KINDS[kind].evidence in " ".join(revoked["evidence"])
    born = [one for one in cluster.events("Born") if one["birth"]["release"] == revoked["release"]]
    assert [one["birth"]["pool"] for one in born] == [role], "one instance ever had it"
    wait_for("the cluster is whole", lambda: whole(cluster), 180)
    assert cluster.status()["want"] == wanted
    assert len(cluster.ready_pods("app=web")) == REPLICAS


def test_what_was_revoked_is_refused_and_the_good_one_is_in_place(cluster: Cluster) -> None:
    cluster.risen("recipe", "lock")
    cluster.risen("apply", "--yes", "--reason", "back to what stands")
    wait_for("it is settled", lambda: cluster.status()["settled"], 60)
    recipe, kind = cluster.folder / "recipe.yaml", KINDS["is never Ready"]
    good = recipe.read_text()
    (cluster.folder / "bad").write_text(kind.text)
    recipe.write_text(f"{good}  files: [{{path: {kind.path}, source: ./bad, roles: [worker]}}]\n")
    cluster.risen("recipe", "lock")
    refused = cluster.run("apply", "--yes")
    assert refused.returncode != 0
    assert "--override-revocation" in refused.stderr, refused.stderr
    assert whole(cluster)
