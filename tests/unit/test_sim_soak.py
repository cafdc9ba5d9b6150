"""A soak carries on where it stopped, and what it finds can be shown again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from risen.sim.faults import FaultKind, Faults
from risen.sim.scenario import Happening, Scenario
from risen.sim.soak import commit_of, main, parse_faults


def test_an_unfinished_record_is_carried_on(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    assert main(["--scenario", "1+1", "--seeds", "1", "--out", str(out)]) == 0
    first = json.loads(out.read_text())
    assert main(["--scenario", "1+1", "--seeds", "2", "--out", str(out)]) == 0
    second = json.loads(out.read_text())
    assert (first["seeds"], second["seeds"]) == (1, 2)
    assert (first["schedules"], second["schedules"]) == (1, 2)


def test_a_record_of_another_commit_is_begun_anew(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    main(["--scenario", "1+1", "--seeds", "1", "--out", str(out)])
    old = json.loads(out.read_text())
    out.write_text(json.dumps({**old, "commit": "another", "seeds": 900}))
    assert main(["--scenario", "1+1", "--seeds", "1", "--out", str(out)]) == 0
    assert json.loads(out.read_text())["seeds"] == 1


def test_faults_read_back_as_they_were_written() -> None:
    faults = Faults({3: FaultKind.CRASH_AFTER, 17: FaultKind.UNKNOWN_LATE})
    assert dict(parse_faults(faults.describe()).at_write) == dict(faults.at_write)


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
