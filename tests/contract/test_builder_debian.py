"""Packages by the real apt and dpkg, from a repository that the test makes: pinned bytes or a clear refusal."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from risen.adapters.builder.apt import Apt, flat_repository
from risen.adapters.builder.debian import clean, setuid_programs
from risen.adapters.builder.programs import failure
from risen.bakery.lock import LockedPackage
from risen.interfaces.errors import Corrupt, Invalid, NoCapacity, NotFound, Unreachable


def build(folder: Path, name: str, version: str, fields: str = "") -> None:
    """A package with one file."""
    root = folder.parent / f"root-{name}"
    shutil.rmtree(root, ignore_errors=True)
    (root / "DEBIAN").mkdir(parents=True)
    (root / "usr").mkdir()
    (root / f"usr/{name}").write_text(version)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: t <t@t>\n{fields}"
    (root / "DEBIAN/control").write_text(f"{control}Description: a test\n")
    deb = folder / f"{name}_{version.replace(':', '%3a')}_amd64.deb"
    subprocess.run(["dpkg-deb", "-b", "--root-owner-group", root, deb], check=True, capture_output=True)


def index(folder: Path) -> None:
    """Packages for all that lies in a folder."""
    text = ""
    for deb in sorted(folder.glob("*.deb")):
        fields = subprocess.run(["dpkg-deb", "-f", deb], check=True, capture_output=True, text=True).stdout
        sha256 = subprocess.run(["sha256sum", deb], check=True, capture_output=True, text=True).stdout[:64]
        text += f"{fields}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {sha256}\n\n"
    (folder / "Packages").write_text(text)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror with an essential package and one that depends on another."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    build(folder, "vital", "1", "Essential: yes\n")
    build(folder, "tool", "1:2.0-1", "Depends: library\n")
    build(folder, "library", "3")
    build(folder, "unasked", "4")
    index(folder)
    return folder


def apt_of(mirror: Path) -> Apt:
    return Apt(mirror.parent / "apt", "bookworm", "amd64", f"deb [trusted=yes] copy:{mirror} ./\n")


@pytest.mark.root
def test_the_lock_names_what_was_asked_for_what_that_needs_and_what_is_essential(mirror: Path) -> None:
    found = apt_of(mirror).resolve(["tool"])
    assert [(one.name, one.version) for one in found] == [
        ("library", "3"),
        ("tool", "1:2.0-1"),
        ("vital", "1"),
    ]


@pytest.mark.root
def test_a_package_that_does_not_exist_is_named(mirror: Path) -> None:
    with pytest.raises(Invalid, match="nosuch"):
        apt_of(mirror).resolve(["nosuch"])


@pytest.mark.root
def test_locked_packages_come_once_and_are_taken_from_the_cache_after_that(
    mirror: Path, tmp_path: Path
) -> None:
    apt = apt_of(mirror)
    locked = apt.resolve(["tool"])
    assert apt.fetch(locked, tmp_path / "debs") == 3
    shutil.rmtree(mirror)
    assert apt.fetch(locked, tmp_path / "debs") == 0
    assert {path.stem for path in (tmp_path / "debs").glob("*.deb")} == {one.sha256 for one in locked}


@pytest.mark.root
def test_a_version_no_longer_served_says_to_lock_again(mirror: Path, tmp_path: Path) -> None:
    apt = apt_of(mirror)
    locked = apt.resolve(["tool"])
    (mirror / "library_3_amd64.deb").unlink()
    build(mirror, "library", "3.1")
    index(mirror)
    with pytest.raises(NotFound, match=r"library 3: run `risen recipe lock` again"):
        apt.fetch(locked, tmp_path / "debs")


@pytest.mark.root
def test_other_bytes_of_the_same_version_are_refused_and_removed(mirror: Path, tmp_path: Path) -> None:
    apt = apt_of(mirror)
    locked = apt.resolve(["library"])
    build(mirror, "library", "3", "Section: changed\n")
    index(mirror)
    with pytest.raises(Corrupt, match=r"the lock pins [0-9a-f]{64}: refused, file removed"):
        apt.fetch(locked, tmp_path / "debs")
    assert {path.name for path in (tmp_path / "debs").glob("**/library*")} == set()


@pytest.mark.root
def test_a_cached_package_that_was_altered_is_refused_at_the_bake(mirror: Path, tmp_path: Path) -> None:
    apt = apt_of(mirror)
    locked = apt.resolve(["library"])
    apt.fetch(locked, tmp_path / "debs")
    for deb in (tmp_path / "debs").glob("*.deb"):
        deb.write_bytes(b"x" * deb.stat().st_size)
    with pytest.raises(Corrupt, match="refused"):
        flat_repository(locked, tmp_path / "debs", tmp_path / "flat", "bookworm")


def tree_of(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name in ("etc", "var/log/journal", "usr/bin", "usr/sbin", "run"):
        (tree / name).mkdir(parents=True)
    (tree / "etc/shadow").write_text("root:*:20000:0:99999:7:::\ndaemon:*:20001:0:99999:7:::\n")
    (tree / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
    (tree / "var/log/dpkg.log").write_text("now\n")
    (tree / "run/lock").write_text("")
    (tree / "usr/sbin/unix_chkpwd").write_text("")
    (tree / "usr/sbin/unix_chkpwd").chmod(0o2755)
    return tree


def test_cleaning_takes_away_days_logs_and_the_builders_own_network(tmp_path: Path) -> None:
    tree = tree_of(tmp_path)
    clean(tree)
    assert (tree / "etc/shadow").read_text().splitlines()[0] == "root:*:20454:0:99999:7:::"
    assert not (tree / "etc/resolv.conf").exists()
    assert list((tree / "run").iterdir()) == []
    assert [path.name for path in (tree / "var/log").rglob("*")] == ["journal"]
    assert (tree / "etc/machine-id").read_bytes() == b""


def test_setuid_is_kept_only_where_the_list_says_so(tmp_path: Path) -> None:
    tree = tree_of(tmp_path)
    (tree / "usr/bin/passwd").write_text("")
    (tree / "usr/bin/passwd").chmod(0o4755)
    clean(tree)
    assert list(setuid_programs(tree)) == ["usr/sbin/unix_chkpwd"]


def test_a_setuid_program_nobody_listed_stops_the_bake(tmp_path: Path) -> None:
    tree = tree_of(tmp_path)
    (tree / "usr/bin/backdoor").write_text("")
    (tree / "usr/bin/backdoor").chmod(0o4755)
    with pytest.raises(Invalid, match="setuid programs that are not on the list: usr/bin/backdoor"):
        clean(tree)


def test_an_ssh_server_stops_the_bake(tmp_path: Path) -> None:
    tree = tree_of(tmp_path)
    (tree / "usr/sbin/sshd").write_text("")
    with pytest.raises(Invalid, match="must not carry usr/sbin/sshd"):
        clean(tree)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("dpkg: error: No space left on device", NoCapacity),
        ("E: Failed to fetch x  Could not connect to y", Unreachable),
        ("dial tcp: lookup x: no such host", Unreachable),
        ("E: something else", Invalid),
    ],
)
def test_a_programs_words_become_the_right_kind_of_error(said: str, kind: type[Exception]) -> None:
    assert type(failure("mmdebstrap", 1, said)) is kind


def test_a_locked_package_is_a_value() -> None:
    assert LockedPackage("a", "1", "amd64", "s", 1, "f") < LockedPackage("b", "1", "amd64", "s", 1, "f")
