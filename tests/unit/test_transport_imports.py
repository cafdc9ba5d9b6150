"""What a command waits for before it does anything: imports."""

from __future__ import annotations

import subprocess
import sys


def test_looking_at_a_cluster_imports_nothing_that_renders_or_serves() -> None:
    show = (
        "import sys, risen.cli.status, risen.services.revise, risen.adapters.kubernetes.client;"
        "heavy = ('risen.instance.control_plane', 'aiohttp', 'yaml', 'pydantic', 'jinja2', 'risen.sim');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
