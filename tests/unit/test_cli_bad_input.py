"""Bad input and bad luck at the command line: what, where, how to mend, the right exit code, never a traceback."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from cli_ground import Ground, ground_in
from risen.bootstrap import Host, leadership_of
from risen.codec import records
from risen.core.events import Alarm
from risen.interfaces.store import IfVersion


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ground:
    return ground_in(tmp_path, monkeypatch, capsys)


def test_wrong_yaml_is_told_whole_with_file_line_column_path_and_what_would_be_right(ground: Ground) -> None:
    ground.file(ground.yaml().replace("replicas: 1", "replicas: two", 1) + "  colour: red\n")
    told = ground.risen("plan")
    assert told.code == 1
    lines = [line for line in told.err.splitlines() if "cluster.yaml:" in line]
    assert len(lines) == 2, "all at once"
    assert any("replicas" in line and "number" in line for line in lines), told.err
    assert any("colour" in line for line in lines), told.err


def test_text_that_is_no_yaml_is_told_with_its_line(ground: Ground) -> None:
    ground.file("spec: {name: [\n")
    told = ground.risen("plan")
    assert (told.code, "cluster.yaml:" in told.err) == (1, True), told.err


def test_an_unknown_kubernetes_version_is_told_with_the_known_ones(ground: Ground) -> None:
    ground.file(ground.yaml().replace("1.36.3", "1.12.0"))
    told = ground.risen("plan")
    assert told.code == 1
    assert "1.12.0" in told.err and "1.36.3" in told.err, told.err


def test_a_missing_cluster_yaml_names_the_command_that_writes_one(ground: Ground) -> None:
    for command in ("plan", "apply"):
        told = ground.risen(command)
        assert (told.code, told.err) == (1, "Error: cluster.yaml: no such file; `risen init` writes one\n")


def test_a_cluster_yaml_that_is_a_folder_is_told_as_one(ground: Ground) -> None:
    (ground.folder / "lab").mkdir()
    told = ground.risen("plan", "-f", "lab")
    assert told.code == 1
    assert "lab: a folder; name the file in it: -f lab/cluster.yaml" in told.err


def test_a_cluster_yaml_that_is_no_text_is_told_as_such(ground: Ground) -> None:
    (ground.folder / "cluster.yaml").write_bytes(b"a: \xff\n")
    told = ground.risen("plan")
    assert (told.code, "not a text in UTF-8 (byte 3" in told.err) == (1, True), told.err


def test_a_recipe_that_is_a_folder_is_told_without_a_traceback(ground: Ground) -> None:
    (ground.folder / "folder").mkdir()
    told = ground.risen("recipe", "lock", "-f", "folder")
    assert (told.code, told.err) == (1, "Error: folder: Is a directory\n")


def test_an_unknown_cluster_is_told_with_those_there_are(ground: Ground) -> None:
    ground.cluster("lab")
    for words in (["status"], ["events"], ["kubeconfig"], ["get", "instances"], ["kubectl"], ["kill", "x"]):
        told = ground.risen(*words[:1], "-c", "other", *words[1:])
        assert told.code == 1, words
        assert "no cluster other on this host (there is: lab)" in told.err, words


def test_without_any_cluster_the_way_to_one_is_named(ground: Ground) -> None:
    for words in (["status"], ["kubectl", "get", "nodes"], ["events"]):
        told = ground.risen(*words)
        assert told.code == 1
        assert "no cluster on this host yet; `risen init` and `risen up` make one" in told.err


def test_of_two_clusters_one_must_be_named_which_is_wrong_use(ground: Ground) -> None:
    ground.cluster("lab")
    ground.cluster("other")
    told = ground.risen("status")
    assert (told.code, "which cluster? -c with one of: lab, other" in told.err) == (64, True)
    ground.patch.setenv("RISEN_CLUSTER", "other")
    assert ground.risen("events").code == 0


@pytest.mark.parametrize("words", [["nonsense"], ["get"], ["get", "pods"], ["plan", "--nonsense"], ["kill"]])
def test_wrong_use_exits_with_64(ground: Ground, words: list[str]) -> None:
    told = ground.risen(*words)
    assert (told.code, "Try 'risen" in told.err) == (64, True)


def test_one_corrupted_object_is_named_and_nothing_is_changed(ground: Ground) -> None:
    ground.cluster()
    ground.file(ground.yaml())
    damaged = ground.stored("lab", "revisions/00000001")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    before = damaged.read_bytes()
    for words in (["status"], ["plan"], ["apply", "--yes"], ["kubeconfig"], ["events"], ["get", "instances"]):
        told = ground.risen(*words)
        assert told.code == 1, words
        assert (
            f"{damaged}: its bytes are not what was written (checksum); restore it from a backup" in told.err
        )
    assert damaged.read_bytes() == before


def test_a_corrupted_store_pins_every_image(ground: Ground) -> None:
    ground.cluster()
    damaged = ground.stored("lab", "revisions/00000001")
    damaged.write_bytes(b"")
    told = ground.risen("images", "prune")
    assert (told.code, str(damaged) in told.err) == (1, True)


def test_a_newer_store_is_told_to_need_a_newer_risen(ground: Ground) -> None:
    cluster = ground.cluster()

    async def age() -> None:
        there = await cluster.store.get(records.CLUSTER)
        assert there is not None
        value = {**json.loads(there.data), "schema": 99}
        await cluster.store.put(records.CLUSTER, json.dumps(value).encode(), IfVersion(there.version))

    asyncio.run(age())
    for command in ("status", "events", "kubeconfig"):
        told = ground.risen(command)
        assert told.code == 1
        assert f"written by a newer Risen (schema 99, this one knows {records.SCHEMA})" in told.err, command


def test_an_event_that_cannot_be_read_is_named_by_its_number(ground: Ground) -> None:
    cluster = ground.cluster()
    asyncio.run(cluster.store.append(records.EVENTS, b"garbage"))
    for command in ("events", "status"):
        told = ground.risen(command)
        assert (told.code, "events#1: not a record of Risen" in told.err) == (1, True), told.err


def test_a_missing_sealing_key_is_told_with_what_it_is_for(ground: Ground) -> None:
    ground.cluster()
    (ground.home / "keys" / "lab.key").unlink()
    for words in (["status"], ["kubeconfig"]):
        told = ground.risen(*words)
        assert told.code == 1
        assert "keys/lab.key: the sealing key of this cluster is missing; put it back" in told.err


def test_a_home_that_is_a_file_is_told_without_a_traceback(ground: Ground) -> None:
    ground.home.write_text("")
    ground.file(ground.yaml())
    told = ground.risen("plan")
    assert (told.code, told.err.startswith("Error: ")) == (1, True), told.err


def test_nobody_to_ask_is_told_with_what_to_say_instead(ground: Ground) -> None:
    ground.cluster()
    ground.file(ground.yaml(workers=2))
    told = ground.risen("apply")
    assert told.code == 1
    assert "there is no terminal to ask on: nothing was done; say --yes to go on" in told.err


def test_a_no_does_nothing(ground: Ground) -> None:
    ground.cluster()
    ground.file(ground.yaml(workers=2))
    told = ground.risen("apply", typed="n\n")
    assert (told.code, "not agreed to: nothing was done" in told.err) == (1, True)
    assert not ground.stored("lab", "revisions/00000002").exists()


def test_an_alarm_stands_out_in_the_events(ground: Ground) -> None:
    cluster = ground.cluster()
    alarm = Alarm(0.0, "second-key", "worker-2b", "its ticket was used with other keys")
    asyncio.run(cluster.store.append(records.EVENTS, records.encode(alarm)))
    told = ground.risen("events")
    assert "ALARM   worker-2b: second-key: its ticket was used with other keys" in told.out


def test_a_home_that_is_relative_is_the_same_for_the_controller_which_runs_elsewhere() -> None:
    host = Host.from_environment({"RISEN_HOME": "here", "RISEN_CACHE": ""})
    assert (host.home, host.cache) == (Path("here").absolute(), Path("/var/cache/risen"))


def test_a_store_elsewhere_is_refused_by_name_and_the_one_here_is_not_taken_for_it(ground: Ground) -> None:
    ground.cluster()
    ground.file(ground.yaml(workers=2))
    ground.patch.setenv("RISEN_STORE", "s3://bucket/lab")
    for words in (["status"], ["apply", "--yes"], ["doctor"], ["images"]):
        told = ground.risen(*words)
        assert (told.code, told.out) == (1, ""), words
        assert "RISEN_STORE is not built yet; this Risen has: the folder RISEN_HOME/clusters/NAME" in told.err
    ground.patch.setenv("RISEN_STORE", "")
    assert ground.risen("status").code == 0


def test_who_leads_is_told_by_name(ground: Ground) -> None:
    ground.cluster()

    async def look() -> str:
        lead = await leadership_of(Host(ground.home, ground.home), "lab").try_lead("example 4711")
        assert lead is not None
        try:
            return await asyncio.to_thread(lambda: ground.risen("status").out)
        finally:
            await lead.release()

    assert "example" in asyncio.run(look())
