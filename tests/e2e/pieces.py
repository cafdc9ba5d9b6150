"""What the real-cluster tests share: running `risen`, waiting for a fact, and the app that they watch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
RISEN = (sys.executable, "-m", "risen.cli.main")

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: web
        image: risen.local/busybox:1
        imagePullPolicy: Never
        command: [sh, -c, "mkdir -p /w; hostname > /w/index.html; echo serving; exec httpd -f -p 8080 -h /w"]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        lifecycle: {preStop: {exec: {command: [sleep, "2"]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, type: NodePort, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
"""


@dataclass(frozen=True)
class Credentials:
    """PEM files of a client."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True)
class Cluster:
    """A cluster under test, driven by the command line as a user would."""

    name: str
    folder: Path
    subnet_head: str

    @property
    def endpoint(self) -> str:
        """Address of the API endpoint."""
        return f"{self.subnet_head}.1"

    def run(
        self, *words: str, bound_seconds: float = 300, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `risen WORDS` in the cluster's folder, whatever it answers."""
        environment = {**os.environ, "RISEN_CLUSTER": self.name}
        return subprocess.run(
            (*RISEN, *words), cwd=self.folder, env=environment, input=stdin, text=True,
            capture_output=True, timeout=bound_seconds, check=False,
        )  # fmt: skip

    def clear(self) -> None:
        """Delete it, whatever an earlier run left: one that was killed may have left a cluster whose store is gone."""
        self.run("down", "-c", self.name, "--yes", stdin=f"{self.name}\n")

    def risen(self, *words: str, bound_seconds: float = 300) -> str:
        """Run `risen WORDS`; fail with all it printed unless it exits 0."""
        done = self.run(*words, bound_seconds=bound_seconds)
        assert done.returncode == 0, (
            f"risen {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """Run kubectl against the cluster; fail unless it exits 0."""
        done = self.run("kubectl", *words, stdin=stdin, bound_seconds=120)
        assert done.returncode == 0, (
            f"kubectl {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def change(self, old: str, new: str) -> None:
        """Edit cluster.yaml."""
        file = self.folder / "cluster.yaml"
        text = file.read_text()
        assert old in text, f"{old!r} is not in {file}"
        file.write_text(text.replace(old, new, 1))

    def objects(self, *words: str) -> list[dict]:
        """`kubectl get WORDS -o json`, its items."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))["items"]

    def ready_nodes(self) -> set[str]:
        """Names of Nodes whose Ready condition is True."""
        return {
            node["metadata"]["name"]
            for node in self.objects("nodes")
            if any(
                c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", ())
            )
        }

    def ready_pods(self, selector: str, namespace: str = "default") -> list[dict]:
        """Pods of a selector that are Ready and not on their way out."""
        return [
            pod
            for pod in self.objects("pods", "-n", namespace, "-l", selector)
            if "deletionTimestamp" not in pod["metadata"]
            and any(
                c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ())
            )
        ]

    def status(self) -> dict:
        """`risen status -o json`."""
        return json.loads(self.risen("status", "-o", "json"))

    def events(self, kind: str) -> list[dict]:
        """Events of a kind, oldest first."""
        lines = self.risen("events", "-o", "json").splitlines()
        return [event for line in lines if (event := json.loads(line))["kind"] == kind]


def add_test_image(folder: Path) -> None:
    """Put a busybox image into the recipe, made from this host's static busybox."""
    from risen.adapters.builder.images_tar import busybox_archive

    archive = folder / "busybox.tar"
    archive.write_bytes(busybox_archive())
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text() + "  images: [{path: ./busybox.tar}]\n")


def wait_for(what: str, look: Callable[[], T], bound_seconds: float, pause_seconds: float = 0.5) -> T:
    """The first true answer of `look`; fails saying what was awaited and what was seen last."""
    end = time.monotonic() + bound_seconds
    seen: object = None
    while time.monotonic() < end:
        try:
            seen = look()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            seen = error
        else:
            if seen:
                return seen
        time.sleep(pause_seconds)
    raise AssertionError(f"not within {bound_seconds:.0f} s: {what}; seen last: {seen!r}")
