"""Clears what a killed run of these tests left on the host: each name of a ground holds the id of its run's process."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

from local_ground import end_ground, settings_of

from risen.adapters.local.network import namespace_owner

NAME = re.compile(r"t(\d+)-(\d+)")
HOMES = ("*/*/home/clusters/t*-*", "*/*/*/home/clusters/t*-*")
NAMESPACES, RUNTIMES = Path("/run/netns"), Path("/run/risen")


def clear_crashed(temporary: Path) -> tuple[str, ...]:
    """End every ground whose run is over, and return their names. Homes of grounds are searched for in `temporary`,
    where pytest keeps the folders of its last runs. What only has such a name is left alone: a cluster of somebody's
    bears another label; and so is a ground whose process's id belongs to any process by now."""
    homes = {folder.name: folder.parent.parent for where in HOMES for folder in temporary.glob(where)}
    names = homes.keys() | {path.name for path in RUNTIMES.glob("t*-*")}
    names |= {path.name.removeprefix("risen-") for path in NAMESPACES.glob("risen-t*-*")}
    cleared = []
    for name in sorted(names):
        found = NAME.fullmatch(name)
        if found is None or Path(f"/proc/{found[1]}").exists():
            continue
        settings = settings_of(int(found[1]), int(found[2]), homes.get(name, temporary / "gone"))
        owner = namespace_owner(settings)
        if owner == settings.label or (name in homes and not owner):
            asyncio.run(end_ground(settings))
            shutil.rmtree(settings.folder, ignore_errors=True)
            cleared.append(name)
    return tuple(cleared)
