"""The bugs that `make mutants` writes: each still has its place in the code, and what cannot run is no catch."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from typing import Any

import pytest

from risen.sim.scenario import Scenario

ROOT = Path(__file__).resolve().parents[2]
TOOL: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "mutants.py"))
MUTANTS = TOOL["mutants"]()


@pytest.mark.parametrize("mutant", MUTANTS, ids=[one.bug for one in MUTANTS])
def test_a_bug_has_one_place_in_the_code_and_is_code(mutant: Any) -> None:
    text = (ROOT / mutant.file).read_text()
    changed = mutant.of(text)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))
    assert not mutant.scenario or Scenario.parse(mutant.scenario)


def test_bugs_are_named_apart() -> None:
    assert len({one.bug for one in MUTANTS}) == len(MUTANTS) >= 20


@pytest.mark.parametrize("text", ["x = 1", "x = 2\nx = 2"])
def test_a_bug_without_its_one_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="times in"):
        TOOL["Mutant"]("two", "a.py", "x = 2", "x = 3").of(text)


def test_a_run_on_other_code_than_the_copy_is_no_catch(tmp_path: Path) -> None:
    with pytest.raises(TOOL["CouldNotRun"], match="exit status 3"):
        TOOL["Copy"](tmp_path).failing_test()


def test_the_simulator_is_asked_and_finds_nothing_wrong_with_the_code_as_it_is() -> None:
    assert TOOL["Copy"](ROOT).violation("1+0") == ""


@pytest.mark.sim
def test_the_simulator_finds_a_rollout_that_takes_one_too_many(tmp_path: Path) -> None:
    bug = "an instance counts as available as soon as it is Ready"
    mutant = next(one for one in MUTANTS if one.bug == bug)
    copy = TOOL["Copy"].make(tmp_path, {})
    file = tmp_path / mutant.file
    file.write_text(mutant.of(file.read_text()))
    assert "pool-budget-kept" in copy.violation(mutant.scenario)


def test_a_test_that_caught_a_bug_before_and_is_gone_is_no_catch_and_no_failure(tmp_path: Path) -> None:
    copy = TOOL["Copy"](tmp_path, {"a": "tests/unit/test_gone.py::test_a", "b": "test_there.py::test_gone"})
    (tmp_path / "test_there.py").write_text("")
    assert [copy.likely_test(bug) for bug in ("a", "b", "c")] == ["", "", ""]


def test_what_neither_tests_nor_the_simulator_catch_survives() -> None:
    fates = [TOOL["Fate"](bug, *caught, 1.0) for bug, caught in
             {"a": ("t.py::test_a", ""), "b": ("", "3+2: wrong"), "c": ("", "")}.items()]  # fmt: skip
    record = TOOL["record_of"](fates, 3.0)
    assert (record["survivors"], record["caught_by_tests"], record["caught_by_simulator"]) == (["c"], 1, 1)
    assert [TOOL["line_of"](fate).split()[0] for fate in fates] == ["caught", "caught", "SURVIVES"]
