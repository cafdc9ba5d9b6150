"""The script that kube-proxy's start waits for, run by a shell on files and a `curl` of the test's own."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from risen.core.names import Role
from risen.instance.content import image_content

SCRIPT = "/usr/lib/risen/await-routes"
HEADER = "Iface\tDestination\tGateway\n"
OTHERS = ("flannel.1\t0002F40A\t0002F40A\n", "flannel.1\t0003F40A\t0003F40A\n")


class Node:
    """Where the script finds what it looks at: three Nodes, of which two are others."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, folder / "asked"
        (folder / "flannel.flags").write_text("--kube-subnet-mgr=true\n")
        (folder / "kubelet.conf").write_text('"server": "https://192.0.2.1:6443",\n')
        (folder / "subnet.env").write_text("FLANNEL_SUBNET=10.244.1.1/24\n")
        said = {"flannel.alpha.coreos.com/public-ip": "192.0.2.2"}
        nodes = [{"metadata": {"annotations": said}}] * 3 + [{"metadata": {"annotations": {}}}]
        (folder / "nodes.json").write_text(json.dumps({"items": nodes}, indent=1))
        curl = folder / "bin" / "curl"
        curl.parent.mkdir()
        curl.write_text(f'#!/bin/sh\ncat "{folder}/nodes.json"\n: > "{self.asked}"\n')
        curl.chmod(0o755)

    def routes(self, *lines: str) -> None:
        """What the kernel has."""
        (self.folder / "route").write_text("".join((HEADER, "host0\t00000000\t01004E0A\n", *lines)))

    def start(self) -> subprocess.Popen[bytes]:
        """The script, on this folder's files."""
        scripts = {file.path: file.data.decode() for file in image_content(Role.WORKER).files if file.data}
        (self.folder / "wait-for").write_text(scripts["/usr/lib/risen/wait-for"])
        text = scripts[SCRIPT]
        for there, here in (
            ("/etc/kubernetes", ""), ("/run/flannel", ""), ("/usr/lib/risen", ""), ("/proc/net/route", "/route"),
        ):  # fmt: skip
            assert there in text
            text = text.replace(there, f"{self.folder}{here}")
        return subprocess.Popen(
            ("sh", "-c", text), env={"PATH": f"{self.folder}/bin:/usr/local/bin:/usr/bin:/bin"}
        )


@pytest.fixture
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    yield Node(tmp_path_factory.mktemp("node"))


def test_kube_proxy_starts_at_once_where_every_other_node_has_a_route(node: Node) -> None:
    node.routes(*OTHERS)
    assert node.start().wait(timeout=10) == 0


def test_it_waits_for_the_last_route(node: Node) -> None:
    node.routes(OTHERS[0])
    waiting = node.start()
    end = time.monotonic() + 10
    while not node.asked.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert node.asked.exists()
    assert waiting.poll() is None
    node.routes(*OTHERS)
    assert waiting.wait(timeout=10) == 0


def test_another_pod_network_is_not_waited_for(node: Node) -> None:
    (node.folder / "flannel.flags").unlink()
    assert node.start().wait(timeout=10) == 0
    assert not node.asked.exists()
