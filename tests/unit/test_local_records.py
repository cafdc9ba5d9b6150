"""What the local provider remembers, writes into an instance and hands to HAProxy and systemd."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from risen.adapters.local.boot_unit import remove_empty, unit_text
from risen.adapters.local.haproxy import Slot, change_slot, free_slot, read_slots, render, write_slots
from risen.adapters.local.host import file_lock, is_locked, write_file
from risen.adapters.local.outside import nat_rules
from risen.adapters.local.records import (
    Record,
    choose_address,
    read_record,
    read_site,
    request_digest,
    take_address,
    write_record,
    write_site,
)
from risen.adapters.local.seed import seed_files, upstream_only, write_inside
from risen.adapters.local.settings import LocalSettings
from risen.core.names import ClusterUid, ImageDigest, InstanceName, PoolName, Role
from risen.interfaces.errors import Corrupt, Later, NoCapacity, NotFound
from risen.interfaces.provider import LaunchRequest

RECORD = Record(
    "worker-bcdfg", "uid", "worker", "worker", "sha256:0", ("/a", "/b"),
    base64.b64encode(b"#cloud-config\n\xff").decode(), "d", "risen-local://dev/worker-bcdfg/0123", "10.77.0.10",
)  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> LocalSettings:
    return LocalSettings("dev", ClusterUid("uid"), tmp_path)


def add_record(settings: LocalSettings, name: str, address: str) -> None:
    folder = settings.instances / name
    folder.mkdir(parents=True)
    write_record(folder, replace(RECORD, instance=name, address=address))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    assert read_record(tmp_path) == RECORD


def test_a_damaged_record_is_corrupt_and_never_absent(tmp_path: Path) -> None:
    (tmp_path / "instance.json").write_text('{"instance": "x"}')
    with pytest.raises(Corrupt):
        read_record(tmp_path)


def test_a_site_is_read_as_it_was_written_but_for_the_ca(settings: LocalSettings) -> None:
    wanted = replace(
        settings, boot_command=("/usr/bin/python3", "-m", "risen.cli.main"), endpoint_check_seconds=1.5,
        pod_subnet="10.32.0.0/16", service_subnet="10.33.0.0/20",
    )  # fmt: skip
    write_site(replace(wanted, cluster_ca=b"pem"))
    assert read_site(settings.home, "dev") == wanted


def test_a_site_that_an_earlier_risen_wrote_has_the_default_for_what_it_did_not_know(
    settings: LocalSettings,
) -> None:
    write_site(settings)
    file = settings.folder / "site.json"
    known = json.loads(file.read_bytes())
    for field in ("endpoint_check_seconds", "pod_subnet", "service_subnet"):
        del known[field]
    file.write_text(json.dumps(known))
    assert read_site(settings.home, "dev") == settings


def test_a_cluster_that_was_never_here_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no cluster dev"):
        read_site(tmp_path, "dev")


def test_every_field_of_a_request_counts_in_its_digest() -> None:
    base = LaunchRequest(
        InstanceName("a"), ClusterUid("u"), PoolName("p"), Role.WORKER, ImageDigest("i"), b"x"
    )
    others = [
        replace(base, instance=InstanceName("b")), replace(base, cluster=ClusterUid("v")),
        replace(base, pool=PoolName("q")), replace(base, role=Role.CONTROL_PLANE),
        replace(base, image=ImageDigest("j")), replace(base, user_data=b"y"),
    ]  # fmt: skip
    assert len({request_digest(one) for one in (base, *others)}) == len(others) + 1


@pytest.mark.parametrize(
    ("taken", "last_used", "chosen"),
    [
        ((), {}, "a"),
        (("a",), {"a": 1}, "b"),
        ((), {"a": 1}, "b"),
        (("c",), {"a": 2, "b": 1, "c": 3}, "b"),
        (("a", "b", "c"), {"a": 1}, None),
    ],
)
def test_an_address_never_used_comes_first_then_the_longest_rested(
    taken: tuple[str, ...], last_used: dict[str, int], chosen: str | None
) -> None:
    assert choose_address(("a", "b", "c"), frozenset(taken), last_used) == chosen


def test_an_instance_asking_again_gets_the_address_it_has(settings: LocalSettings) -> None:
    add_record(settings, "worker-bcdfg", "10.77.0.99")
    assert take_address(settings, InstanceName("worker-bcdfg")) == "10.77.0.99"


def test_an_address_given_to_a_launch_that_crashed_rests_too(settings: LocalSettings) -> None:
    crashed = take_address(settings, InstanceName("worker-crash"))
    assert (crashed, take_address(settings, InstanceName("worker-next"))) == ("10.77.0.10", "10.77.0.11")


def test_without_its_history_no_address_in_use_is_given_twice(settings: LocalSettings) -> None:
    add_record(settings, "worker-bcdfg", "10.77.0.10")
    assert take_address(settings, InstanceName("worker-next")) == "10.77.0.11"


def test_a_used_up_range_is_no_capacity(settings: LocalSettings) -> None:
    for number, address in enumerate(settings.addresses):
        add_record(settings, f"worker-{number}", address)
    with pytest.raises(NoCapacity, match="all 241 addresses"):
        take_address(settings, InstanceName("worker-next"))


def test_the_seed_is_the_same_at_every_try_and_carries_the_user_data_unchanged(
    settings: LocalSettings,
) -> None:
    seed = seed_files(settings, RECORD, "nameserver 192.0.2.53\n")
    assert seed == seed_files(settings, replace(RECORD, starts=7), "nameserver 192.0.2.53\n")
    assert seed["var/lib/cloud/seed/nocloud/user-data"] == b"#cloud-config\n\xff"
    assert b"Address=10.77.0.10/24\nGateway=10.77.0.1\n" in seed["etc/systemd/network/10-host0.network"]


def test_name_servers_on_the_hosts_loopback_are_not_handed_on() -> None:
    text = "search a.example\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\n"
    assert upstream_only(text) == "search a.example\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\n"


def test_writing_into_a_root_follows_no_link_out_of_it(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (root / "etc").symlink_to(outside)
    with pytest.raises(OSError, match=r"\[Errno (20|40)\]"):
        write_inside(root, "etc/hostname", b"x", 0o644)
    assert os.listdir(outside) == []


def test_a_link_in_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    victim, root = tmp_path / "victim", tmp_path / "root"
    victim.write_text("mine")
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "resolv.conf").symlink_to(victim)
    write_inside(root, "etc/resolv.conf", b"theirs", 0o644)
    assert (victim.read_text(), (root / "etc/resolv.conf").read_text()) == ("mine", "theirs")


def test_a_lock_is_held_by_one_and_seen_by_others(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with file_lock(lock):
        held = is_locked(lock)
        with pytest.raises(Later), file_lock(lock, 0.05):
            pass
    assert (held, is_locked(lock)) == (True, False)


def test_a_lock_file_removed_by_its_holder_is_made_anew_for_the_next(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with file_lock(lock):
        lock.unlink()
        with file_lock(lock, 0.05):
            assert is_locked(lock)


def test_a_full_disk_leaves_the_former_file(tmp_path: Path) -> None:
    file = tmp_path / "f"
    write_file(file, b"old")
    if not Path("/dev/full").exists():
        pytest.fail("/dev/full is part of Linux")
    (tmp_path / "f.partial").symlink_to("/dev/full")
    with pytest.raises(NoCapacity):
        write_file(file, b"new")
    assert file.read_bytes() == b"old"


def test_backends_are_rendered_into_the_configuration_that_outlives_haproxy(settings: LocalSettings) -> None:
    slots = (Slot(2, "b", "10.77.0.12", draining=True), Slot(1, "a", "10.77.0.11"))
    write_slots(settings, slots)
    text = (settings.folder / "endpoint" / "haproxy.cfg").read_text()
    assert read_slots(settings) == (slots[1], slots[0])
    assert "server slot1 10.77.0.11:6443\n" in text
    assert "server slot2 10.77.0.12:6443 weight 0\n" in text
    assert "server slot3 127.0.0.1:6443 disabled\n" in text


def test_a_backend_on_its_way_out_does_not_come_back_with_haproxy(settings: LocalSettings) -> None:
    text = render(settings, (Slot(1, "a", "10.77.0.11", leaving=True),))
    assert "server slot1 10.77.0.11:6443 disabled\n" in text


def test_checks_are_verified_against_the_cluster_ca(settings: LocalSettings) -> None:
    text = render(settings, ())
    assert f"verify required ca-file {settings.folder}/endpoint/cluster-ca.crt" in text
    assert "verifyhost kubernetes inter 500ms fastinter 500ms downinter 500ms fall 2 rise 1" in text
    assert "on-marked-down shutdown-sessions" in text
    assert "timeout connect 2000ms" in text and "timeout check 2000ms" in text


def test_on_a_slow_host_checks_are_rarer_and_have_longer(settings: LocalSettings) -> None:
    text = render(replace(settings, endpoint_check_seconds=3.0), ())
    assert "inter 3000ms fastinter 3000ms downinter 3000ms" in text
    assert "timeout connect 3000ms" in text and "timeout check 12000ms" in text


def test_damaged_backends_are_corrupt(settings: LocalSettings) -> None:
    write_file(settings.folder / "endpoint" / "backends.json", b'[{"who": 1}]')
    with pytest.raises(Corrupt):
        read_slots(settings)


def test_slots_are_lent_lowest_first_and_run_out() -> None:
    slots = (Slot(1, "a", "x"), Slot(3, "c", "x"))
    assert (free_slot(slots), change_slot(slots, Slot(1, "z", "y"))) == (2, (slots[1], Slot(1, "z", "y")))


def test_nat_lets_in_answers_only(settings: LocalSettings) -> None:
    rules = nat_rules(settings)
    assert 'oifname "risen-dev" ct state established,related accept\n    oifname "risen-dev" drop' in rules
    assert 'ip saddr 10.77.0.0/24 oifname != "risen-dev" masquerade' in rules


def test_a_boot_command_survives_systemds_expansions(settings: LocalSettings) -> None:
    text = unit_text(replace(settings, boot_command=("/opt/my risen", "50%", '"$HOME"')))
    assert 'ExecStart="/opt/my risen" "50%%" "\\"$$HOME\\"" serve -c dev\n' in text


@pytest.mark.parametrize(
    ("others", "left"),
    [
        ("", []),
        ("systemd/system/other.service", ["systemd", "systemd/system", "systemd/system/other.service"]),
    ],
)
def test_of_a_boot_units_folders_those_stay_that_hold_something_of_others(
    tmp_path: Path, others: str, left: list[str]
) -> None:
    top = tmp_path / "lib"
    wants = top / "systemd" / "system" / "multi-user.target.wants"
    wants.mkdir(parents=True)
    if others:
        (top / others).write_text("")
    remove_empty(wants, top)
    assert sorted(str(path.relative_to(top)) for path in top.rglob("*")) == left
    assert top.is_dir()


def test_at_boot_instances_start_without_the_store_and_only_then_the_controller(
    settings: LocalSettings,
) -> None:
    text = unit_text(replace(settings, boot_command=("/usr/bin/risen",)))
    assert (
        'ExecStartPre=-"/usr/bin/risen" start --after-boot -c dev\nExecStart="/usr/bin/risen" serve -c dev\n'
        in text
    )
