"""What a ticket is bound to, as it lies in the store. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from risen.core.names import InstanceName


@dataclass(frozen=True, slots=True)
class EtcdStart:
    """How etcd starts: `state` is `new` or `existing`; `initial_cluster` is (member name, peer URL), sorted."""

    state: str
    initial_cluster: tuple[tuple[str, str], ...]

    @property
    def argument(self) -> str:
        """etcd's `--initial-cluster`."""
        return ",".join(f"{name}={url}" for name, url in self.initial_cluster)


@dataclass(frozen=True, slots=True)
class Granted:
    """What was certified, kept so that the same keys get the same answer. `certificates`: (purpose, PEM)."""

    unix: float
    certificates: tuple[tuple[str, str], ...]
    etcd: EtcdStart | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """The object `joins/NAME`. `keys` is the hash that the ticket is bound to."""

    instance: InstanceName
    keys: str
    bound_unix: float
    granted: Granted | None = None
    condemned: str = ""
