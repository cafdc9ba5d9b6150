"""What a host is checked for before a cluster is put on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `found` is what is there, `mend` how to mend it, `adds` what a cluster would add."""

    name: str
    ok: bool
    found: str
    mend: str = ""
    adds: str = ""


@dataclass(frozen=True, slots=True)
class HostReport:
    """All checks, in the order a person would mend them, and what of the host is left alone."""

    checks: tuple[Check, ...]
    neighbours: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is to be mended."""
        return all(check.ok for check in self.checks)
