"""The host's checks: each failure names what is missing and how to mend it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from risen.adapters.local.boot_unit import boot_unit_file
from risen.adapters.local.checks import (
    Wanted,
    check_bake_programs,
    check_bridge_rules,
    check_disk,
    check_free,
    check_memory,
    check_programs,
    check_reach,
    examine_surge,
    neighbours,
    os_name,
    wanted_for,
)
from risen.adapters.local.host import BAKE_PACKAGES, PACKAGES, is_systemd_host
from risen.adapters.local.launcher import launcher_for
from risen.adapters.local.outside import SHARED, USER_CHAINS
from risen.adapters.local.records import write_site
from risen.cli.doctor import doctor, render
from risen.core.names import ClusterUid, PoolName, Role
from risen.core.spec import ClusterSpec, LocalProvider, Networking, PoolSpec
from risen.interfaces.checks import Check, HostReport

SPEC = ClusterSpec(
    "never-raised",
    "1.36.3",
    (PoolSpec(PoolName("worker"), Role.WORKER, 9000),),
    provider=LocalProvider("10.9.0.0/24", 3),
)


def test_a_cluster_yaml_says_what_the_host_must_carry(tmp_path: Path) -> None:
    wanted = wanted_for(SPEC, tmp_path)
    assert (wanted.settings.name, wanted.settings.subnet, wanted.instances) == (
        "never-raised",
        "10.9.0.0/24",
        9000,
    )


def test_more_instances_than_memory_names_the_need(tmp_path: Path) -> None:
    check = check_memory(wanted_for(SPEC, tmp_path))
    assert (check.ok, "3601.0 are needed for 9000 more instances" in check.found) == (False, True)
    assert check.mend.startswith("end other programs or add memory (3")
    assert check.mend.endswith(" GiB more), or lower replicas in cluster.yaml")


def test_room_for_a_surge_is_asked_for_beside_what_is_wanted(tmp_path: Path) -> None:
    small = replace(SPEC, pools=(replace(SPEC.pools[0], replicas=1),))
    (check,) = examine_surge(wanted_for(small, tmp_path), 9000).checks
    assert (check.ok, "3601.4 are needed for 9001 more instances" in check.found) == (False, True)


def test_the_disk_is_looked_at_where_the_home_will_be(tmp_path: Path) -> None:
    check = check_disk(wanted_for(SPEC, tmp_path / "not" / "yet"))
    assert f"free at {tmp_path}" in check.found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('NAME="Debian GNU/Linux"\nVERSION_ID="12"\n', "Debian 12"),
        ('NAME="Ubuntu"\nVERSION_ID="24.04"\n', "Ubuntu 24.04"),
        ("", "Linux"),
    ],
)
def test_a_system_is_named_as_people_name_it(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "os-release").write_text(text)
    assert os_name(tmp_path / "os-release") == name


def test_every_program_has_the_package_that_brings_it() -> None:
    assert all(PACKAGES.values()) and all(BAKE_PACKAGES.values())


def test_a_missing_program_is_named_with_the_command_that_brings_it() -> None:
    check = check_programs("/nowhere")
    assert (check.ok, "systemd-container" in check.mend, "haproxy" in check.found) == (False, True, True)


@pytest.mark.parametrize("bars", [True, False])
def test_what_a_bake_lacks_is_named_and_bars_only_where_no_image_is_there(bars: bool, tmp_path: Path) -> None:
    check = check_bake_programs(bars, "/nowhere", tmp_path / "no.gpg")
    assert (check.ok, check.bars) == (False, bars)
    assert check.mend == "apt-get install apt debian-archive-keyring dpkg mmdebstrap util-linux"
    assert HostReport((check,)).ok is not bars


def test_what_does_not_bar_is_shown_with_its_mend_beside_the_ok() -> None:
    text = render(HostReport((Check("image pulls", False, "iptables drops", "iptables -I", bars=False),)))
    assert text.splitlines()[0].endswith(" ok, 1 to mend")
    assert "  image pulls: iptables drops\n    mend: iptables -I" in text


def test_everything_that_a_cluster_keeps_on_the_host_is_announced(tmp_path: Path) -> None:
    wanted = replace(wanted_for(SPEC, tmp_path), cache=tmp_path / "cache")
    settings = wanted.settings
    told = check_disk(wanted).adds + check_free(wanted).adds + check_bridge_rules().adds
    added = [settings.home, wanted.cache, SHARED, settings.netns, settings.network, settings.host_link]
    added += [boot_unit_file(settings)] if is_systemd_host() else []
    added += [] if " /run/netns " in Path("/proc/self/mountinfo").read_text() else ["mount /run/netns"]
    added += [launcher_for(settings.name).group("x").split("/")[0]]
    assert [one for one in map(str, added) if one not in told] == []


def on_loopback(home: Path, networking: Networking) -> Wanted:
    """A cluster whose pods or Services are to have addresses of the loopback link, which every host has."""
    return wanted_for(replace(SPEC, networking=networking), home)


def test_pods_and_services_with_addresses_that_nobody_of_the_host_has_pass(tmp_path: Path) -> None:
    assert check_reach(on_loopback(tmp_path, Networking("203.0.113.0/25", "203.0.113.128/25"))).ok


@pytest.mark.parametrize(
    ("networking", "field"),
    [
        (Networking("127.4.0.0/16", "203.0.113.0/24"), "podSubnet 127.4.0.0/16"),
        (Networking("203.0.113.0/24", "127.5.0.0/16"), "serviceSubnet 127.5.0.0/16"),
    ],
)
def test_pods_or_services_with_addresses_of_the_hosts_own_networks_bar_a_new_cluster_and_are_named(
    networking: Networking, field: str, tmp_path: Path
) -> None:
    check = check_reach(on_loopback(tmp_path, networking))
    assert check.found == f"{field} overlaps the host's route 127.0.0.0/8 on lo, which pods could not reach"
    wanted = f"choose another spec.networking.{field.split()[0]} in cluster.yaml"
    assert (check.ok, check.bars, check.mend) == (False, True, wanted)


def test_a_cluster_that_lives_is_not_barred_by_what_its_host_was_given_since(tmp_path: Path) -> None:
    new = on_loopback(tmp_path, Networking("127.4.0.0/16"))
    write_site(replace(new.settings, uid=ClusterUid("uid")))
    check = check_reach(on_loopback(tmp_path, Networking("127.4.0.0/16")))
    assert (check.ok, check.bars) == (False, False)
    assert check.mend.startswith("the cluster's cannot be changed any more")


def test_what_gets_rules_of_ours_is_not_said_to_be_left_alone() -> None:
    before, now = neighbours(), neighbours(tuple(USER_CHAINS))
    assert set(before) - {"docker0", "ufw"} <= set(now)
    assert not {"docker0", "ufw"} & set(now)


def test_what_fails_is_shown_with_its_mend_and_what_is_added_with_its_undo() -> None:
    report = HostReport(
        (
            Check("memory", False, "1 GiB", "2 GiB are needed"),
            Check("disk", True, "9 GiB", "", "/var/lib/risen"),
        ),
        ("docker0",),
    )
    text = render(report, "make down")
    assert "1 to mend" in text
    assert "adds: /var/lib/risen\n        leaves alone: docker0    undo: make down" in text
    assert "  memory: 1 GiB\n    mend: 2 GiB are needed" in text


def test_doctor_exits_with_1_when_something_fails_and_prints_data_on_request(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(
        "apiVersion: risen/v1alpha1\nkind: Cluster\nmetadata: {name: dev}\nspec:\n"
        '  kubernetes: {version: "1.36.3"}\n  provider: {local: {}}\n  pools:\n'
        "  - {name: control-plane, role: control-plane, replicas: 1}\n"
        "  - {name: worker, role: worker, replicas: 1}\n"
    )
    run = CliRunner().invoke(doctor, ["-f", str(file), "-o", "json"], env={"RISEN_HOME": "/proc/risen"})
    failed = [check["name"] for check in json.loads(run.output) if not check["ok"]]
    assert (run.exit_code, "disk" in failed) == (1, True)
