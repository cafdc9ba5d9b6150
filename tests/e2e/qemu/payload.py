"""What is carried into a guest on a disk: this checkout, its locked Python packages, the story."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from guest import make_disk

CHECKOUT = Path(__file__).parents[3]
HERE = Path(__file__).parent
PYTHON_OF = {"bookworm": "3.11", "trixie": "3.13"}
UV = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "risen"


def make_payload(suite: str, folder: Path) -> Path:
    """The disk, made in `folder`."""
    tree = folder / "payload"
    _python_packages(PYTHON_OF[suite], tree / "site")
    ours = tree / "site" / "risen"
    shutil.copytree(CHECKOUT / "src" / "risen", ours, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("story", "home", "cache", "work"):
        (tree / name).mkdir()
    for file in (HERE / "story.py", HERE.parent / "pieces.py"):
        shutil.copy(file, tree / "story" / file.name)
    disk = folder / "payload.ext4"
    make_disk(tree, disk, 20)
    shutil.rmtree(tree)
    return disk


def _python_packages(version: str, target: Path) -> None:
    """The packages of uv.lock, as wheels for the guest's Python."""
    (uv,) = UV.glob("uv-*")
    wanted = _said(str(uv), "export", "--frozen", "--quiet", "--no-dev", "--no-emit-project", "--no-hashes")
    list_file = target.parent / "requirements.txt"
    list_file.parent.mkdir(parents=True)
    list_file.write_text(wanted)
    _said(
        str(uv), "pip", "install", "--quiet", "--no-config", "--no-deps", "--only-binary", ":all:",
        "--python", sys.executable, "--python-version", version,
        "--python-platform", "x86_64-unknown-linux-gnu", "--target", str(target), "-r", str(list_file),
    )  # fmt: skip


def _said(*words: str) -> str:
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: exit {done.returncode}\n{done.stderr}"
    return done.stdout
