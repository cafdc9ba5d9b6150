"""What a host is checked for before a cluster is put on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `found` is what is there, `mend` how to mend it, `adds` what a cluster would add. One that
    does not bar is told when it fails, and a cluster rises nevertheless."""

    name: str
    ok: bool
    found: str
    mend: str = ""
    adds: str = ""
    bars: bool = True


@dataclass(frozen=True, slots=True)
class HostReport:
    """All checks, in the order a person would mend them, and what of the host is left alone."""

    checks: tuple[Check, ...]
    neighbours: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing bars a cluster."""
        return all(check.ok or not check.bars for check in self.checks)
