"""An instance's file system: the image's layers under a disk of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from risen.adapters.local.disk import make_disk, mount_root, unmount

pytestmark = pytest.mark.root
LAYERS = 9
"""Their digests alone take more than twice the 256 bytes that Linux lets util-linux 2.39 and newer give an option."""


def test_a_root_of_many_layers_is_mounted_by_every_mount_program(tmp_path: Path) -> None:
    layers = [tmp_path / "layers" / f"{number:064}" for number in range(LAYERS)]
    for layer in layers:
        layer.mkdir(parents=True)
        (layer / "top").write_text(layer.name)
        (layer / layer.name).touch()
    folder = tmp_path / "instance"
    folder.mkdir()
    make_disk(folder, 1)
    try:
        root = mount_root(folder, tuple(map(str, layers)))
        assert {path.name for path in root.iterdir()} == {"top", *(layer.name for layer in layers)}
        assert (root / "top").read_text() == layers[-1].name, "the last layer lies on top"
    finally:
        unmount(folder, keep_writes=False)
