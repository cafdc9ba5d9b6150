"""The controller's own certificates are renewed by the clock that they end by."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from join_world import AUTHORITIES

from risen.bootstrap import CLOCK, Clients


@dataclass
class Renewed:
    """A client that counts its new certificates."""

    given: list[object] = field(default_factory=list)

    def renew(self, identity: object) -> None:
        self.given.append(identity)


@pytest.mark.parametrize(("age_seconds", "times"), [(10.0, 0), (3601.0, 1), (12 * 3600.0, 1), (-600.0, 1)])
def test_certificates_are_renewed_when_the_wall_clock_went_on_or_back(age_seconds: float, times: int) -> None:
    """-600: made before somebody set the clock back by more than that."""
    settings, etcd, kubernetes = SimpleNamespace(gateway="10.0.0.1"), Renewed(), Renewed()
    clients = Clients(
        settings, None, None, etcd, kubernetes, None, CLOCK, AUTHORITIES, time.time() - age_seconds,
    )  # type: ignore[arg-type]  # fmt: skip
    clients.renew_if_due()
    clients.renew_if_due()
    assert (len(etcd.given), len(kubernetes.given)) == (times, times)
