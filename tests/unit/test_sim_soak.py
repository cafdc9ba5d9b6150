"""A soak carries on where it stopped, and what it finds can be shown again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from risen.sim.enumeration import Case, enumerate_faults
from risen.sim.faults import FaultKind, Faults
from risen.sim.scenario import Happening, Scenario
from risen.sim.soak import code_of, commit_of, main, parse_faults, parts_of, soak
from risen.sim.trace import Trace


def test_an_unfinished_record_is_carried_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "soak.json"
    words = ["--scenario", "1+1", "--jobs", "1", "--out", str(out), "--seeds"]
    assert main([*words, "1"]) == 0
    first = json.loads(out.read_text())
    assert main([*words, "22"]) == 0
    second = json.loads(out.read_text())
    assert (first["schedules"], second["schedules"]) == (1, 23)
    assert sorted(second["parts"]) == ["1+1 seeds 1-1", "1+1 seeds 1-20", "1+1 seeds 21-22"]
    capsys.readouterr()
    assert main([*words, "22"]) == 0
    assert "schedules  " not in capsys.readouterr().out


def test_a_record_of_other_code_is_begun_anew(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    words = ["--scenario", "1+1", "--jobs", "1", "--seeds", "1", "--out", str(out)]
    main(words)
    old = json.loads(out.read_text())
    out.write_text(json.dumps({**old, "code": "another", "parts": {"3+2 seeds 1-9": {"schedules": 9}}}))
    assert main(words) == 0
    assert json.loads(out.read_text())["schedules"] == 1


@pytest.mark.sim
def test_an_enumeration_strikes_each_write_once_whatever_the_slices() -> None:
    smallest = Scenario(1, 0)
    parts = parts_of([smallest], 1, enumerated=True)
    outcomes = [soak(part)[1] for part in parts]
    calm = len(parts)
    assert sum(one.schedules for one in outcomes) - calm == len(list(enumerate_faults(smallest, 1))) - 1


def test_every_scenario_has_its_turn_before_any_has_a_second() -> None:
    scenarios = [Scenario(1, 0), Scenario(3, 0)]
    for parts in (parts_of(scenarios, 1, enumerated=True), parts_of(scenarios, 60, enumerated=False)):
        assert [part.scenario for part in parts][:4] == ["1+0", "3+0", "1+0", "3+0"]


def test_the_code_is_another_when_a_line_of_it_changes(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    file = tmp_path / "core" / "a.py"
    file.write_text("x = 1")
    before = code_of(tmp_path)
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "b.py").write_text("y = 1")
    assert code_of(tmp_path) == before
    file.write_text("x = 2")
    assert code_of(tmp_path) != before


def test_faults_read_back_as_they_were_written() -> None:
    faults = Faults({3: FaultKind.CRASH_AFTER, 17: FaultKind.UNKNOWN_LATE})
    assert dict(parse_faults(faults.describe()).at_write) == dict(faults.at_write)


@pytest.mark.parametrize(
    ("write", "kind", "struck"), [(0, None, {}), (7, FaultKind.LATER, {7: FaultKind.LATER})]
)
def test_the_command_that_a_failure_names_shows_that_very_run(
    write: int, kind: FaultKind | None, struck: dict[int, FaultKind]
) -> None:
    command = Case(write, kind, Trace(1), ("wrong",)).replay("1+1", 1)
    head, _, faults = command.partition(" --faults ")
    assert head == "python -m risen.sim.soak --scenario 1+1 --replay 1"
    assert dict(parse_faults(faults).at_write) == struck


def test_a_calm_run_that_failed_can_be_shown_again(capsys: pytest.CaptureFixture[str]) -> None:
    command = Case(0, None, Trace(1), ("wrong",)).replay("1+1", 1).split()
    assert main(command[command.index("--scenario") :]) == 0
    assert "0 crashes" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["1+1", "3+2:kill-leader", "5+0:power-cut"])
def test_a_scenario_is_named_as_it_is_parsed(name: str) -> None:
    assert Scenario.parse(name).name == name


@pytest.mark.parametrize("name", ["3", "3+x", "3+1:tea"])
def test_a_wrong_scenario_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError):
        Scenario.parse(name)


def test_every_happening_has_a_place_in_a_scenario_name() -> None:
    assert {Scenario.parse(f"3+2:{what.value}").happening for what in Happening} == set(Happening)


def test_a_replayed_run_is_shown_with_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenario", "1+1", "--replay", "1", "--faults", "3:crash-after"]) == 0
    shown = capsys.readouterr().out
    assert "1 crashes" in shown and "hash" in shown


def test_a_commit_is_read_from_loose_packed_and_detached_heads(tmp_path: Path) -> None:
    git, file = tmp_path / ".git", tmp_path / "src" / "a.py"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs\nabc refs/heads/main\n")
    assert commit_of(file) == "abc"
    (git / "refs" / "heads" / "main").write_text("def\n")
    assert commit_of(file) == "def"
    (git / "HEAD").write_text("123\n")
    assert commit_of(file) == "123"
