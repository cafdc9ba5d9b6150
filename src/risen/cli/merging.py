"""Merging a kubeconfig into the caller's own: a backup is kept, and nothing of another cluster is replaced."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from risen.interfaces.errors import Conflict, Invalid

SECTIONS = ("clusters", "contexts", "users")
Config = dict[str, Any]


def merge_into(existing: Config, new: Config) -> Config:
    """`existing` with the cluster, context and user of `new`, which becomes the current context.

    Raises Conflict when an entry of that name leads to another cluster, Invalid when it is no kubeconfig.
    """
    merged: Config = {"apiVersion": "v1", "kind": "Config", **existing}
    for section in SECTIONS:
        entries = merged.get(section) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise Invalid(f"its `{section}` is no list of entries: it is not changed")
        (added,) = new[section]
        for entry in entries:
            if entry.get("name") == added["name"] and _leads_to(entry) != _leads_to(added):
                raise Conflict(
                    f"it has another {added['name']} in `{section}`: not replaced. "
                    f"Rename it, or use --out FILE instead of --merge"
                )
        merged[section] = [entry for entry in entries if entry.get("name") != added["name"]] + [added]
    return {**merged, "current-context": new["current-context"]}


def _leads_to(entry: Mapping[str, Any]) -> object:
    """What tells one cluster's entry from another's: certificates may change, where it leads may not."""
    match entry:
        case {"cluster": {"server": server}}:
            return server
        case {"context": {"cluster": cluster}}:
            return cluster
        case _:
            return None


def merge_file(text: str, now_unix: float) -> tuple[Path, Path | None]:
    """Merge into the caller's ~/.kube/config, by one rename. Returns it and its backup, if there was one before.

    Raises Conflict, Invalid; nothing is changed then.
    """
    owner = _caller()
    target = (Path(owner.pw_dir) / ".kube" / "config").resolve()
    before = target.read_bytes() if target.exists() else None
    try:
        existing = yaml.safe_load(before) if before else {}
        if not isinstance(existing, dict):
            raise Invalid("not a kubeconfig: it is not changed")
        merged = merge_into(existing, yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise click.ClickException(f"{target}: not YAML, so it is not changed: {error}") from error
    except (Conflict, Invalid) as error:
        raise click.ClickException(f"{target}: {error}") from error
    if not target.parent.exists():
        target.parent.mkdir(mode=0o700, parents=True)
        _give(target.parent, owner)
    backup = None
    if before is not None:
        stamp = datetime.fromtimestamp(now_unix, UTC).strftime("%Y%m%d-%H%M%S")
        backup = target.with_name(f"{target.name}.before-risen-{stamp}")
        _write(backup, before, owner)
    staged = target.with_name(f".{target.name}.{os.getpid()}")
    _write(staged, yaml.safe_dump(merged, sort_keys=False).encode(), owner)
    os.replace(staged, target)
    return target, backup


def _caller() -> pwd.struct_passwd:
    """Whose kubeconfig it is: under sudo the one who called it. Of nobody else HOME is asked: sudo may keep it."""
    number = int(os.environ.get("SUDO_UID") or os.geteuid()) if os.geteuid() == 0 else os.geteuid()
    try:
        found = pwd.getpwuid(number)
    except KeyError as error:
        raise click.ClickException(f"uid {number} has no home folder: use --out FILE instead") from error
    home = os.environ.get("HOME")
    if home and number == os.geteuid():
        return pwd.struct_passwd((*found[:5], home, found[6]))
    return found


def _write(path: Path, data: bytes, owner: pwd.struct_passwd) -> None:
    """Mode 0600 from the first byte, on disk when it returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _give(path, owner)


def _give(path: Path, owner: pwd.struct_passwd) -> None:
    if os.geteuid() == 0:
        os.chown(path, owner.pw_uid, owner.pw_gid)
