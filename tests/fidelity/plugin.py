"""The fidelity check of a test run: its file, its report at the end, and whether an unseen answer fails the run.

`tests/conftest.py` makes these pytest's own. Nothing is compared in a run that asked nothing of real parts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fidelity.comparison import Comparison, kept_answers
from risen.adapters.answer_file import SWITCH, read_answers
from risen.interfaces.answers import Answer

KEPT = Path(__file__).parent / "reality.txt"
"""What reality has answered in earlier runs."""
ANSWERS = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """How the end of a run takes what the simulator cannot answer."""
    group = parser.getgroup("fidelity")
    group.addoption(
        "--fidelity",
        choices=("report", "fail"),
        default="report",
        help="an unseen answer is told, or fails the run",
    )
    group.addoption("--keep-answers", action="store_true", help=f"add what is new to {KEPT.name}")


def note_answers(config: pytest.Config, environment: pytest.MonkeyPatch) -> None:
    """Let tests from here on, and the programs that they start, note what real parts answer them.

    The file is what RISEN_RECORD_ANSWERS names, else a fresh one in the checkout, which git ignores.
    """
    if ANSWERS not in config.stash:
        chosen = os.environ.get(SWITCH)
        path = Path(chosen) if chosen else config.rootpath / ".risen" / "answers.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not chosen:
            path.unlink(missing_ok=True)
        config.stash[ANSWERS] = path
    environment.setenv(SWITCH, str(config.stash[ANSWERS]))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Compare, after pytest has told all else; fail the run where it was asked for."""
    yield
    config = session.config
    path = config.stash.get(ANSWERS, None)
    if path is None or not path.exists():
        return
    found = compare(path)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None
    for line in (*found.report(), f"  all of them: {path}"):
        reporter.write_line(line)
    if config.getoption("--keep-answers"):
        keep(found.kept | found.met)
    if found.unseen and config.getoption("--fidelity") == "fail":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def compare(path: Path) -> Comparison:
    """What a run noted against what the simulator can answer. Some seconds of work."""
    from fidelity.simulated import answerable

    with path.open() as lines:
        return Comparison(
            tuple(read_answers(lines)), answerable(), kept_answers(KEPT.read_text().splitlines())
        )


def keep(answers: frozenset[Answer]) -> None:
    """Write the kept file anew, its comments first."""
    comments = [line for line in KEPT.read_text().splitlines() if line.startswith("#")]
    KEPT.write_text("\n".join([*comments, *sorted(map(str, answers))]) + "\n")
