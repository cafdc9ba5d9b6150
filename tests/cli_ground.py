"""The command line as a user meets it: `risen WORDS` in this program, with a home, folder and terminal of its own.

`Ground.cluster` puts a cluster into the store as `risen up` does, but for images: nothing is launched.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from risen.bootstrap import Cluster, Host, create_cluster, open_cluster
from risen.cli.main import answer
from risen.codec.cluster_yaml import parse_cluster
from risen.codec.scaffold import Scaffold, cluster_yaml_text
from risen.core.names import ImageDigest, Role
from risen.services.revise import Baked, first_revision, write_revision

IMAGES = {
    Role.CONTROL_PLANE: ImageDigest("sha256:" + "a" * 64),
    Role.WORKER: ImageDigest("sha256:" + "b" * 64),
}
SUBNET = "10.83.0.0/24"


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def both(self) -> str:
        return self.out + self.err


class Typed(io.BytesIO):
    """Standard input on which something happens before anything is typed."""

    def __init__(self, typed: bytes, meanwhile: Callable[[], object]) -> None:
        super().__init__(typed)
        self.before = [meanwhile]

    def read1(self, size: int | None = -1, /) -> bytes:
        while self.before:
            self.before.pop()()
        return super().read1(size)


@dataclass(frozen=True)
class Ground:
    """A scratch RISEN_HOME, and a folder that commands run in."""

    home: Path
    folder: Path
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def risen(self, *words: str, typed: str = "", meanwhile: Callable[[], object] = bool) -> Answer:
        """Run a command; `typed` is its standard input, which is no terminal. `meanwhile` happens while it is first
        waited for."""
        self.capture.readouterr()
        self.patch.setattr(sys, "argv", ["risen", *words])
        self.patch.setattr(sys, "stdin", io.TextIOWrapper(Typed(typed.encode(), meanwhile)))
        code = 0
        try:
            answer()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        out, err = self.capture.readouterr()
        return Answer(code, out, err)

    def cluster(
        self, name: str = "lab", protected: bool = False, images: Mapping[Role, ImageDigest] = IMAGES
    ) -> Cluster:
        """A cluster whose first revision is written."""
        return asyncio.run(self._cluster(name, protected, images))

    async def _cluster(self, name: str, protected: bool, images: Mapping[Role, ImageDigest]) -> Cluster:
        host = Host(self.home, self.home / "cache")
        made = await create_cluster(host, name)
        revision = first_revision(parse_cluster(self.yaml(name, protected), "f"), Baked(images, "l" * 64))
        await write_revision(made.store, revision)
        return await open_cluster(host, name)

    def yaml(self, name: str = "lab", protected: bool = False, workers: int = 1) -> str:
        """A cluster.yaml of one control-plane instance and these workers."""
        text = cluster_yaml_text(Scaffold(name, 1, workers, SUBNET))
        return text.replace("spec:\n", f"spec:\n  deletionProtection: {str(protected).lower()}\n", 1)

    def file(self, text: str, name: str = "cluster.yaml") -> Path:
        """A file in the folder that commands run in."""
        path = self.folder / name
        path.write_text(text)
        return path

    def stored(self, name: str, key: str) -> Path:
        """The file of an object in a cluster's store."""
        return self.home / "clusters" / name / "store" / "objects" / f"{key}.OBJECT"


def ground_in(folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> Ground:
    """Everything below `folder`."""
    home, work = folder / "home", folder / "work"
    work.mkdir()
    patch.setenv("RISEN_HOME", str(home))
    patch.setenv("RISEN_CACHE", str(folder / "cache"))
    patch.delenv("RISEN_CLUSTER", raising=False)
    patch.chdir(work)
    return Ground(home, work, patch, capture)
