"""Real servers that several contract tests share, and where what real adapters answer is noted."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from crashed import clear_crashed
from servers import ApiServer, EtcdServers, api_server, etcd_servers

from fidelity.plugin import note_answers


@pytest.fixture(autouse=True)
def answers_noted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adapters laid into `noted` note what they answer; so do the programs that a test starts."""
    note_answers(request.config, monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def nothing_of_crashed_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a killed run left is cleared first, where this run may lay ground itself."""
    if os.geteuid() == 0 and not hasattr(request.config, "workerinput"):
        clear_crashed(tmp_path_factory.getbasetemp().parent)


@pytest.fixture(scope="session")
def real_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """etcd and kube-apiserver on loopback, one for the whole run."""
    with api_server(tmp_path_factory.mktemp("api")) as server:
        yield server


@pytest.fixture(scope="session")
def real_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServers]:
    """One etcd member on loopback whose membership no test changes."""
    with etcd_servers(tmp_path_factory.mktemp("etcd"), 1) as servers:
        yield servers
