"""What the provider says of an instance without a process, from its folder alone."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from risen.adapters.local.disk import disk_file
from risen.adapters.local.host import file_lock
from risen.adapters.local.launcher import CgroupLauncher
from risen.adapters.local.machine import Machine, note_running, observe
from risen.adapters.local.records import Record, read_record, write_record
from risen.adapters.local.settings import LocalSettings
from risen.core.names import ClusterUid, InstanceName
from risen.core.picture import InstanceState

NAME = InstanceName("worker-bcdfg")
RECORD = Record(
    NAME, "uid", "worker", "worker", "sha256:0", ("/a",), base64.b64encode(b"#cloud-config\n").decode(), "d",
    f"risen-local://never-here/{NAME}/0123", "10.77.0.10", "boot-1",
)  # fmt: skip
NOTHING, EMPTY, DAMAGED = "no folder", "an empty folder", "a damaged record"
NEVER_RAN, RAN = "a record of no start", "a record of a start"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    settings = LocalSettings("never-here", ClusterUid("uid"), tmp_path)
    return Machine(settings, CgroupLauncher("never-here"), NAME)


def left(machine: Machine, folder: str, disk: bool) -> Machine:
    """What lies there."""
    if folder == NOTHING:
        return machine
    machine.folder.mkdir(parents=True)
    if folder == DAMAGED:
        (machine.folder / "instance.json").write_text("{")
    elif folder != EMPTY:
        write_record(machine.folder, replace(RECORD, starts=int(folder == RAN)))
    if disk:
        disk_file(machine.folder).write_bytes(b"")
    return machine


@pytest.mark.parametrize(
    ("folder", "disk", "state"),
    [
        (NOTHING, False, InstanceState.GONE),
        (EMPTY, False, InstanceState.UNFINISHED),
        (NEVER_RAN, False, InstanceState.UNFINISHED),
        (NEVER_RAN, True, InstanceState.UNFINISHED),
        (RAN, True, InstanceState.STOPPED),
        (RAN, False, InstanceState.GONE),
        (DAMAGED, True, InstanceState.STOPPED),
        (DAMAGED, False, InstanceState.UNFINISHED),
        (EMPTY, True, InstanceState.STOPPED),
    ],
)
def test_only_what_has_run_is_stopped_and_only_what_left_nothing_is_gone(
    machine: Machine, folder: str, disk: bool, state: InstanceState
) -> None:
    assert observe(left(machine, folder, disk)).state is state


def test_half_a_launch_is_known_by_its_own_id_and_has_stopped_at_no_time(machine: Machine) -> None:
    seen = observe(left(machine, NEVER_RAN, disk=True))
    assert (seen.provider_id, seen.cluster, seen.stopped_at) == (RECORD.provider_id, "uid", None)


def test_half_a_launch_is_starting_while_somebody_is_at_it(machine: Machine) -> None:
    left(machine, NEVER_RAN, disk=True)
    with file_lock(machine.lock):
        assert observe(machine).state is InstanceState.STARTING


def test_that_it_has_run_is_noted_once(machine: Machine) -> None:
    left(machine, NEVER_RAN, disk=True)
    for _ in range(2):
        note_running(machine)
    assert read_record(machine.folder) == replace(RECORD, starts=1)
    assert observe(machine).state is InstanceState.STOPPED


@pytest.mark.parametrize("folder", [NOTHING, DAMAGED])
def test_without_a_record_nothing_is_noted(machine: Machine, folder: str) -> None:
    left(machine, folder, disk=False)
    before = sorted(machine.settings.home.rglob("*"))
    note_running(machine)
    assert sorted(machine.settings.home.rglob("*")) == before
