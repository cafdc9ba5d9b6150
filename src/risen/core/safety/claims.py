"""Invariant: steps that share a claim never overlap, neither in one plan nor with what is in flight."""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.blocked import Blocked
from risen.core.step import Step, claims_of

MOST_IN_FLIGHT = 64


def overlap(step: Step, others: tuple[Step, ...]) -> Blocked | None:
    """The first of `others` that claims what `step` claims."""
    claims = claims_of(step)
    for other in others:
        shared = claims & claims_of(other)
        if shared:
            return Blocked("claims", min(shared), f"{type(other).__name__} is in flight")
    return None


@dataclass(frozen=True, slots=True)
class Claims:
    """What is claimed so far, by how many steps."""

    taken: frozenset[str]
    steps: int

    @staticmethod
    def of(in_flight: tuple[Step, ...]) -> Claims:
        """The claims of what is in flight."""
        return Claims(frozenset(claim for step in in_flight for claim in claims_of(step)), len(in_flight))

    def are_free(self, step: Step) -> bool:
        """Whether `step` may go beside what is claimed, and there is room for one more."""
        return self.steps < MOST_IN_FLIGHT and not (claims_of(step) & self.taken)

    def with_step(self, step: Step) -> Claims:
        """The claims with one step more."""
        return Claims(self.taken | claims_of(step), self.steps + 1)
