"""Where programs for the host's own use lie. Makes nothing."""

from __future__ import annotations

from pathlib import Path


def tool_path(home: Path, component: str, version: str, program: str) -> Path:
    """Where a bake puts a program for the host's own use: `HOME/images/tools/COMPONENT-VERSION/PROGRAM`."""
    return home / "images" / "tools" / f"{component}-{version}" / program
