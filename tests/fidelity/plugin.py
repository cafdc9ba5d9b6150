"""The fidelity check of a test run: its file, its report at the end, and whether an unseen answer fails the run.

`tests/conftest.py` makes these pytest's own. Nothing is compared in a run that asked nothing of real parts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
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


def pytest_configure(config: pytest.Config) -> None:
    """Choose the file: what RISEN_RECORD_ANSWERS names, else a fresh one in the checkout, which git ignores.

    Processes that share out one run (pytest-xdist) add to one file; the first of them makes room for it.
    """
    chosen = os.environ.get(SWITCH)
    path = Path(chosen) if chosen else config.rootpath / ".risen" / "answers.jsonl"
    config.stash[ANSWERS] = path
    if not chosen and not is_one_of_many(config) and not config.option.collectonly:
        path.unlink(missing_ok=True)


def is_one_of_many(config: pytest.Config) -> bool:
    """Whether this process runs a share of the tests and another one reports."""
    return hasattr(config, "workerinput")


def note_answers(config: pytest.Config, environment: pytest.MonkeyPatch) -> None:
    """Let tests from here on, and the programs that they start, note what real parts answer them."""
    config.stash[ANSWERS].parent.mkdir(parents=True, exist_ok=True)
    environment.setenv(SWITCH, str(config.stash[ANSWERS]))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Compare, after pytest has told all else; fail the run where it was asked for."""
    yield
    config = session.config
    path = config.stash[ANSWERS]
    if is_one_of_many(config) or config.option.collectonly or not path.exists():
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
    """What a run noted against what the simulator can answer.

    Where reality said nothing new the simulator, which takes seconds, is not asked again: that it can answer
    all that is kept is a test of its own.
    """
    kept = kept_answers(KEPT.read_text().splitlines())
    with path.open() as lines:
        found = Comparison(tuple(read_answers(lines)), kept, kept)
    if not found.fresh:
        return found
    from fidelity.simulated import answerable

    return replace(found, answerable=answerable())


def keep(answers: frozenset[Answer]) -> None:
    """Write the kept file anew, its comments first."""
    comments = [line for line in KEPT.read_text().splitlines() if line.startswith("#")]
    KEPT.write_text("\n".join([*comments, *sorted(map(str, answers))]) + "\n")
