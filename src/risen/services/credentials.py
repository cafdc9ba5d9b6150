"""What of a cluster lies sealed in its store: its authorities and the credentials of image registries; and passes
for whoever only looks.

What signs is imported where it signs: a command that finds good passes does not wait for it. It decides nothing
about clusters and holds no key: the sealing key is handed in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from risen.authority.authorities import Authorities
from risen.authority.passes import Passes
from risen.authority.sealing import SealingKey
from risen.codec import records, sealed
from risen.core.names import ClusterUid
from risen.interfaces.clock import Clock
from risen.interfaces.entropy import Entropy
from risen.interfaces.errors import Conflict, InterfaceError, NotFound
from risen.interfaces.store import IfAbsent, IfVersion, Object, Store

PASS_HOURS = 12.0
NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class PassPlace:
    """Where passes are kept, outside the store: `read` gives None where there are none; both raise
    InterfaceError. `name` is for error texts."""

    name: str
    read: Callable[[], bytes | None]
    write: Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one cluster, on a host that holds its sealing key."""

    store: Store
    key: SealingKey
    clock: Clock
    entropy: Entropy

    async def found(self, cluster_name: str) -> None:
        """Make the cluster's authorities, unless it has some. Raises Denied, NoCapacity."""
        from risen.authority.founding import make_authorities

        if await self.store.get(records.AUTHORITIES) is None:
            made = make_authorities(cluster_name, self.clock.unix(), self.entropy.token)
            data = sealed.seal_record(made, self.key, self.entropy.token(NONCE_BYTES))
            with contextlib.suppress(Conflict):
                await self.store.put(records.AUTHORITIES, data, IfAbsent())

    async def authorities(self) -> Authorities:
        """Raises NotFound, Denied (another sealing key), Corrupt, TooNew."""
        return sealed.open_authorities((await self._sealed()).data, self.key)

    async def registry_auths(self) -> Mapping[str, str]:
        """`USER:PASSWORD` in base64 by image registry. Raises Denied (another sealing key), Corrupt, TooNew."""
        return self._registry_auths(await self.store.get(records.REGISTRIES))

    def _registry_auths(self, there: Object | None) -> Mapping[str, str]:
        if there is None:
            return {}
        return sealed.open_record(there.data, records.RegistryAuths, self.key, records.REGISTRIES).auths

    async def keep_registry_auths(self, auths: Mapping[str, str]) -> tuple[str, ...]:
        """Seal these into the store, beside those of other registries. Those that are new or others than before.

        Raises Conflict when somebody else did so meanwhile, and what `registry_auths` raises.
        """
        there = await self.store.get(records.REGISTRIES)
        kept = self._registry_auths(there)
        changed = tuple(sorted(host for host, auth in auths.items() if kept.get(host) != auth))
        if changed:
            value = records.RegistryAuths({**kept, **auths})
            data = sealed.seal_record(value, self.key, self.entropy.token(NONCE_BYTES))
            condition = IfAbsent() if there is None else IfVersion(there.version)
            await self.store.put(records.REGISTRIES, data, condition)
        return changed

    async def passes(self, cluster: ClusterUid, place: PassPlace) -> Passes:
        """Those that are kept, as long as they are good; else new ones, which are kept if that can be done.

        Raises NotFound, Denied (another sealing key), Corrupt for the authorities.
        """
        there = await self._sealed()
        with contextlib.suppress(InterfaceError):
            kept = place.read()
            passes = sealed.open_record(kept, Passes, self.key, place.name) if kept is not None else None
            if passes is not None and passes.are_good(cluster, there.version, self.clock.unix()):
                return passes
        passes = self._sign(cluster, there.data, there.version)
        with contextlib.suppress(InterfaceError):
            place.write(sealed.seal_record(passes, self.key, self.entropy.token(NONCE_BYTES)))
        return passes

    async def _sealed(self) -> Object:
        there = await self.store.get(records.AUTHORITIES)
        if there is None:
            raise NotFound(f"{records.AUTHORITIES}: not in this cluster's store")
        return there

    def _sign(self, cluster: ClusterUid, data: bytes, version: str) -> Passes:
        from risen.authority.identities import IdentityKind, short_lived

        authorities, now = sealed.open_authorities(data, self.key), self.clock.unix()
        api, etcd = (
            short_lived(authorities, kind, PASS_HOURS, now, self.entropy.token)
            for kind in (IdentityKind.CONTROLLER, IdentityKind.ETCD)
        )
        return Passes(cluster, version, api, etcd)
