"""Randomness, as an interface: the simulator's has a seed."""

from __future__ import annotations

from typing import Protocol


class Entropy(Protocol):
    """`suffix` gives 5 characters of `bcdfghjklmnpqrstvwxz2456789`; `token` gives `count` random bytes."""

    def suffix(self) -> str: ...
    def token(self, count: int) -> bytes: ...
