"""The host's own clock and randomness: implements `interfaces.clock.Clock` and `interfaces.entropy.Entropy`."""

from __future__ import annotations

import asyncio
import secrets
import time

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels (no words by chance), nothing that looks like something else."""


class SystemClock:
    """CLOCK_BOOTTIME goes on while the host sleeps, so a lease counted on it cannot be held too long."""

    def boot(self) -> float:
        """Seconds since the host booted."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def unix(self) -> float:
        """Wall-clock seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class SystemEntropy:
    """The kernel's randomness."""

    def suffix(self) -> str:
        """Five characters for an instance's name."""
        return "".join(secrets.choice(ALPHABET) for _ in range(5))

    def token(self, count: int) -> bytes:
        """That many random bytes."""
        return secrets.token_bytes(count)
