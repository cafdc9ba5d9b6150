"""The reference is what the code says, and the Makefile and set-up script name what the code needs."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from risen.adapters.local.host import PACKAGES

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_is_current() -> None:
    page = runpy.run_path(str(ROOT / "tools" / "reference.py"))["render"]()
    assert (ROOT / "docs" / "reference.md").read_text() == page, "make reference writes it anew"


def test_set_up_installs_every_program_that_the_local_provider_runs() -> None:
    script = (ROOT / "tools" / "setup.sh").read_text()
    needed = re.search(r'NEEDED="([^"]*)"', script)
    assert needed is not None
    assert set(PACKAGES.values()) - {pair.partition(":")[2] for pair in needed[1].split()} == set()


def test_every_target_of_the_makefile_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    explained = set(re.findall(r"^([a-z0-9]+):.*## \S", makefile, re.MULTILINE))
    assert set(phony[1].split()) - explained == {"python"}
