"""Runs inside the guest, as a unit of its systemd: a cluster's whole story on a stock Debian.

Says each step's end on the serial console as `STORY ok|failed STEP SECONDS TEXT`; the test outside reads that.
It may use what the guest has and nothing of the test's host. The unit starts it at each boot: it goes on after
the step that rebooted, and ends with a power-off. Bounds fit a processor that is emulated.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from host import HOME, end_hard, host_facts, leftovers, processes_of
from pieces import RISEN, Cluster, wait_for

WORK, CHECKOUT = Path("/srv/payload/work"), Path("/srv/payload/checkout")
CLUSTER = Cluster("qemu", WORK, "10.83.0")
UNIT = f"risen-{CLUSTER.name}.service"
TOLD, BEFORE = WORK / "told", WORK / "before.json"
RISE_SECONDS = 1500.0
STEP_SECONDS = 600.0
PROOF = "var/lib/kubelet/prestop"
ECHO = f"""
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: echo}}
spec:
  selector: {{matchLabels: {{app: echo}}}}
  template:
    metadata: {{labels: {{app: echo}}}}
    spec:
      terminationGracePeriodSeconds: 20
      tolerations: [{{operator: Exists}}]
      volumes: [{{name: proof, hostPath: {{path: /{PROOF}, type: DirectoryOrCreate}}}}]
      containers:
      - name: echo
        image: risen.local/busybox:1
        imagePullPolicy: Never
        command: [sh, -c, "mkdir -p /w; hostname > /w/index.html; exec httpd -f -p 8080 -h /w"]
        readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1, timeoutSeconds: 5}}
        lifecycle: {{preStop: {{exec: {{command: [sh, -c, "echo begun > /proof/mark; sleep 3; echo ended > /proof/mark"]}}}}}}
        volumeMounts: [{{name: proof, mountPath: /proof}}]
"""
"""A pod on every node, the control plane's too; its preStop leaves a mark on the instance's own disk."""


class Rebooting(Exception):
    """The step ends with a boot of the guest: the story goes on after it."""


def said(*words: str) -> str:
    """What a program of the guest prints."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def stock_host() -> None:
    """The guest is what it claims: cgroup version 2, systemd as process 1, and Docker's FORWARD drop."""
    assert said("stat", "-fc", "%T", "/sys/fs/cgroup").strip() == "cgroup2fs"
    assert Path("/proc/1/comm").read_text().strip() == "systemd"
    assert "-P FORWARD DROP" in said("iptables", "-S")


def set_up() -> None:
    """The packages are compiled, as `make setup` compiles them."""
    said(sys.executable, "-m", "compileall", "-q", "-j", "2", "/srv/payload/site")


def doctor() -> None:
    """`risen doctor` finds nothing to mend for the cluster that `risen init` wrote."""
    CLUSTER.risen("doctor")
    BEFORE.write_text(json.dumps({"host": host_facts()}))


