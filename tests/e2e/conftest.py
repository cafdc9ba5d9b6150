"""One real cluster for the whole run: what an earlier crashed run left is cleared first, nothing is left after."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from host import host_facts, leftovers
from kept_record import RecordKeeper, code_now, not_yet_passed, read
from load import credentials_of
from pieces import Cluster, Credentials, add_test_image

from fidelity.plugin import note_answers

NAME = "risen-test"
SUBNET_HEAD = "10.78.0"
STORY = ("test_cluster.py", "test_rollout.py", "test_cluster_end.py")
"""Files that tell the story of the one cluster, in this order; within a file from top to bottom."""

LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known where this folder is named on the command line, as `make e2e` does."""
    group = parser.getgroup("e2e")
    group.addoption(
        "--record", type=Path, help="a file that keeps what became of each test, and on which code"
    )
    group.addoption(
        "--left", action="store_true", help="only what has not passed on today's code, by --record"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Keep the record that was asked for."""
    record = config.getoption("--record", None)
    if record is not None and not config.option.collectonly:
        config.pluginmanager.register(RecordKeeper(record))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The files of the one cluster's story stand together, in its order."""
    here = Path(__file__).parent
    story = [item for item in items if item.path.parent == here and item.path.name in STORY]
    if story:
        first = items.index(story[0])
        told = sorted(story, key=lambda item: STORY.index(item.path.name))
        items[:] = [*items[:first], *told, *(item for item in items[first:] if item not in story)]
    for item in items:
        if item.get_closest_marker("e2e") is None and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.cluster)
    if config.getoption("--left", default=False):
        leave_out_what_passed(config, items)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where all has passed on today's code there is nothing left to run, and that is no failure."""
    if session.config.stash.get(LEFT_OUT, 0) and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK


def leave_out_what_passed(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--left`: only files of which a test has not passed on today's code."""
    groups: dict[str, list[str]] = {}
    for item in items:
        groups.setdefault("story" if item.path.name in STORY else item.path.name, []).append(item.nodeid)
    record = config.getoption("--record")
    if record is None:
        raise pytest.UsageError("--left needs --record FILE, which says what has passed")
    left = not_yet_passed(groups.values(), read(record), cache(code_now))
    config.stash[LEFT_OUT] = len(items) - len(left)
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in left])
    items[:] = [item for item in items if item.nodeid in left]


@pytest.fixture(scope="session", autouse=True)
def answers_noted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Controllers and commands that these tests start note what real parts answer them."""
    with pytest.MonkeyPatch.context() as environment:
        note_answers(request.config, environment)
        yield


@pytest.fixture(scope="session")
def host_before() -> dict[str, str]:
    """Host facts before anything of this run was added."""
    return {}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, host_before: dict[str, str]) -> Iterator[Cluster]:
    """Three control-plane instances and two workers, started by `risen up`."""
    folder = tmp_path_factory.mktemp("cluster")
    found = Cluster(NAME, folder, SUBNET_HEAD)
    found.clear()
    assert leftovers(NAME) == [], "an earlier run's pieces are still there after `risen down`"
    host_before.update(host_facts())
    found.risen(
        "init", "--name", NAME, "--subnet", f"{SUBNET_HEAD}.0/24", "--control-plane", "3", "--workers", "2"
    )
    add_test_image(folder)
    found.risen("up", "--yes", bound_seconds=2400)
    try:
        yield found
    finally:
        found.clear()


@pytest.fixture(scope="session")
def credentials(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    """A kubeconfig of hours, split into files."""
    folder = tmp_path_factory.mktemp("credentials")
    kubeconfig = folder / "kubeconfig"
    cluster.risen("kubeconfig", "--out", str(kubeconfig))
    return credentials_of(kubeconfig, folder)


@pytest.fixture(autouse=True)
def console_on_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print the controller's last lines when a test fails."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        home = Path(os.environ.get("RISEN_HOME", "/var/lib/risen"))
        log = home / "clusters" / NAME / "controller.log"
        subprocess.run(["tail", "-n", "60", str(log)], check=False)
