"""Risen on hosts as most users have them: Debian 12 and 13, cgroup version 2, systemd as process 1."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from host import HOME
from pieces import Cluster, add_test_image

sys.path.insert(0, str(Path(__file__).parent / "qemu"))
sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

from guest import kvm_runs, make_root, run_guest
from payload import Baked, make_payload
from story import CLUSTER, STEPS

from risen.adapters.builder.images_tar import static_busybox

pytestmark = [pytest.mark.root, pytest.mark.e2e]
CACHE = Path(os.environ.get("RISEN_CACHE", "/var/cache/risen"))
BAKE_SECONDS = 3000
BOUND_SECONDS = 4500
_LEASES = '{leader-elect-lease-duration: "120s", leader-elect-renew-deadline: "90s", leader-elect-retry-period: "10s"}'
SLOW = {
    "    # apiServer:\n": (
        f"    controllerManager: {{extraArgs: {_LEASES}}}\n    scheduler: {{extraArgs: {_LEASES}}}\n    # apiServer:\n"
    ),
    "  provider:\n    local:": (
        '  etcd: {extraArgs: {heartbeat-interval: "500", election-timeout: "5000"}}\n  provider:\n    local:'
    ),
    "      disk: ": "      endpoint: {checkEvery: 3s}\n      disk: ",
}
"""What cluster.yaml says for a processor that is emulated: leases, heartbeats and checks of a slow host."""


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Baked:
    """Images for one instance of each kind, baked here as a user would; the guest has no network to bake with."""
    cluster = Cluster(CLUSTER.name, tmp_path_factory.mktemp("baked"), CLUSTER.subnet_head)
    subnet = f"{CLUSTER.subnet_head}.0/24"
    cluster.risen(
        "init", "--name", CLUSTER.name, "--subnet", subnet, "--control-plane", "1", "--workers", "1"
    )
    file = cluster.folder / "cluster.yaml"
    text = file.read_text()
    for before, slow in SLOW.items():
        assert before in text
        text = text.replace(before, slow)
    file.write_text(text)
    add_test_image(cluster.folder)
    cluster.risen("recipe", "lock", bound_seconds=BAKE_SECONDS)
    digests = json.loads(cluster.risen("bake", "-o", "json", bound_seconds=BAKE_SECONDS))
    return Baked(cluster.folder, tuple(digests.values()), HOME)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_cluster_rises_serves_survives_and_goes_on_a_stock_debian_with_systemd_and_cgroup_version_2(
    suite: str, baked: Baked, tmp_path: Path
) -> None:
    root = make_root(suite, CACHE)
    payload = make_payload(suite, baked, tmp_path)
    accelerated = kvm_runs(root, static_busybox(CACHE, "bookworm", "amd64"), tmp_path)
    story = run_guest(root, payload, tmp_path, accelerated, BOUND_SECONDS)
    payload.unlink()
    lines = [
        line.split(" ", 4) for line in story.splitlines() if line.startswith(("STORY ok", "STORY failed"))
    ]
    told = {words[2]: words[1] if words[1] == "ok" else words[4] for words in lines}
    assert told == {step.__name__: "ok" for step in STEPS}
