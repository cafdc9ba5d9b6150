"""Baked layers and image records on disk: `images/layers/HEX/`, `images/steps/HEX.json`, `images/HEX.json`.

A layer appears by one rename, after everything in it is on disk, so that an interrupted bake leaves no half
layer. Implements `interfaces.builder.Images`. Decides nothing about what is in a layer.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from risen.adapters.builder.trees import scan, settle
from risen.bakery.digest import Entry, image_digest, tree_digest
from risen.core.names import ImageDigest, Role
from risen.interfaces.builder import BakedImage
from risen.interfaces.errors import Conflict, Corrupt, Denied, NoCapacity, NotFound


@dataclass(frozen=True, slots=True)
class Layer:
    """A finished layer: its tree digest, where it lies, the bytes of its files."""

    digest: str
    path: Path
    size_bytes: int


@contextmanager
def only_one(path: Path, waits: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold a lock file that dies with its holder. While another holds it: wait, having told `waits` for whom,
    or without `waits` raise Conflict at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip() or "unknown"
            who = f"another bake is at work (pid {holder}, {path})"
            if waits is None:
                raise Conflict(f"{who}: try again when it has ended") from None
            waits(f"{who}; this one goes on when it has ended")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn a full disk into NoCapacity that says where, and what we may not write into Denied."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoCapacity(f"disk full while writing {what}: free some room and bake again") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Denied(f"{error.filename or what}: {error.strerror}: run it with sudo") from error
        raise


def write_whole(path: Path, text: str) -> None:
    """Replace a small file in one step, on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The images of one home folder."""

    home: Path

    @property
    def folder(self) -> Path:
        """`HOME/images`."""
        return self.home / "images"

    # --- layers -------------------------------------------------------------------------------------------
    def layer_of(self, step: str) -> Layer | None:
        """The layer a step gave before, if it is still there whole."""
        record = self._read(self.folder / "steps" / f"{step}.json")
        if record is None:
            return None
        path = self.folder / "layers" / str(record["layer"])
        return Layer(path.name, path, int(record["size"])) if path.is_dir() else None

    def make_layer(self, step: str, describe: str, fill: Callable[[Path, Path], None]) -> Layer:
        """Let `fill(tree, scratch)` make a tree (which does not exist yet), and keep it as a layer. Nothing is
        left of one that fails. Raises what `fill` raises, NoCapacity on a full disk."""
        work = self.folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        for one in (self.folder, work):
            one.chmod(0o755)
        with disk_errors(str(work)), tempfile.TemporaryDirectory(dir=work, prefix="layer-") as name:
            scratch = Path(name)
            scratch.chmod(0o755)
            tree = scratch / "tree"
            fill(tree, scratch)
            tree.chmod(0o755)
            entries = list(scan(tree))
            digest, size = tree_digest(entries), sum(entry.size for entry in entries)
            settle(tree)
            path = self.folder / "layers" / digest
            path.parent.mkdir(exist_ok=True)
            if not path.is_dir():
                os.rename(tree, path)
                _sync_folder(path.parent)
        record = {"layer": digest, "size": size, "step": describe}
        write_whole(self.folder / "steps" / f"{step}.json", json.dumps(record, sort_keys=True) + "\n")
        return Layer(digest, path, size)

    def sweep(self) -> None:
        """Take away what an interrupted bake left. Only under the lock."""
        for left in (self.folder / "work").glob("layer-*"):
            shutil.rmtree(left)

    # --- images -------------------------------------------------------------------------------------------
    def keep_image(self, role: Role, layers: Iterable[Layer], facts: dict[str, Any]) -> BakedImage:
        """Write an image's record. `facts` say what it was baked from; they are not in its digest."""
        stack = tuple(layers)
        digest = image_digest(role, (one.digest for one in stack))
        size = sum(one.size_bytes for one in stack)
        record = {
            "digest": digest, "role": str(role), "layers": [one.digest for one in stack], "size": size, **facts,
        }  # fmt: skip
        path = self.folder / f"{digest.removeprefix('sha256:')}.json"
        write_whole(path, json.dumps(record, indent=1, sort_keys=True) + "\n")
        return self._image(record)

    def get(self, digest: ImageDigest) -> BakedImage:
        """One image. Raises NotFound."""
        return self._image(self.record(digest))

    def list(self) -> tuple[BakedImage, ...]:
        """All images, by digest, whose layers are all there."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            record = self._read(path)
            if record is not None and all(
                (self.folder / "layers" / one).is_dir() for one in record["layers"]
            ):
                found.append(self._image(record))
        return tuple(found)

    def record(self, digest: ImageDigest) -> dict[str, Any]:
        """An image's whole record. Raises NotFound, also when a layer of it is gone."""
        record = self._read(self.folder / f"{digest.removeprefix('sha256:')}.json")
        if record is None:
            raise NotFound(f"no image {digest} under {self.folder}: run `risen bake`")
        for layer in record["layers"]:
            if not (self.folder / "layers" / layer).is_dir():
                raise NotFound(f"image {digest} lacks its layer {layer}: run `risen bake`")
        return record

    def find(self, prefix: str) -> ImageDigest:
        """The one image whose digest starts with these characters. Raises NotFound, Conflict for several."""
        wanted = prefix.removeprefix("sha256:")
        found = [one.digest for one in self.list() if one.digest.removeprefix("sha256:").startswith(wanted)]
        if not found:
            raise NotFound(f"no image starts with {prefix!r}: `risen images list` shows them")
        if len(found) > 1:
            raise Conflict(f"{len(found)} images start with {prefix!r}: give more of the digest")
        return found[0]

    def contents(self, digest: ImageDigest) -> tuple[Entry, ...]:
        """What an instance of this image sees, its layers merged, read from the layers themselves."""
        merged: dict[str, Entry] = {}
        for layer in self.get(digest).layers:
            merged.update({entry.path: entry for entry in scan(layer)})
        return tuple(merged[path] for path in sorted(merged))

    def verify(self, digest: ImageDigest) -> None:
        """Read every layer back and compare. Raises Corrupt that names the layer, NotFound."""
        image = self.get(digest)
        for layer in image.layers:
            found = tree_digest(scan(layer))
            if found != layer.name:
                raise Corrupt(f"layer {layer} has digest {found}: remove it and run `risen bake`")
        if image_digest(image.role, (layer.name for layer in image.layers)) != digest:
            raise Corrupt(f"the record of {digest} names other layers: run `risen bake`")

    def prune(
        self, agreed: Collection[ImageDigest], pinned: Callable[[], Collection[ImageDigest]]
    ) -> tuple[tuple[ImageDigest, ...], int]:
        """Remove images that were agreed on and that `pinned`, asked while nobody bakes, does not name, and layers no
        image needs: the digests and the bytes freed. Raises what `pinned` raises, Conflict beside a bake."""
        with only_one(self.folder / "lock"):
            self.sweep()
            spared = frozenset(pinned())
            gone = tuple(
                one.digest for one in self.list() if one.digest in agreed and one.digest not in spared
            )
            for digest in gone:
                (self.folder / f"{digest.removeprefix('sha256:')}.json").unlink()
            needed = {layer.name for image in self.list() for layer in image.layers}
            freed = 0
            for path in sorted((self.folder / "steps").glob("*.json")):
                record = self._read(path)
                if record is None or record["layer"] not in needed:
                    path.unlink()
            for layer in sorted((self.folder / "layers").glob("*")):
                if layer.name not in needed:
                    freed += sum(entry.size for entry in scan(layer))
                    shutil.rmtree(layer)
            return gone, freed

    def _image(self, record: dict[str, Any]) -> BakedImage:
        layers = tuple(self.folder / "layers" / one for one in record["layers"])
        return BakedImage(
            ImageDigest(record["digest"]), Role(record["role"]), layers, int(record["size"]),
            _named(record, "components"), _named(record, "packages"),
        )  # fmt: skip

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            value = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise Corrupt(f"{path} is damaged ({error}): remove it and run `risen bake`") from None
        if not isinstance(value, dict):
            raise Corrupt(f"{path} is damaged: remove it and run `risen bake`")
        return value


def _named(record: dict[str, Any], key: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(name), str(version)) for name, version in record.get(key, {}).items()))