def launcher() -> None:
    """The contract of what only such a host shows: stops in order, the unit that starts at boot."""
    words = (
        "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", "tests/contract/test_local_systemd.py",
        "tests/contract/test_local_disk.py",
    )  # fmt: skip
    done = subprocess.run((sys.executable, *words), cwd=CHECKOUT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


def up() -> None:
    """One control-plane instance and one worker rise from the images that were carried in."""
    words = (*RISEN, "up", "--yes", "--timeout", f"{RISE_SECONDS:.0f}")
    with subprocess.Popen(
        words, cwd=WORK, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as rising:
        assert rising.stdout is not None
        for line in rising.stdout:
            print(line, end="", flush=True)
    assert rising.returncode == 0, f"risen up: exit {rising.returncode}"
    names = instances()
    assert list(names.values()) == ["control-plane", "worker"]
    assert CLUSTER.ready_nodes() == set(names)


def instances() -> dict[str, str]:
    """Pool by name of every instance, in the order of their pools."""
    rows = sorted((one["pool"], one["name"]) for one in CLUSTER.status()["instances"])
    return {name: pool for pool, name in rows}


def pod_to_pod() -> None:
    """A pod on each node reads the other's page by its address, across the nodes."""
    CLUSTER.kubectl("apply", "-f", "-", stdin=ECHO)
    _pods_reach_each_other()


def _pods_reach_each_other() -> None:
    pods = wait_for("a Ready pod on each node", _pods_of_both, STEP_SECONDS, 2.0)
    for asking, answering in ((pods[0], pods[1]), (pods[1], pods[0])):
        name, address = answering["metadata"]["name"], answering["status"]["podIP"]
        words = ("exec", asking["metadata"]["name"], "--", "wget", "-qO-", f"http://{address}:8080/")
        wait_for(
            f"{name} answers", lambda words=words, name=name: CLUSTER.kubectl(*words).strip() == name, 60
        )


def _pods_of_both() -> list[dict]:
    pods = CLUSTER.ready_pods("app=echo")
    return pods if {pod["spec"]["nodeName"] for pod in pods} == set(instances()) and len(pods) == 2 else []


def killed_worker_is_replaced() -> None:
    """All processes of the worker end at once; another takes its place and runs the pod."""
    (victim,) = [name for name, pool in instances().items() if pool == "worker"]
    end_hard(CLUSTER.name, victim)
    wait_for("another worker is Ready", lambda: _replaced(victim), STEP_SECONDS, 2.0)
    assert processes_of(CLUSTER.name, victim) == []
    assert not (HOME / "clusters" / CLUSTER.name / "instances" / victim).exists()
    _pods_reach_each_other()


def _replaced(victim: str) -> bool:
    ready = CLUSTER.ready_nodes()
    return victim not in ready and len(ready) == 2 and ready == set(instances())


def reboot() -> None:
    """The guest is shut down as any host is, with the cluster up."""
    CLUSTER.kubectl("create", "configmap", "before-the-boot", "--from-literal=kept=yes")
    status = CLUSTER.status()
    known = json.loads(BEFORE.read_text())
    known |= {"instances": sorted(instances()), "etcd": status["etcd"]["cluster_id"], "boot": _boot()}
    BEFORE.write_text(json.dumps(known))
    assert _marks() == {}
    raise Rebooting


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _marks() -> dict[str, str]:
    """By instance, what the preStop hook of its pod wrote."""
    folder = HOME / "clusters" / CLUSTER.name / "instances"
    found = folder.glob("*/disk/kubelet/prestop/mark")
    return {file.relative_to(folder).parts[0]: file.read_text().strip() for file in found}


def same_cluster_back() -> None:
    """Nobody did anything: the unit started the instances, etcd's cluster and the controller again."""
    before = json.loads(BEFORE.read_text())
    assert before["boot"] != _boot()
    wait_for("the cluster is settled", lambda: CLUSTER.status()["settled"], RISE_SECONDS, 3.0)
    assert _marks() == dict.fromkeys(before["instances"], "ended"), "each pod's preStop ran to its end"
    assert sorted(instances()) == before["instances"]
    assert CLUSTER.status()["etcd"]["cluster_id"] == before["etcd"]
    assert CLUSTER.ready_nodes() == set(before["instances"])
    assert "configmap/before-the-boot" in CLUSTER.kubectl("get", "configmaps", "-o", "name")
    assert said("systemctl", "is-active", UNIT).strip() == "active"
    _pods_reach_each_other()


def down_leaves_nothing() -> None:
    """No process, mount, link, rule, unit or file of it."""
    CLUSTER.risen("down", "--yes", bound_seconds=STEP_SECONDS)
    assert leftovers(CLUSTER.name) == []
    before, after = json.loads(BEFORE.read_text())["host"], host_facts()
    assert {name: after[name] for name in before} == before
    assert not Path("/usr/local/lib/systemd/system").exists()
    units = said("systemctl", "list-units", "--all", "--plain", "--no-legend", "risen*").splitlines()
    assert [line.split()[0] for line in units] == ["risen-story.service"]


STEPS = (
    stock_host, set_up, doctor, launcher, up, pod_to_pod, killed_worker_is_replaced, reboot, same_cluster_back,
    down_leaves_nothing,
)  # fmt: skip


def told(step: Callable[[], None]) -> bool:
    """Run a step, say how it went, and whether the story goes on in this boot."""
    began, rebooting = time.monotonic(), False
    print(f"STORY begins {step.__name__}", flush=True)
    try:
        step()
    except Rebooting:
        rebooting = True
    except Exception as error:  # noqa: BLE001 - whatever it is, the test outside must read it
        print(traceback.format_exc(), flush=True)
        text = " ".join(str(error).split())[:2000]
        print(f"STORY failed {step.__name__} {time.monotonic() - began:.0f} {text}", flush=True)
        try:
            _tell_surroundings()
        finally:
            subprocess.run(["systemctl", "poweroff"], check=True)
        return False
    print(f"STORY ok {step.__name__} {time.monotonic() - began:.0f}", flush=True)
    with TOLD.open("a") as file:
        file.write(f"{step.__name__}\n")
    if rebooting:
        subprocess.run(["systemctl", "reboot"], check=True)
    return not rebooting


def _tell_surroundings() -> None:
    """What a person would look at first."""
    folder = HOME / "clusters" / CLUSTER.name
    for words in (
        ("journalctl", "-b", "-p", "warning", "-n", "40", "--no-pager", "-o", "cat"),
        ("systemctl", "status", "--no-pager", "-n", "20", UNIT),
        (*RISEN, "status", "-c", CLUSTER.name),
        ("tail", "-n", "40", str(folder / "controller.log")),
        *(("tail", "-n", "25", str(file)) for file in sorted(folder.glob("instances/*/console.log"))),
        *(
            ("journalctl", f"--directory={journal}", "-n", "150", "--no-pager", "-o", "short-monotonic")
            for journal in sorted(folder.glob("instances/*/root/var/log/journal"))
        ),
    ):
        print(f"--- {' '.join(words)}", flush=True)
        subprocess.run(words, check=False, timeout=120)


def main() -> None:
    """Tell the steps that were not told before this boot, up to the first that fails."""
    before = TOLD.read_text().split() if TOLD.exists() else []
    if all(told(step) for step in STEPS[len(before) :]):
        subprocess.run(["systemctl", "poweroff"], check=True)


if __name__ == "__main__":
    main()
