"""The project's own tools: the reference is current, set-up names what the code needs, figures are compared."""

from __future__ import annotations

import re
import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from risen.adapters.local.host import PACKAGES
from risen.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


def _record(date: str, median: float, **figure: object) -> dict[str, Any]:
    figures = {"up": {"unit": "s", "median": median, "worst": median + 1, "better": "lower", **figure}}
    return {"bench": "up", "date": date, "machine": "m", "figures": figures}


def _table(*records: dict[str, Any]) -> list[str]:
    tool = runpy.run_path(str(ROOT / "tools" / "bench.py"))
    return str(tool["render"](tool["rows_of"](records))).splitlines()


def test_the_reference_is_current() -> None:
    page = runpy.run_path(str(ROOT / "tools" / "reference.py"))["render"]()
    assert (ROOT / "docs" / "reference.md").read_text() == page, "make reference writes it anew"


def test_every_command_that_help_lists_can_be_imported() -> None:
    assert [name for name, target, _ in COMMANDS if find_spec(target.partition(":")[0]) is None] == []


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


def test_every_link_between_documents_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
        if not target.startswith(("http:", "https:")) and not (page.parent / target).exists()
    ]
    assert dead == []


def test_the_newest_record_is_shown_against_its_aim_and_the_one_before() -> None:
    (_, line) = _table(_record("2026-01-02", 80.0, aim=90), _record("2026-01-01", 75.0))
    assert re.split(r"\s{2,}", line) == ["up", "up", "80 s", "81 s", "≤ 90 s", "75 s", "ok"]


@pytest.mark.parametrize(
    ("before", "now", "figure", "remark"),
    [
        (50.0, 70.0, {}, "WORSE by 40%"),
        (70.0, 50.0, {}, ""),
        (70.0, 40.0, {"better": "higher"}, "WORSE by 43%"),
        (50.0, 60.0, {"aim": 55}, "misses its aim"),
        (50.0, 54.5, {"aim": 55, "aim_on": "worst"}, "misses its aim"),
    ],
)
def test_a_figure_that_got_worse_or_misses_is_said(
    before: float, now: float, figure: dict[str, object], remark: str
) -> None:
    (_, line) = _table(_record("2026-01-01", before), _record("2026-01-02", now, **figure))
    assert line.endswith(remark or f"{before:.4g} s")
