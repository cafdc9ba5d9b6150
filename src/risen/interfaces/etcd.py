"""etcd, asked of any member. Member ids are decimal text."""

from __future__ import annotations

from typing import Protocol

from risen.core.names import MemberId
from risen.core.picture import EtcdSeen


class Etcd(Protocol):
    """Membership through whichever member answers.

    `observe(addresses)` asks the client ports (https://ADDRESS:2379) given: a linearizable member list, then
    each member's own status. With no linearizable answer but at least one local one it returns
    `quorum_lost=True` with the local list; with no answer at all it raises Unreachable.
    `add_learner` raises Later while a voter is unconnected or another learner exists; Conflict if that peer
    URL is a member already. `promote` raises Later for "not in sync", NotFound for an unknown id.
    `remove` raises Later on 503. `move_leader` is sent to the leader itself. `hash_kv(member, revision)`
    returns (hash, compact revision). `remove_endpoint_lease(address)` deletes the key by which kube-apiserver at
    that address is an endpoint of the Service `kubernetes`; none there is done. All raise Unreachable, OutcomeUnknown, Denied.
    Source: etcd 3.6 api/etcdserverpb/rpc.proto.
    """

    async def observe(self, addresses: tuple[str, ...]) -> EtcdSeen: ...
    async def add_learner(self, peer_url: str) -> MemberId: ...
    async def promote(self, member: MemberId) -> None: ...
    async def remove(self, member: MemberId) -> None: ...
    async def move_leader(self, leader: MemberId, to: MemberId) -> None: ...
    async def remove_endpoint_lease(self, address: str) -> None: ...
    async def hash_kv(self, member: MemberId, revision: int) -> tuple[int, int]: ...
