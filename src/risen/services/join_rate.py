"""How often one address may ask: a bucket of tokens each, in a table that cannot grow."""

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
