"""The diagnostics switch: a file of kinds of answers, shared by programs, in nobody's way."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from risen.adapters.answer_file import SWITCH, AnswerFile, NotedAnswer, noted, read_answers
from risen.interfaces.answers import Answer
from risen.interfaces.store import Leadership


@dataclass
class Nobody:
    """Leadership that nobody holds."""

    async def try_lead(self, holder: str) -> None:
        return None

    async def leader(self) -> None:
        return None


def test_each_kind_is_written_once_with_its_status_and_read_back(tmp_path: Path) -> None:
    file = AnswerFile(tmp_path / "answers.jsonl")
    busy = Answer("kubernetes.evict", "Later", "disruption budget")
    for _ in range(3):
        file.note(busy, "POST …/eviction: Cannot evict pod (HTTP 429)")
    file.note(Answer("store.list", "ok"), "")
    assert list(read_answers(file.path.read_text().splitlines())) == [
        NotedAnswer(busy, 429, "POST …/eviction: Cannot evict pod (HTTP 429)"),
        NotedAnswer(Answer("store.list", "ok"), None, ""),
    ]


def test_two_programs_share_a_file(tmp_path: Path) -> None:
    for outcome in ("ok", "Later"):
        AnswerFile(tmp_path / "shared").note(Answer("etcd.remove", outcome), "x" * 5000)
    lines = (tmp_path / "shared").read_bytes().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["ok", "Later"]
    assert max(map(len, lines)) < 512


def test_a_file_that_cannot_be_written_is_told_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    AnswerFile(tmp_path / "missing" / "file").note(Answer("store.list", "ok"), "")
    assert "not noted: store.list  ok" in capsys.readouterr().err


def test_the_switch_lays_the_recorder_around_and_its_absence_leaves_all_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = Nobody()
    monkeypatch.delenv(SWITCH, raising=False)
    assert noted(nobody, Leadership) is nobody
    monkeypatch.setenv(SWITCH, str(tmp_path / "answers"))
    assert asyncio.run(noted(nobody, Leadership).leader()) is None  # type: ignore[func-returns-value]
    assert [str(one.answer) for one in read_answers((tmp_path / "answers").read_text().splitlines())] == [
        "leadership.leader  ok  nothing"
    ]
