"""What is carried into a guest on a disk: this checkout, its locked Python packages, baked images, the story."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from guest import make_disk
from local_ground import tiny_root

from risen.adapters.builder.shelf import Shelf
from risen.core.names import ImageDigest

CHECKOUT = Path(__file__).parents[3]
HERE = Path(__file__).parent
PYTHON_OF = {"bookworm": "3.11", "trixie": "3.13"}
LEFT_OUT = ("hypothesis", "mypy", "ruff")
"""Locked packages that nothing in the guest needs."""
UV = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "risen"


@dataclass(frozen=True)
class Baked:
    """A folder with cluster.yaml, recipe.yaml and its lock, the images baked from it, and RISEN_HOME with them."""

    folder: Path
    images: tuple[ImageDigest, ...]
    home: Path


def make_payload(suite: str, baked: Baked, folder: Path) -> Path:
    """The disk, made in `folder`."""
    tree = folder / "payload"
    _python_packages(PYTHON_OF[suite], tree / "site")
    ours = tree / "site" / "risen"
    shutil.copytree(CHECKOUT / "src" / "risen", ours, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("story", "home", "cache/tests", "checkout"):
        (tree / name).mkdir(parents=True)
    shutil.copy(CHECKOUT / "pyproject.toml", tree / "checkout")
    shutil.copytree(
        CHECKOUT / "tests", tree / "checkout" / "tests", ignore=shutil.ignore_patterns("__pycache__")
    )
    _said("cp", "-a", str(tiny_root()), str(tree / "cache" / "tests"))
    for file in (HERE / "story.py", HERE.parent / "pieces.py", HERE.parent / "host.py"):
        shutil.copy(file, tree / "story" / file.name)
    _said("cp", "-a", str(baked.folder), str(tree / "work"))
    _copy_images(baked, tree / "home" / "images")
    disk = folder / "payload.ext4"
    make_disk(tree, disk, 20)
    shutil.rmtree(tree)
    return disk


def _copy_images(baked: Baked, target: Path) -> None:
    """Images with their layers, the steps that gave them, and the host's tools."""
    shelf = Shelf(baked.home)
    (target / "layers").mkdir(parents=True)
    for layer in {layer for digest in baked.images for layer in shelf.get(digest).layers}:
        _said("cp", "-a", str(layer), str(target / "layers"))
    for name in ("steps", "tools"):
        _said("cp", "-a", str(shelf.folder / name), str(target))


def _python_packages(version: str, target: Path) -> None:
    """The packages of uv.lock, as wheels for the guest's Python."""
    (uv,) = UV.glob("uv-*")
    words = (str(uv), "export", "--frozen", "--quiet", "--no-emit-project", "--no-hashes", "--no-header")
    wanted = [line for line in _said(*words).splitlines() if line.partition("==")[0] not in LEFT_OUT]
    list_file = target.parent / "requirements.txt"
    list_file.parent.mkdir(parents=True)
    list_file.write_text("\n".join(wanted) + "\n")
    _said(
        str(uv), "pip", "install", "--quiet", "--no-config", "--no-deps", "--only-binary", ":all:",
        "--python", sys.executable, "--python-version", version,
        "--python-platform", "x86_64-unknown-linux-gnu", "--target", str(target), "-r", str(list_file),
    )  # fmt: skip


def _said(*words: str) -> str:
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: exit {done.returncode}\n{done.stderr}"
    return done.stdout
