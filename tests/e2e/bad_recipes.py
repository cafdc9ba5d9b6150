"""What makes a release bad: a file in its image, for each way in which an instance can fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pieces import Cluster


@dataclass(frozen=True)
class Kind:
    """A file that makes instances bad, and what the evidence then says."""

    path: str
    text: str
    evidence: str
    roles: tuple[str, ...] = ("worker", "control-plane")
    """Instances of these can be bad in this way."""


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
    "runs no kube-proxy": Kind(
        "/etc/systemd/system/kube-proxy.service.d/50-bad.conf",
        "[Service]\nExecStart=\nExecStart=/bin/false\n",
        "its kube-proxy does not answer at port 10256",
        roles=("worker",),
    ),
    "runs no scheduler": Kind(
        "/etc/systemd/system/kube-scheduler.service.d/50-bad.conf",
        "[Service]\nExecStart=\nExecStart=/bin/false\n",
        "its kube-scheduler does not answer at port 10259",
        roles=("control-plane",),
    ),
    "breaks the gate": Kind("/etc/acme.conf", "level = 2\n", "gate shop: "),
}


@contextmanager
def bad_recipe(cluster: Cluster, kind: Kind, role: str) -> Iterator[None]:
    """The recipe with the bad file for a role, locked; the recipe is put back when this ends, its lock is not."""
    recipe = cluster.folder / "recipe.yaml"
    good = recipe.read_text()
    (cluster.folder / "bad").write_text(kind.text)
    recipe.write_text(f"{good}  files: [{{path: {kind.path}, source: ./bad, roles: [{role}]}}]\n")
    try:
        cluster.risen("recipe", "lock")
        yield
    finally:
        recipe.write_text(good)
