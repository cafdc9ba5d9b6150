"""When the controller last went about its work: the time of an empty file in /run, which is memory, so that a sign of
life each second costs no disk anything. It does not say who leads: the lease does."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Of one cluster's controller; gone with a reboot, as the controller is."""

    file: Path

    def beat(self) -> None:
        """Show a sign of life. A controller that cannot keeps its cluster nevertheless, and is told as not seen."""
        with suppress(OSError):
            try:
                os.utime(self.file)
            except FileNotFoundError:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self.file.touch()

    def seen_unix(self) -> float | None:
        """When it was last shown; None before the first in this boot."""
        try:
            return self.file.stat().st_mtime
        except OSError:
            return None
