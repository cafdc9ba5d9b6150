"""`get` and `status`: narrow and wide tables, and with -w what changed and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import yaml

from builders import NOW, UID, Cluster, birth_of
from cli_ground import Ground, ground_in
from risen.adapters.store.directory import DirectoryStore
from risen.bootstrap import Cluster as Opened
from risen.bootstrap import Host, open_cluster
from risen.cli.consoles import Consoles
from risen.cli.get import NARROW, Changes
from risen.cli.glimpse import Glimpse
from risen.codec import records
from risen.core.events import Born, SeenGone
from risen.core.names import InstanceName


@pytest.fixture
def ground(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ground:
    return ground_in(tmp_path_factory.mktemp("ground"), monkeypatch, capsys)


def glimpse_of(cluster: Cluster, folder: Path) -> Glimpse:
    opened = Opened(Host(folder, folder), "dev", UID, DirectoryStore.create(folder), cluster.revision)
    return Glimpse(
        opened,
        cluster.history(),
        cluster.picture(),
        cluster.plan(),
        "somebody",
        NOW.boot,
        NOW.unix,
        Consoles({}, {}),
    )


def told(changes: Changes, cluster: Cluster, capsys: pytest.CaptureFixture[str], folder: Path) -> list[str]:
    """What is printed for one more look."""
    changes.tell(glimpse_of(cluster, folder))
    return capsys.readouterr().out.splitlines()


def test_a_watched_row_is_told_when_it_is_new_changes_or_is_gone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cluster, changes = Cluster.standing(1, 2), Changes("instances", "table")
    first = told(changes, cluster, capsys, tmp_path)
    assert [line.split()[0] for line in first] == ["NAME", "cp-a", "w-a", "w-b"]
    assert first[0].split() == [column.upper() for column in NARROW["instances"]]
    assert told(changes, cluster, capsys, tmp_path) == []
    (line,) = told(changes, cluster.stop("w-b"), capsys, tmp_path)
    assert line.startswith("w-b ") and "STOPPED" in line.upper()
    del cluster.lives["w-b"], cluster.instances["w-b"]
    assert told(changes, cluster, capsys, tmp_path) == ["w-b is gone"]


def test_what_always_moves_is_told_in_wide_tables_only(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cluster = Cluster.standing(3, 0)
    narrow, wide = Changes("members", "table"), Changes("members", "wide")
    for changes in (narrow, wide):
        assert len(told(changes, cluster, capsys, tmp_path)) == 4
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], revision=7)
    assert told(narrow, cluster, capsys, tmp_path) == []
    assert [line.split()[1] for line in told(wide, cluster, capsys, tmp_path)] == ["cp-b"]
    cluster.members["cp-b"] = replace(cluster.members["cp-b"], healthy=False)
    assert [line.split()[0] for line in told(narrow, cluster, capsys, tmp_path)] == ["cp-b"]


def test_what_cannot_be_seen_is_said_once_and_takes_nothing_away(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cluster, changes = Cluster.standing(3, 0), Changes("members", "name")
    assert told(changes, cluster, capsys, tmp_path) == ["cp-a", "cp-b", "cp-c"]
    cluster.unseen = {"etcd": "Unreachable: no answer"}
    for said in ("etcd cannot be seen: Unreachable: no answer\n", ""):
        changes.tell(glimpse_of(cluster, tmp_path))
        assert capsys.readouterr() == ("", said)
    cluster.unseen = {}
    assert told(changes, cluster, capsys, tmp_path) == []


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_watched_rows_as_data_are_documents(
    output: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cluster, changes = Cluster.standing(1, 1), Changes("instances", output)
    text = "\n".join(told(changes, cluster, capsys, tmp_path))
    found = (
        list(yaml.safe_load_all(text))
        if output == "yaml"
        else [json.loads(line) for line in text.split("\n")]
    )
    assert [row["name"] for row in found] == ["cp-a", "w-a"]
    del cluster.lives["w-a"], cluster.instances["w-a"]
    text = "\n".join(told(changes, cluster, capsys, tmp_path))
    assert yaml.safe_load(text.removeprefix("---\n")) == {"name": "w-a", "gone": True}


def test_a_table_is_narrow_unless_it_is_asked_to_be_wide(ground: Ground) -> None:
    happened(ground, Born(1.0, birth_of("w-a")))
    narrow, wide = (ground.risen("get", "instances", "-o", form).out for form in ("table", "wide"))
    assert narrow.split("\n")[0].split() == [column.upper() for column in NARROW["instances"]]
    assert wide.split("\n")[0].split()[-2:] == ["PROVIDER_ID", "EVIDENCE"]
    assert narrow == ground.risen("get", "instances").out


def happened(ground: Ground, *events: Born | SeenGone) -> None:
    """Append to the stream of the cluster `lab`, which is made if it is not there."""
    host = Host(ground.home, ground.home)
    cluster = asyncio.run(open_cluster(host, "lab")) if "lab" in host.clusters() else ground.cluster()

    async def append() -> None:
        for event in events:
            await cluster.store.append(records.EVENTS, records.encode(event))

    asyncio.run(append())


@contextmanager
def watching(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on; ended by Ctrl-C, which it must answer by 130.

    A shell lets what it starts in the background ignore Ctrl-C, and whoever runs these tests may be started so.
    """
    command = [sys.executable, "-m", "risen.cli.main", *words]
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        yield program
        os.kill(program.pid, signal.SIGINT)
        program.communicate(timeout=30)
        assert program.returncode == 130
    finally:
        program.kill()
        program.wait()


def next_line(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline()


def test_a_watching_get_tells_what_another_program_appends(ground: Ground) -> None:
    happened(ground, Born(1.0, birth_of("w-a")))
    with watching("get", "instances", "-w", "-o", "name") as program:
        assert next_line(program) == "w-a\n"
        happened(ground, Born(2.0, birth_of("w-b")))
        assert next_line(program) == "w-b\n"
        happened(ground, SeenGone(3.0, InstanceName("w-a")))
        assert next_line(program) == "w-a\n"


def test_a_watching_status_tells_a_document_whenever_something_changed(ground: Ground) -> None:
    ground.cluster()
    with watching("status", "-w", "-o", "json") as program:
        assert json.loads(next_line(program))["instances"] == []
        happened(ground, Born(2.0, birth_of("w-b")))
        names = [one["name"] for one in json.loads(next_line(program))["instances"]]
        assert names == ["w-b"]
