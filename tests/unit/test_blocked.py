"""The closed list of refusals: what is refused anywhere is in it, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import risen
from risen.core.blocked import BlockedName

SOURCE = Path(risen.__file__).parent
NAMED = re.compile(r'Blocked\(\s*"([a-z-]+)"')


def test_every_refusal_of_the_code_is_in_the_list_and_the_list_holds_no_other() -> None:
    used = {name for file in SOURCE.rglob("*.py") for name in NAMED.findall(file.read_text())}
    assert used == set(get_args(BlockedName))
