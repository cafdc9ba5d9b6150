"""The digest of an image tree: what counts as its content, and how that becomes one name.

A manifest line per path: type, mode, owner, size, sha256 or link target, extended attributes. Times do not
count. Walks no tree itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from risen.core.names import ImageDigest, Role


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One path of a tree, relative and with `/` between parts. `kind` is file, dir or link.

    `sha256` only for files, `target` only for links; `xattrs` are (name, hex of value), sorted."""

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    size: int = 0
    sha256: str = ""
    target: str = ""
    xattrs: tuple[tuple[str, str], ...] = ()


def render_entry(entry: Entry) -> str:
    """An entry's canonical line: a JSON list, so that no path can imitate two."""
    value = [
        entry.path, entry.kind, f"{entry.mode:04o}", entry.uid, entry.gid, entry.size,
        entry.sha256, entry.target, [list(pair) for pair in entry.xattrs],
    ]  # fmt: skip
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def tree_digest(entries: Iterable[Entry]) -> str:
    """Hex sha256 over the manifest, whatever order the entries come in."""
    digest = hashlib.sha256(b"risen tree 1\n")
    for entry in sorted(entries):
        digest.update(render_entry(entry).encode() + b"\n")
    return digest.hexdigest()


def image_digest(role: Role, layers: Iterable[str]) -> ImageDigest:
    """An image's name: its role and the tree digests of its layers, from the lowest to the highest."""
    value = {"format": 1, "layers": list(layers), "role": str(role)}
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return ImageDigest("sha256:" + hashlib.sha256(text.encode()).hexdigest())


def diff_entries(old: Iterable[Entry], new: Iterable[Entry]) -> tuple[str, ...]:
    """What differs between two trees, one line a path: `+ path`, `- path`, `~ path (what)`."""
    before = {entry.path: entry for entry in old}
    after = {entry.path: entry for entry in new}
    lines = []
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path), after.get(path)
        if was is None:
            lines.append(f"+ {path}")
        elif now is None:
            lines.append(f"- {path}")
        elif was != now:
            lines.append(f"~ {path} ({_change(was, now)})")
    return tuple(lines)


def _change(was: Entry, now: Entry) -> str:
    if was.kind != now.kind:
        return f"{was.kind} to {now.kind}"
    parts = []
    if was.sha256 != now.sha256:
        parts.append(f"content, {was.size} to {now.size} bytes")
    if was.target != now.target:
        parts.append(f"-> {was.target} to -> {now.target}")
    if was.mode != now.mode:
        parts.append(f"mode {was.mode:04o} to {now.mode:04o}")
    if (was.uid, was.gid) != (now.uid, now.gid):
        parts.append(f"owner {was.uid}:{was.gid} to {now.uid}:{now.gid}")
    if was.xattrs != now.xattrs:
        parts.append("extended attributes")
    return ", ".join(parts)
