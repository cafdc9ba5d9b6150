"""A store that cannot be written, or has no room, as a user meets it: what is read stays readable, nothing half-made."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import birth_of
from cli_ground import Ground, ground_in
from risen.codec import records
from risen.core.events import Born

pytestmark = pytest.mark.root


@pytest.fixture
def ground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Ground]:
    """Its home is a small file system of its own."""
    found = ground_in(tmp_path, monkeypatch, capsys)
    found.home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", found.home], check=True)
    yield found
    subprocess.run(["umount", found.home], check=True)


def everything(ground: Ground) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(ground.home.rglob("*")) if path.is_file()}


def test_a_read_only_store_is_read_and_refuses_every_change(ground: Ground) -> None:
    ground.cluster()
    ground.file(ground.yaml(workers=2))
    before = everything(ground)
    subprocess.run(["mount", "-o", "remount,ro", ground.home], check=True)
    for words in (["status"], ["events"], ["get", "instances"], ["plan"], ["kubeconfig"]):
        assert ground.risen(*words).code == 0, words
    assert "the store cannot be written (Read-only file system)" in ground.risen("status").out
    told = ground.risen("serve", "-c", "lab")
    assert (told.code, "Read-only file system (the store cannot be written here)" in told.err) == (1, True)
    told = ground.risen("up", "--yes")
    assert (told.code, "Traceback" in told.both) == (1, False)
    told = ground.risen("down", "--yes")
    assert (told.code, "Read-only file system" in told.err) == (1, True), told.both
    subprocess.run(["mount", "-o", "remount,rw", ground.home], check=True)
    assert everything(ground) == before


def test_a_full_disk_is_told_before_anything_is_begun(ground: Ground) -> None:
    ground.file(ground.yaml())
    told = ground.risen("up", "--yes")
    assert told.code == 1
    assert f"  disk: 0 GiB free at {ground.home}" in told.out
    assert "    mend: free 6 GiB there, or set RISEN_HOME to a folder with room" in told.out
    assert "this host cannot carry lab yet (disk): mend it as shown above" in told.err
    assert list(ground.home.iterdir()) == []


def test_a_disk_that_fills_up_while_a_change_is_written_leaves_the_store_as_it_was(ground: Ground) -> None:
    cluster = ground.cluster()
    born = Born(1.0, birth_of("w-a"))
    asyncio.run(cluster.store.append(records.EVENTS, records.encode(born)))
    before = everything(ground)
    filler = ground.home / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], capture_output=True, check=False)
    told = ground.risen("kill", "w-a", "--yes")
    assert (told.code, "No space left on device (make room; nothing was changed)" in told.err) == (1, True)
    filler.unlink()
    assert everything(ground) == before
    assert ground.risen("kill", "w-a", "--yes").code == 0


def test_under_sudo_a_kubeconfig_belongs_to_the_caller(ground: Ground) -> None:
    ground.cluster()
    ground.patch.setenv("SUDO_UID", "65534")
    ground.patch.setenv("SUDO_GID", "65534")
    assert ground.risen("kubeconfig", "--out", "mine").code == 0
    found = os.stat(ground.folder / "mine")
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 65534, 0o600)
