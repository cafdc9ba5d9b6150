"""`--regenerate` writes the answers of scenario files anew, to be reviewed as a diff."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The flag exists when this folder is named: `pytest tests/scenarios --regenerate`."""
    parser.addoption("--regenerate", action="store_true", help="write scenario answers anew")
