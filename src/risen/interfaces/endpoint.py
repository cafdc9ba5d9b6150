"""The API endpoint that spreads requests over apiservers."""

from __future__ import annotations

from typing import Protocol

from risen.core.names import InstanceName
from risen.core.picture import BackendSeen


class Endpoint(Protocol):
    """`add` and `remove` are idempotent; `remove` ends established sessions; `drain` only stops new ones.

    A backend gets traffic only while its /readyz, checked against the cluster's CA, answers.
    All raise Unreachable, those that change something also OutcomeUnknown; `add` also NoCapacity.
    """

    async def list(self) -> tuple[BackendSeen, ...]: ...
    async def add(self, instance: InstanceName, address: str) -> None: ...
    async def drain(self, instance: InstanceName) -> None: ...
    async def remove(self, instance: InstanceName) -> None: ...
