"""Passes: identities of hours that commands which only look share, so that not each one signs anew.

They are kept sealed with the key that seals the authorities: who can open them could as well sign them. This
file signs nothing and keeps nothing; it says which passes are still good.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from risen.core.names import ClusterUid

LEAST_SECONDS = 3600.0
"""A pass is not used in its last hour: whoever begins to look then may look for long."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate, its key and the authority that servers of the other side are checked against; all PEM."""

    certificate: str
    key: str = field(repr=False)
    authority: str
    ends_unix: float


@dataclass(frozen=True, slots=True)
class Passes:
    """Of one cluster, for the API and for etcd. `authorities` is the version of the sealed authorities that
    signed them: others are trusted after a change of those."""

    cluster: ClusterUid
    authorities: str
    api: Identity
    etcd: Identity

    def are_good(self, cluster: ClusterUid, authorities: str, now_unix: float) -> bool:
        """Whether they are that cluster's, signed by its present authorities, and end late enough."""
        ends = min(self.api.ends_unix, self.etcd.ends_unix)
        return (self.cluster, self.authorities) == (cluster, authorities) and now_unix + LEAST_SECONDS < ends
