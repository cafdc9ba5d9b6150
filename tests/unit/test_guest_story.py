"""What the guests of `tests/e2e/qemu` run of these tests, far from the rest of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
STORY = CHECKOUT / "tests" / "e2e" / "qemu" / "story.py"


def test_contract_tests_that_a_guest_runs_find_all_they_import_without_our_conftest() -> None:
    files = re.findall(r'"(tests/contract/\w+\.py)"', STORY.read_text())
    assert files
    words = ("-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", "--collect-only", *files)
    done = subprocess.run((sys.executable, *words), cwd=CHECKOUT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
