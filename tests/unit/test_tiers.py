"""Which tests the tiers of the Makefile run: a marker that is not set where it should be hides tests in silence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_make_e2e_leaves_out_no_test_on_a_real_cluster() -> None:
    (marked,) = re.findall(r'-m "([^"]+)" .* tests/e2e$', (ROOT / "Makefile").read_text(), re.MULTILINE)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        marked,
        "tests/e2e",
    ]
    told = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert re.fullmatch(r"\d+ tests collected in .*", told[-1]), told[-1]
