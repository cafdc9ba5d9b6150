"""What a run says of reality against the simulator, and when it fails for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fidelity.comparison import Comparison, kept_answers
from risen.adapters.answer_file import SWITCH, AnswerFile, NotedAnswer
from risen.interfaces.answers import Answer

ROOT = Path(__file__).resolve().parents[2]
PLAIN = NotedAnswer(Answer("etcd.remove", "ok"), None, "")
ODD = NotedAnswer(Answer("etcd.remove", "Invalid"), 418, "POST …/remove: a teapot (HTTP 418)")


def test_what_the_simulator_cannot_answer_is_told_with_its_status_and_words() -> None:
    found = Comparison((PLAIN, ODD, PLAIN), frozenset({PLAIN.answer}), frozenset({PLAIN.answer}))
    assert found.report() == [
        "fidelity: reality gave 2 kinds of answer (1 for the first time), 1 of them unseen in the simulator",
        "  unseen: etcd.remove  Invalid  (HTTP 418, POST …/remove: a teapot (HTTP 418))",
    ]


def test_of_a_kind_that_came_twice_the_first_is_told() -> None:
    again = NotedAnswer(ODD.answer, None, "again")
    assert Comparison((ODD, again), frozenset(), frozenset()).unseen == (ODD,)


def test_kept_answers_are_read_without_comments_and_empty_lines() -> None:
    assert kept_answers(["# etcd.remove  ok", "", "etcd.remove  Later  no leader\n"]) == {
        Answer("etcd.remove", "Later", "no leader")
    }


def run_of(folder: Path, noted: NotedAnswer, *options: str) -> subprocess.CompletedProcess[str]:
    """A pytest run of one passing test under tests/conftest.py that notes one answer."""
    answers = folder / "answers.jsonl"
    AnswerFile(answers).note(noted.answer, noted.text)
    (folder / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "from fidelity.plugin import note_answers, pytest_addoption, pytest_configure, pytest_sessionfinish\n"
    )
    (folder / "test_one.py").write_text(
        "from conftest import note_answers\n"
        "def test_one(request, monkeypatch):\n    note_answers(request.config, monkeypatch)\n"
    )
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src"), SWITCH: str(answers)}
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.sim
@pytest.mark.parametrize(
    ("noted", "options", "status"),
    [(ODD, ("--fidelity=fail",), 1), (ODD, (), 0), (PLAIN, ("--fidelity=fail",), 0)],
    ids=["fails", "reports", "seen"],
)
def test_an_unseen_answer_is_reported_and_fails_the_run_where_that_is_asked(
    tmp_path: Path, noted: NotedAnswer, options: tuple[str, ...], status: int
) -> None:
    done = run_of(tmp_path, noted, *options)
    assert (done.returncode, "1 passed" in done.stdout) == (status, True), done.stdout + done.stderr
    assert ("unseen: etcd.remove  Invalid" in done.stdout) is (noted is ODD)
    assert f"all of them: {tmp_path}" in done.stdout
