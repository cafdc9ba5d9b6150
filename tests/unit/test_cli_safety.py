"""What must not be lost: a protected cluster, a person's kubeconfig, and anything at all without the right to it."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from cli_ground import Ground, ground_in


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ground:
    found = ground_in(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    monkeypatch.delenv("SUDO_UID", raising=False)
    (tmp_path / "person").mkdir()
    return found


@contextmanager
def nobody(ground: Ground) -> Iterator[None]:
    """Without the right to the home: as another user where the tests run as root."""
    if os.geteuid() != 0:
        ground.home.chmod(0)
        yield
        ground.home.chmod(0o700)
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def config_of(ground: Ground) -> Path:
    return ground.home.parent / "person" / ".kube" / "config"


ROOTS = (["up"], ["down"], ["start"], ["stop"], ["serve"], ["bake"])


@pytest.mark.parametrize("words", ROOTS, ids=lambda words: words[0])
def test_not_root_is_told_with_the_reason_and_nothing_is_made(ground: Ground, words: list[str]) -> None:
    ground.patch.setattr(os, "geteuid", lambda: 65534)
    ground.file(ground.yaml())
    told = ground.risen(*words)
    assert (told.code, told.out) == (1, "")
    assert "must be root, because" in told.err and "run it with sudo" in told.err
    assert not ground.home.exists()


def test_what_another_user_may_not_read_is_named_and_how_to_mend_it(ground: Ground) -> None:
    ground.cluster()
    reading = (["status"], ["events"], ["get", "instances"], ["kubeconfig"], ["images", "list"])
    for words in reading:
        ground.risen(*words)
    ground.home.chmod(0o700)
    with nobody(ground):
        told = [ground.risen(*words) for words in reading]
    for words, one in zip(reading, told, strict=True):
        assert (one.code, "Permission denied: run it with sudo" in one.err) == (1, True), (words, one.err)


def test_a_protected_cluster_goes_only_when_its_name_is_typed_also_with_yes(ground: Ground) -> None:
    ground.cluster(protected=True)
    ground.patch.setattr(os, "geteuid", lambda: 0)
    for words in (["down"], ["down", "--yes"]):
        told = ground.risen(*words, typed="other\n")
        assert (told.code, "not the cluster's name: nothing was deleted" in told.err) == (1, True), told
        silent = ground.risen(*words)
        assert "type the cluster's name into its standard input" in silent.err
    assert ground.stored("lab", "cluster").exists()
    told = ground.risen("down", "--yes", typed="lab\n")
    assert (told.code, "gone    lab" in told.out) == (0, True), told.both
    assert not (ground.home / "clusters").exists() and not (ground.home / "keys").exists()


@pytest.mark.parametrize("how", ["-c", "RISEN_CLUSTER"])
@pytest.mark.parametrize("path", ["..", ".", "../../others", "OTHERS", "a/b", "lab/store"])
def test_a_path_is_no_name_of_a_cluster_so_no_folder_but_a_clusters_own_is_deleted(
    ground: Ground, path: str, how: str
) -> None:
    """It is joined to a path, and `down` deletes that as root."""
    ground.cluster()
    others = ground.home.parent / "others"
    others.mkdir()
    before = sorted(ground.home.parent.rglob("*"))
    ground.patch.setattr(os, "geteuid", lambda: 0)
    named = str(others) if path == "OTHERS" else path
    if how == "RISEN_CLUSTER":
        ground.patch.setenv(how, named)
    told = ground.risen("down", "--yes", *([how, named] if how == "-c" else []))
    assert told.code == 64
    assert f'-c or RISEN_CLUSTER: "{named}" is no DNS label: lower-case letters, digits and "-"' in told.err
    assert sorted(ground.home.parent.rglob("*")) == before


def test_a_folder_among_the_clusters_that_no_cluster_made_is_not_taken_for_the_only_one(
    ground: Ground,
) -> None:
    stray = ground.home / "clusters" / "lost+found"
    stray.mkdir(parents=True)
    ground.patch.setattr(os, "geteuid", lambda: 0)
    told = ground.risen("down", "--yes")
    assert (told.code, f'{stray} is no cluster\'s: "lost+found" is no DNS label' in told.err) == (64, True)
    assert stray.exists()


def test_a_store_that_cannot_be_read_counts_as_protected(ground: Ground) -> None:
    ground.cluster()
    damaged = ground.stored("lab", "revisions/00000001")
    damaged.write_bytes(b"")
    ground.patch.setattr(os, "geteuid", lambda: 0)
    told = ground.risen("down", "--yes", typed="yes\n")
    assert (told.code, "the store cannot be read, so the cluster may be protected" in told.both) == (1, True)
    assert str(damaged) in told.err, "says which object"
    assert damaged.exists()
    assert ground.risen("down", typed="lab\n").code == 0


SITE = '{"uid": "u", "subnet": "10.83.0.0/24", "disk_gib": 8, "boot_command": []}'


@pytest.mark.parametrize("left", ["site.json", "instances/w-a/instance.json", "nothing but the key"])
def test_a_cluster_that_rose_and_whose_store_is_away_counts_as_protected(ground: Ground, left: str) -> None:
    """Moved, or not mounted: nothing says that it was not."""
    ground.cluster(protected=True)
    folder, away = ground.home / "clusters" / "lab", ground.home.parent / "away"
    if left == "nothing but the key":
        folder.rename(away)
    else:
        (folder / "store").rename(away)
        (folder / left).parent.mkdir(parents=True, exist_ok=True)
        (folder / left).write_text(SITE)
    ground.patch.setattr(os, "geteuid", lambda: 0)
    told = ground.risen("down", "-c", "lab", "--yes", typed="yes\n")
    assert (told.code, f"{folder / 'store'} is away or empty, so the cluster may be" in told.out) == (1, True)
    assert "not the cluster's name: nothing was deleted" in told.err
    key = ground.home / "keys" / "lab.key"
    assert key.exists() and (left == "nothing but the key" or (folder / left).exists())


@pytest.mark.parametrize("mounted", [False, True])
def test_once_its_name_is_typed_what_is_left_of_it_goes(ground: Ground, mounted: bool) -> None:
    """Also beside a store that is there and empty: a mount point without its disk."""
    ground.cluster()
    folder = ground.home / "clusters" / "lab"
    folder.rename(ground.home.parent / "away")
    if mounted:
        (folder / "store").mkdir(parents=True)
        (folder / "instances" / "w-a").mkdir(parents=True)
    ground.patch.setattr(os, "geteuid", lambda: 0)
    told = ground.risen("down", "-c", "lab", "--yes", typed="lab\n")
    assert (told.code, "gone    lab" in told.out) == (0, True), told.both
    assert [path.name for path in ground.home.iterdir()] == []


@pytest.mark.parametrize("stored", [False, True])
def test_down_ends_instances_before_it_deletes_what_they_live_on_or_deletes_nothing(
    ground: Ground, stored: bool
) -> None:
    """Without site.json nothing tells whose they are: the store does, or down is refused."""
    ground.cluster()
    folder = ground.home / "clusters" / "lab"
    record = folder / "instances" / "w-a" / "instance.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    if not stored:
        (folder / "store").rename(ground.home.parent / "away")
    ground.patch.setattr(os, "geteuid", lambda: 0)
    told = ground.risen("down", "-c", "lab", "--yes", typed="lab\n")
    assert (told.code, (folder / "site.json").exists()) == (1, stored)
    assert stored or "nothing was deleted" in told.err
    assert record.exists() and (ground.home / "keys" / "lab.key").exists()


def test_a_cluster_that_was_never_finished_goes_without_its_name(ground: Ground) -> None:
    ground.cluster()
    for record in ("cluster", "revisions/00000001"):
        ground.stored("lab", record).unlink()
    ground.patch.setattr(os, "geteuid", lambda: 0)
    told = ground.risen("down", "--yes")
    assert (told.code, "gone    lab" in told.out) == (0, True), told.both


def killed_at_deletion(number: int, ground: Ground, *words: str) -> bool:
    """Run a command in a process that ends right before its so manieth deletion of a file or folder."""
    child = os.fork()
    if child == 0:
        left = number

        def count(event: str, _: object) -> None:
            nonlocal left
            left -= event in ("os.remove", "os.rmdir")
            if left == 0:
                os._exit(9)

        sys.addaudithook(count)
        ground.risen(*words)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_killed_before_any_of_its_deletions_down_is_finished_by_the_next_one(ground: Ground) -> None:
    ground.patch.setattr(os, "geteuid", lambda: 0)
    ground.cluster()
    whole = ground.home.parent / "whole"
    shutil.copytree(ground.home, whole)
    number = 1
    while killed_at_deletion(number, ground, "down", "--yes"):
        ground.risen("down", "-c", "lab", "--yes", typed="lab\n")
        left = [path.name for path in ground.home.rglob("*") if "lab" in path.name]
        assert (number, left) == (number, [])
        shutil.copytree(whole, ground.home, dirs_exist_ok=True)
        number += 1
    assert number > 10


def test_an_unprotected_cluster_is_asked_for_once_and_stays_without_an_answer(ground: Ground) -> None:
    ground.cluster()
    ground.patch.setattr(os, "geteuid", lambda: 0)
    assert "say --yes to go on" in ground.risen("down").err
    assert "not agreed to: nothing was done" in ground.risen("down", typed="n\n").err
    assert ground.stored("lab", "cluster").exists()
    told = ground.risen("down", "--yes")
    assert (told.code, "next    risen up" in told.out) == (0, True)


def test_a_site_record_that_cannot_be_read_is_written_anew_from_the_store(ground: Ground) -> None:
    ground.cluster()
    site = ground.home / "clusters" / "lab" / "site.json"
    site.write_text("{")
    ground.patch.setattr(os, "geteuid", lambda: 0)
    ground.risen("stop", "--yes")
    assert yaml.safe_load(site.read_text())["subnet"] == "10.83.0.0/24"


def test_a_kubeconfig_goes_into_a_file_of_its_own_that_only_its_owner_reads(ground: Ground) -> None:
    ground.cluster()
    told = ground.risen("kubeconfig", "--out", "mine")
    mine = ground.folder / "mine"
    assert (told.code, stat.S_IMODE(mine.stat().st_mode)) == (0, 0o600)
    assert f"next    export KUBECONFIG={mine}" in told.out
    assert not config_of(ground).exists(), "merged only when asked to"


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_others_could_read_is_closed_to_them_when_a_kubeconfig_goes_into_it(
    ground: Ground, link: bool
) -> None:
    """Through a symbolic link too, which stays one."""
    ground.cluster()
    there, given = ground.file("x" * 9000, "there"), ground.folder / "given"
    there.chmod(0o644)
    given.symlink_to(there) if link else os.link(there, given)
    told = ground.risen("kubeconfig", "--out", "given")
    assert (told.code, stat.S_IMODE(there.stat().st_mode), given.is_symlink()) == (0, 0o600, link)
    assert yaml.safe_load(there.read_text())["kind"] == "Config", "nothing of the old content is left"


def test_what_is_no_file_is_only_written_to_and_keeps_its_mode(ground: Ground) -> None:
    ground.cluster()
    pipe = ground.folder / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    told = ground.risen("kubeconfig", "--out", "pipe")
    assert (told.code, stat.S_IMODE(pipe.stat().st_mode)) == (0, 0o666), told.both
    assert os.read(reading, 65536).startswith(b"apiVersion: v1\n")
    os.close(reading)


def test_who_is_given_a_kubeconfig_and_for_how_long_stands_in_the_ledger(ground: Ground) -> None:
    ground.cluster()
    ground.patch.setenv("RISEN_BY", "jane")
    assert ground.risen("kubeconfig", "--out", "mine", "--hours", "24").code == 0
    line = ground.risen("events").out.splitlines()[-1]
    assert line[9:] == "access  a kubeconfig of risen:admins, good for 24 h, by jane"


def test_a_kubeconfig_that_cannot_be_recorded_is_given_nevertheless_and_that_is_said(ground: Ground) -> None:
    """It may be what somebody needs to mend just that."""
    ground.cluster()
    lock = ground.home / "clusters" / "lab" / "store" / "store.lock"
    lock.unlink()
    lock.mkdir()
    told = ground.risen("kubeconfig", "--out", "mine")
    assert (told.code, (ground.folder / "mine").exists()) == (0, True)
    assert "careful not recorded who was given this: " in told.err


def test_a_merge_keeps_what_was_there_and_a_backup_of_it(ground: Ground) -> None:
    ground.cluster()
    config = config_of(ground)
    config.parent.mkdir()
    other = {
        "apiVersion": "v1", "kind": "Config", "current-context": "work", "preferences": {"colors": True},
        "clusters": [{"name": "work", "cluster": {"server": "https://work"}}],
        "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me"}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
    }  # fmt: skip
    config.write_text(yaml.safe_dump(other))
    assert ground.risen("kubeconfig", "--merge").code == 0
    merged = yaml.safe_load(config.read_text())
    assert [entry["name"] for entry in merged["contexts"]] == ["work", "lab"]
    assert merged["users"][0] == other["users"][0]  # type: ignore[index]
    assert (merged["current-context"], merged["preferences"]) == ("lab", {"colors": True})
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    (backup,) = config.parent.glob("config.before-risen-*")
    assert yaml.safe_load(backup.read_text()) == other
    assert ground.risen("kubeconfig", "--merge").code == 0
    assert [entry["name"] for entry in yaml.safe_load(config.read_text())["users"]] == ["me", "lab-admin"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "clusters: [{name: lab, cluster: {server: 'https://elsewhere'}}]\n",
            "it has another lab in `clusters`",
        ),
        ("clusters: {}: [\n", "not YAML, so it is not changed"),
        ("just a text\n", "not a kubeconfig: it is not changed"),
        ("clusters: 7\n", "its `clusters` is no list of entries"),
    ],
)
def test_a_config_that_cannot_be_merged_into_is_left_as_it_was(ground: Ground, text: str, said: str) -> None:
    ground.cluster()
    config = config_of(ground)
    config.parent.mkdir()
    config.write_text(text)
    told = ground.risen("kubeconfig", "--merge")
    assert (told.code, said in told.err) == (1, True), told.err
    assert config.read_text() == text
    assert [path.name for path in config.parent.iterdir()] == ["config"]


def test_out_and_merge_at_once_is_wrong_use(ground: Ground) -> None:
    ground.cluster()
    assert ground.risen("kubeconfig", "--merge", "--out", "f").code == 64
