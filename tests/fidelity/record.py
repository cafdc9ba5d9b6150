"""Where a run notes what reality answered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from risen.adapters.answer_file import SWITCH


def answers_path(config: pytest.Config) -> Path:
    """The file of this run: what RISEN_RECORD_ANSWERS names, else one in the checkout that git ignores."""
    chosen = os.environ.get(SWITCH)
    return Path(chosen) if chosen else config.rootpath / ".risen" / "answers.jsonl"


def note_answers(config: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test and the programs that it starts note what real parts answer them."""
    path = answers_path(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv(SWITCH, str(path))
