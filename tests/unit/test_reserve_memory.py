"""The script that reserves what of the host's memory is not the instance's, and the share that a provider gives."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from test_instance_answer import CONTROL_PLANE, IMAGE, WORKER, answer, flags
from test_local_records import RECORD

from risen.adapters.local.host import memory_mib
from risen.adapters.local.machine import SHARE, tell_share
from risen.adapters.local.settings import LocalSettings, memory_share
from risen.bootstrap import Cluster, Host, local_settings
from risen.core.names import ClusterUid, Role
from risen.core.spec import ClusterSpec, LocalProvider, PoolRelease, PoolSpec, Revision, Share, Strategy
from risen.instance import layout
from risen.instance.content import image_content
from risen.instance.settings import KUBELET_DROP_INS

HOST_MIB = 24105


def reserved(root: Path, pool: PoolSpec, share: int | None, host_mib: int = HOST_MIB) -> str | None:
    """What the kubelet of an instance is told to reserve besides its own file; None for nothing."""
    files = {
        "proc/meminfo": f"MemTotal:       {host_mib * 1024} kB\nMemFree:        1 kB\n",
        "etc/kubernetes/kubelet.yaml": answer(pool)["/etc/kubernetes/kubelet.yaml"].data.decode(),
    }
    if share is not None:
        files["run/risen-host/memory"] = f"{share}\n"
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (script,) = [one for one in image_content(Role.WORKER).files if one.path.endswith("/reserve-memory")]
    subprocess.run(
        ["sh", "-c", script.data.decode()], check=True, env={**os.environ, "RISEN_ROOT": str(root)}
    )
    (folder,) = [root / flags(answer(pool), "/etc/kubernetes/kubelet.flags")["config-dir"].lstrip("/")]
    found = [json.loads(file.read_text()) for file in folder.iterdir()]
    if not found:
        return None
    (one,) = found
    assert one.pop("apiVersion") == "kubelet.config.k8s.io/v1beta1"
    assert one.pop("kind") == "KubeletConfiguration"
    assert set(one) == {"systemReserved"} and set(one["systemReserved"]) == {"memory"}
    return str(one["systemReserved"]["memory"])


@pytest.mark.parametrize(
    ("pool", "share", "host", "pods"),
    [
        (WORKER, 3443, HOST_MIB, 3443 - 256),
        (CONTROL_PLANE, 3443, HOST_MIB, 3443 - 1024),
        (CONTROL_PLANE, 800, 4000, 512),
        (WORKER, HOST_MIB, HOST_MIB, HOST_MIB - 256),
        (CONTROL_PLANE, 1200, 1200, 1200 - 1024),
    ],
    ids=["a worker", "a control plane", "a small host", "the only one", "smaller than what it needs"],
)
def test_pods_are_offered_the_share_less_what_the_nodes_own_programs_take(
    tmp_path: Path, pool: PoolSpec, share: int, host: int, pods: int
) -> None:
    assert reserved(tmp_path, pool, share, host) == f"{host - pods}Mi"


@pytest.mark.parametrize("pool", [WORKER, CONTROL_PLANE], ids=["worker", "control plane"])
def test_where_the_memory_is_the_instances_own_nothing_more_is_reserved(
    tmp_path: Path, pool: PoolSpec
) -> None:
    assert reserved(tmp_path, pool, None) is None


def test_a_second_start_of_the_kubelet_reserves_the_same(tmp_path: Path) -> None:
    assert reserved(tmp_path, WORKER, 3000) == reserved(tmp_path, WORKER, 3000)


def test_the_kubelet_is_started_after_its_memory_was_reserved_where_it_looks() -> None:
    unit = next(
        one for one in image_content(Role.WORKER).files if one.path.endswith("system/kubelet.service")
    )
    assert f"ExecStartPre=/bin/sh {layout.LIBRARY}/reserve-memory\nExecStart=" in unit.data.decode()
    assert flags(answer(WORKER), "/etc/kubernetes/kubelet.flags")["config-dir"] == KUBELET_DROP_INS


# --- the share --------------------------------------------------------------------------------------------
def test_a_hosts_memory_is_divided_by_all_instances_that_may_be_up(tmp_path: Path) -> None:
    settings = LocalSettings("dev", ClusterUid("uid"), tmp_path, most_instances=7)
    assert memory_share(settings, HOST_MIB, 1) == memory_share(settings, HOST_MIB, 7) == 3443
    assert memory_share(settings, HOST_MIB, 10) == 2410, "scaled up since"
    written = replace(settings, memory_gib=4)
    assert (memory_share(written, HOST_MIB, 10), memory_share(written, 3000, 1)) == (4096, 3000)


@pytest.mark.parametrize(
    ("worker", "most"),
    [
        (WORKER, 3 + 1 + 2 + 1),
        (replace(WORKER, strategy=Strategy(max_surge=Share(0))), 3 + 1 + 2),
        (replace(WORKER, max_replicas=9), 3 + 1 + 9 + 1),
    ],
)
def test_a_rollouts_surge_and_an_autoscalers_most_are_among_those_that_may_be_up(
    tmp_path: Path, worker: PoolSpec, most: int
) -> None:
    spec = ClusterSpec("dev", "1.36.3", (CONTROL_PLANE, worker), provider=LocalProvider(memory_gib=4))
    revision = Revision(1, spec, (PoolRelease(worker.name, "r-1", IMAGE),))  # type: ignore[arg-type]
    cluster = Cluster(Host(tmp_path, tmp_path), "dev", ClusterUid("uid"), None, revision)  # type: ignore[arg-type]
    settings = local_settings(cluster)
    assert (settings.most_instances, settings.memory_gib) == (most, 4)


def test_the_share_is_told_beside_the_power_button_and_one_of_an_earlier_risen_has_none(
    tmp_path: Path,
) -> None:
    (tmp_path / SHARE).parent.mkdir()
    tell_share(tmp_path, replace(RECORD, memory_mib=3443))
    assert (tmp_path / SHARE).read_text() == "3443\n"
    tell_share(tmp_path, RECORD)
    assert list((tmp_path / SHARE).parent.iterdir()) == []


def test_a_hosts_memory_is_what_the_kubelet_reads() -> None:
    line = Path("/proc/meminfo").read_text().splitlines()[0]
    assert abs(memory_mib() - int(line.split()[1]) // 1024) <= 1
