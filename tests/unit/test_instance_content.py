"""What Risen puts into images: every unit and script hangs together, and no role gets another's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from risen.core.names import Role
from risen.instance import layout
from risen.instance.content import ImageContent, image_content

ROLES = [Role.CONTROL_PLANE, Role.WORKER]
UNITS = "/usr/lib/systemd/system/"


def texts(content: ImageContent) -> dict[str, str]:
    return {file.path: file.data.decode() for file in content.files if file.link is None}


def units(content: ImageContent) -> dict[str, str]:
    return {
        path.removeprefix(UNITS): text
        for path, text in texts(content).items()
        if path.startswith(UNITS) and path.count("/") == UNITS.count("/")
    }


@pytest.mark.parametrize("role", ROLES)
def test_every_script_that_a_unit_runs_is_in_the_image(role: Role) -> None:
    content = image_content(role)
    run = {
        path
        for text in units(content).values()
        for path in re.findall(r"^Exec\w+=/bin/sh (\S+)", text, re.MULTILINE)
    }
    assert len(run) >= 6
    assert run <= set(texts(content))


@pytest.mark.parametrize("role", ROLES)
def test_no_unit_holds_what_systemd_would_expand(role: Role) -> None:
    for name, text in units(image_content(role)).items():
        for line in text.splitlines():
            if line.startswith("Exec"):
                assert "$" not in line and "%" not in line, (name, line)


@pytest.mark.parametrize("role", ROLES)
def test_no_failure_parks_a_unit_for_ever(role: Role) -> None:
    restarted = {name: text for name, text in units(image_content(role)).items() if "\nRestart=" in text}
    assert len(restarted) >= 6
    assert [name for name, text in restarted.items() if "StartLimitIntervalSec=0" not in text] == []


@pytest.mark.parametrize("role", ROLES)
def test_what_needs_the_cluster_starts_only_once_joined_and_only_if_its_flags_are_there(role: Role) -> None:
    content = image_content(role)
    wanted = {
        file.path.rsplit("/", 1)[1] for file in content.files if "/risen-joined.target.wants/" in file.path
    }
    assert {"kubelet.service", "kube-proxy.service", "flanneld.service"} <= wanted
    assert not wanted & set(content.enabled_units)
    for name in wanted:
        text = units(content)[name]
        if name.endswith(".service"):
            condition = re.search(r"^ConditionPathExists=(\S+)$", text, re.MULTILINE)
            assert condition and condition[1] in layout.answer_paths(role), name


def test_a_worker_has_nothing_of_the_control_plane() -> None:
    worker = image_content(Role.WORKER)
    joined = " ".join(texts(worker))
    assert not re.search(r"etcd|apiserver|controller-manager|scheduler", joined)
    assert texts(worker)[f"{layout.LIBRARY}/role"] == "worker\n"


def test_on_shutdown_controllers_stop_before_the_apiserver_and_it_before_etcd() -> None:
    found = units(image_content(Role.CONTROL_PLANE))

    def after(name: str) -> list[str]:
        return re.findall(r"[\w.-]+\.service", "".join(re.findall(r"^After=.*$", found[name], re.MULTILINE)))

    assert "etcd.service" in after("kube-apiserver.service")
    for name in ("kube-controller-manager.service", "kube-scheduler.service", "kubelet.service"):
        assert "kube-apiserver.service" in after(name)


def test_the_network_stays_up_until_etcd_and_the_kubelet_have_stopped() -> None:
    found = units(image_content(Role.CONTROL_PLANE))
    for name in ("etcd.service", "kubelet.service", "kube-proxy.service"):
        assert re.search(r"^After=network.target\b", found[name], re.MULTILINE), name


@pytest.mark.parametrize("role", ROLES)
def test_on_shutdown_connections_are_passed_on_until_load_balancers_have_seen_that_kube_proxy_is_gone(
    role: Role,
) -> None:
    content = image_content(role)
    stopped = re.search(r"^ExecStopPost=/bin/sh (\S+)$", units(content)["kube-proxy.service"], re.MULTILINE)
    assert stopped
    script = texts(content)[stopped[1]]
    held = r'^HOLD_SECONDS=3 .*\n.*= stopping ] \|\| exit 0\nexec sleep "\$HOLD_SECONDS"$'
    assert re.search(held, script, re.MULTILINE), "a restart does not wait"


@pytest.mark.parametrize("role", ROLES)
def test_a_container_never_sets_the_clock_and_pods_find_a_hosts_file(role: Role) -> None:
    held = texts(image_content(role))
    assert "localhost" in held["/etc/hosts"]
    generator = held["/usr/lib/systemd/system-generators/risen-container-generator"]
    assert re.search(r"systemd-detect-virt --quiet --container \|\| exit 0", generator)
    assert "chrony.service" in generator


def test_a_power_off_is_held_back_longer_than_the_kubelet_ends_pods() -> None:
    text = texts(image_content(Role.WORKER))["/etc/systemd/logind.conf.d/50-risen.conf"]
    assert "InhibitDelayMaxSec=60" in text


@pytest.mark.parametrize("role", ROLES)
def test_the_join_script_is_told_the_purposes_and_names_of_its_role(role: Role) -> None:
    held = texts(image_content(role))
    assert held[f"{layout.LIBRARY}/purposes"].split() == list(layout.purposes(role))
    names = held[f"{layout.LIBRARY}/answer-names"].splitlines()
    assert names == [path[1:] for path in layout.answer_paths(role)]
    assert not any(name.startswith("/") or ".." in name for name in names)


def test_every_script_is_one_that_a_posix_shell_can_read(tmp_path: Path) -> None:
    scripts = {
        path: text for path, text in texts(image_content(Role.CONTROL_PLANE)).items() if text[:2] == "#!"
    }
    assert len(scripts) >= 9
    for path, text in scripts.items():
        assert text.startswith("#!/bin/sh\n") and "\nset -eu\n" in text, path
        (tmp_path / "script").write_text(text)
        checked = subprocess.run(
            ["sh", "-n", tmp_path / "script"], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, (path, checked.stderr)


def test_equal_roles_get_equal_bytes_sorted_by_path() -> None:
    first, second = image_content(Role.WORKER), image_content(Role.WORKER)
    assert first == second
    paths = [file.path for file in first.files]
    assert paths == sorted(set(paths))


def test_cloud_init_is_given_only_settings_that_something_it_runs_reads() -> None:
    settings = yaml.safe_load(texts(image_content(Role.WORKER))["/etc/cloud/cloud.cfg.d/99-risen.cfg"])
    modules = {key: value for key, value in settings.items() if key.endswith("_modules")}
    assert modules == {
        "cloud_init_modules": ["write_files", "set_hostname", "update_hostname"],
        "cloud_config_modules": [],
        "cloud_final_modules": [],
    }
    # An empty list of users or of key types, or `locale: false`, breaks cloud-init's own schema: it warns.
    assert set(settings) - set(modules) == {
        "datasource_list", "network", "preserve_hostname", "manage_etc_hosts",
    }  # fmt: skip
