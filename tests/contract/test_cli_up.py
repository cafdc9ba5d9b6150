"""`risen up` interrupted, killed, started twice, on a real controller, network and endpoint; machines have no image.

The cluster's revision names images without content, so that everything but a machine's boot is real.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from risen.adapters.builder.shelf import Shelf
from risen.bootstrap import Host, create_cluster, leadership_of, open_authorities, open_cluster
from risen.codec.cluster_yaml import parse_cluster
from risen.codec.scaffold import Scaffold, cluster_yaml_text
from risen.core.names import Role
from risen.services.revise import Baked, first_revision, write_revision

pytestmark = pytest.mark.root

NAME, SUBNET = "risen-bad", "10.83.0.0/24"
BOUND_SECONDS = 180


@dataclass(frozen=True)
class Ground:
    """A scratch home, and a folder with a cluster.yaml."""

    host: Host
    folder: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`risen WORDS` without a terminal."""
        return subprocess.Popen(
            [sys.executable, "-m", "risen.cli.main", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder,
            env={"PATH": os.environ["PATH"], "RISEN_HOME": str(self.host.home), "RISEN_CACHE": str(self.host.cache)},
        )  # fmt: skip

    def run(self, *words: str) -> tuple[int, str]:
        """Exit code, and all it printed."""
        started = self.start(*words)
        said, _ = started.communicate(timeout=BOUND_SECONDS)
        return started.returncode, said

    def leader(self) -> str | None:
        """Who leads, as the lock says."""
        return asyncio.run(leadership_of(self.host, NAME).leader())

    def wait_for(self, said: str, started: subprocess.Popen[str]) -> str:
        """Lines up to one that holds `said`."""
        assert started.stdout is not None
        lines = []
        for line in started.stdout:
            lines.append(line)
            if said in line:
                return "".join(lines)
        raise AssertionError(f"{said!r} was never said: {''.join(lines)}")

    def controllers(self) -> list[int]:
        """Processes that serve this cluster."""
        wanted = f"serve\0-c\0{NAME}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if (entry / "cmdline").read_bytes().endswith(wanted):
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Ground]:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "cluster.yaml").write_text(cluster_yaml_text(Scaffold(NAME, 1, 0, SUBNET)))
    ground = Ground(Host(tmp_path / "home", tmp_path / "cache"), folder)
    yield ground
    assert ground.run("down", "-c", NAME, "--yes")[0] == 0


@pytest.fixture
def ground(empty: Ground) -> Ground:
    """With a first revision."""
    shelf = Shelf(empty.host.home)
    images = {role: shelf.keep_image(role, (), {}).digest for role in (Role.CONTROL_PLANE, Role.WORKER)}

    async def revise() -> None:
        made = await create_cluster(empty.host, NAME)
        spec = parse_cluster((empty.folder / "cluster.yaml").read_text(), "f")
        await write_revision(made.store, first_revision(spec, Baked(images, "l" * 64)))

    asyncio.run(revise())
    return empty


def test_up_that_is_interrupted_or_killed_leaves_the_controller_and_the_next_one_carries_on(
    ground: Ground,
) -> None:
    first = ground.start("up")
    ground.wait_for("lead    controller leads (pid", first)
    leader = ground.leader()
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate(timeout=BOUND_SECONDS)
    assert (first.returncode, "stopped watching; the controller goes on\nnext    risen status" in said) == (
        130,
        True,
    )

    second = ground.start("up")
    ground.wait_for("lead    already: controller leads (pid", second)
    second.kill()
    second.wait()
    assert (ground.leader(), len(ground.controllers())) == (leader, 1), "the one of the first `up`"

    (controller,) = ground.controllers()
    os.kill(controller, signal.SIGKILL)
    code, said = ground.run("up", "--timeout", "1")
    assert (code, "not all there after 1 s (the controller goes on)" in said) == (1, True)
    assert ground.leader() not in (None, leader), "another leads at once"


def test_two_at_once_start_one_controller_and_both_say_who_leads(ground: Ground) -> None:
    both = [ground.start("up", "--timeout", "2") for _ in range(2)]
    said = [one.communicate(timeout=BOUND_SECONDS)[0] for one in both]
    leader = ground.leader()
    assert leader is not None
    assert all(f"controller leads (pid {leader.split()[1]} on" in text for text in said), said
    end = time.monotonic() + 5
    while len(ground.controllers()) > 1 and time.monotonic() < end:
        time.sleep(0.05)
    assert ground.controllers() == [int(leader.split()[1])]


def test_down_ends_the_controller_and_leaves_nothing_of_a_cluster_that_never_rose(ground: Ground) -> None:
    ground.run("up", "--timeout", "0.5")
    code, said = ground.run("down", "-c", NAME, "--yes")
    assert (code, f"gone    {NAME}" in said) == (0, True), said
    netns = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert (ground.controllers(), f"risen-{NAME}" in netns) == ([], False)
    assert not ground.host.folder(NAME).exists() and not ground.host.key_file(NAME).exists()


def test_up_killed_at_any_moment_of_its_beginning_leaves_a_store_that_the_next_one_opens(
    empty: Ground,
) -> None:
    for tenths in range(2, 14, 2):
        begun = empty.start("up")
        time.sleep(tenths / 10)
        begun.kill()
        begun.communicate()
    code, said = empty.run("up")
    assert (code, "recipe.yaml" in said and "Traceback" not in said) == (1, True), said

    async def look() -> bool:
        cluster = await open_cluster(empty.host, NAME)
        return (await open_authorities(cluster)).cluster.certificate != ""

    assert asyncio.run(look())
    assert [path.name for path in empty.host.key_file(NAME).parent.iterdir()] == [f"{NAME}.key"]


def test_a_name_or_subnet_of_the_hosts_is_refused_by_up_and_nothing_is_added(empty: Ground) -> None:
    subprocess.run(["ip", "link", "add", f"risen-{NAME}", "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", "10.83.0.9/24", "dev", f"risen-{NAME}"], check=True)
        subprocess.run(["ip", "link", "set", f"risen-{NAME}", "up"], check=True)
        code, said = empty.run("up")
    finally:
        subprocess.run(["ip", "link", "del", f"risen-{NAME}"], check=True)
    assert code == 1
    assert f"network link risen-{NAME} belongs to something else: choose another cluster name" in said
    assert f"this host cannot carry {NAME} yet (names and subnet): mend it as shown above" in said
    assert not empty.host.folder(NAME).exists()


def test_a_taken_port_is_told_in_the_controllers_last_words(ground: Ground) -> None:
    ground.run("up", "--timeout", "0.5")
    (controller,) = ground.controllers()
    os.kill(controller, signal.SIGKILL)
    squatter = subprocess.Popen(
        ["ip", "netns", "exec", f"risen-{NAME}", sys.executable, "-c",
         "import socket,time; s=socket.create_server(('10.83.0.1', 9443)); print(flush=True); time.sleep(180)"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert squatter.stdout is not None
    squatter.stdout.readline()
    try:
        code, said = ground.run("up", "--timeout", "90")
    finally:
        squatter.kill()
        squatter.wait()
    assert (code, "port 9443 on 10.83.0.1 is taken" in said) == (1, True), said
