"""How often one address may ask, and how often the same thing is said: tables that cannot grow."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class RateLimit:
    """`per_second` requests in the long run, `burst` at once; `addresses` are remembered at most."""

    per_second: float
    burst: float
    addresses: int = 4096
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def allows(self, address: str, boot: float) -> bool:
        """Whether a request at `boot` (seconds, monotonic) may be served; it is counted if so."""
        level, since = self._buckets.pop(address, (self.burst, boot))
        level = min(self.burst, level + max(0.0, boot - since) * self.per_second)
        allowed = level >= 1.0
        self._buckets[address] = (level - 1.0 if allowed else level, boot)
        if len(self._buckets) > self.addresses:
            del self._buckets[next(iter(self._buckets))]
        return allowed


@dataclass(slots=True)
class SaidBefore:
    """The last `limit` things that were said, so that who asks again and again fills neither log nor stream."""

    limit: int = 256
    _said: dict[tuple[str, ...], None] = field(default_factory=dict)

    def __contains__(self, what: tuple[str, ...]) -> bool:
        return what in self._said

    def add(self, *what: str) -> None:
        """Remember; the oldest is forgotten."""
        self._said.pop(what, None)
        self._said[what] = None
        if len(self._said) > self.limit:
            del self._said[next(iter(self._said))]
