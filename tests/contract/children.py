"""How tests start programs that outlive nobody."""

from __future__ import annotations

ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""Before a program's words: it ends when the thread that started it does, also when its run of tests is killed.
Source: setpriv(1), PR_SET_PDEATHSIG(2const)."""
