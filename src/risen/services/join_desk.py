"""One request to join, from facts to answer: look, decide, bind, certify, render.

Invariant: what a ticket is bound to is durable in the store before anything is answered that could not be taken
back. A crash at any point is mended by the same request sent again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from risen.authority.binding import Binding, EtcdStart, Granted
from risen.authority.certificates import Subject
from risen.authority.certify import certify
from risen.authority.grant import (
    NOT_A_TICKET,
    Grant,
    JoinContext,
    JoinRequest,
    Later,
    Refusal,
    decide,
)
from risen.authority.tickets import is_genuine
from risen.codec import records
from risen.core.events import WRONG_TICKET, Alarm, Joined
from risen.core.names import InstanceName, Role
from risen.core.picture import EtcdSeen
from risen.core.step import Birth, Bootstrap
from risen.instance import layout
from risen.instance.answer import Credentials, pack_answer, render_answer
from risen.instance.control_plane import EtcdJoin, SharedSecrets
from risen.instance.release import Release
from risen.instance.settings import Identity
from risen.interfaces.clock import Clock
from risen.interfaces.errors import Conflict, InterfaceError, NotFound
from risen.interfaces.store import IfAbsent, IfVersion, Object, Store
from risen.services.join_facts import Emit, JoinCluster, JoinFacts, Note
from risen.services.join_rate import RateLimit, SaidBefore

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ATTEMPTS = 4
_A_MINUTE = 1 / 60


@dataclass(frozen=True, slots=True)
class Answered:
    """The tar archive of a granted request."""

    archive: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Case:
    """A request and everything that was looked up for it."""

    request: JoinRequest
    birth: Birth
    release: Release
    context: JoinContext
    version: str | None
    now: float


@dataclass(slots=True)
class JoinDesk:
    """Decides requests one by one; keeps nothing that must survive."""

    cluster: JoinCluster
    facts: JoinFacts
    store: Store
    clock: Clock
    emit: Emit
    note: Note
    _said: SaidBefore = field(default_factory=SaidBefore)
    _of_address: RateLimit = field(default_factory=lambda: RateLimit(_A_MINUTE, burst=1.0))
    _of_all: RateLimit = field(default_factory=lambda: RateLimit(_A_MINUTE, burst=10.0))

    async def answer(self, request: JoinRequest) -> Answered | Later | Refusal:
        """The answer to a request. Raises InterfaceError when the store cannot be read or written."""
        if not _NAME.fullmatch(request.instance):
            return NOT_A_TICKET
        for _ in range(_ATTEMPTS):
            try:
                return await self._once(request)
            except Conflict:
                self.note(f"join {request.instance}: another request was first, looking again")
        return Later("another request for this instance is being answered")

    async def _once(self, request: JoinRequest) -> Answered | Later | Refusal:
        birth = await self._birth(request.instance)
        secret = self.cluster.authorities.ticket_secret
        if birth is None or not is_genuine(request.ticket, secret, self.cluster.uid, birth):
            await self._alarm_wrong_ticket(request, birth)
            return NOT_A_TICKET
        binding, version = await self._binding(request.instance)
        release = await self.facts.release_of(birth)
        context = replace(await self._context(birth, binding), purposes=release.purposes)
        case = _Case(request, birth, release, context, version, self.clock.unix())
        verdict = decide(birth, request, case.now, context)
        match verdict:
            case Refusal():
                await self._refuse(case, verdict)
                return verdict
            case Later(keys=keys):
                if keys and binding is None:
                    await self._put(Binding(birth.instance, keys, case.now), None)
                return verdict
            case Grant():
                return await self._grant(case, verdict)

    async def _alarm_wrong_ticket(self, request: JoinRequest, birth: Birth | None) -> None:
        """Anybody who reaches the port can bring this about: one a minute of each address, and of all after the first
        ten. Alarms of genuine tickets are not counted here, so none of them is held back."""
        boot = self.clock.boot()
        if self._of_address.allows(request.source, boot) and self._of_all.allows("", boot):
            subject = birth.instance if birth is not None else "join"
            text = f"{request.source} asked to join as {request.instance} with what is not its ticket"
            await self.emit(Alarm(self.clock.unix(), WRONG_TICKET, subject, text))

    async def _refuse(self, case: _Case, refusal: Refusal) -> None:
        """Alarm first, then condemn: a crash between the two repeats the alarm, and loses nothing."""
        name = case.birth.instance
        once = (name, refusal.alarm, case.request.source)
        if refusal.alarm and once not in self._said:
            text = f"{name}, asked from {case.request.source}: {refusal.reason}"
            await self.emit(Alarm(case.now, refusal.alarm, name, text))
            self._said.add(*once)
        binding = case.context.binding
        if refusal.condemns and binding is not None:
            await self._put(replace(binding, condemned=refusal.reason), case.version)

    async def _grant(self, case: _Case, grant: Grant) -> Answered:
        binding, version = case.context.binding, case.version
        registries = await self._registry_auths(case.release)
        if binding is None:
            binding = Binding(case.birth.instance, grant.keys, case.now)
            version = await self._put(binding, None)
        granted = binding.granted or self._certified(case, grant)
        granted = replace(granted, etcd=grant.etcd)
        if granted != binding.granted:
            await self.emit(Joined(case.now, case.birth.instance))
            await self._put(replace(binding, granted=granted), version)
        return Answered(self._render(case, granted, registries))

    async def _registry_auths(self, release: Release) -> Mapping[str, str]:
        """What the release needs of them. Raises NotFound by name: nobody pulls for an instance without it."""
        if not release.registries:
            return {}
        auths = await self.facts.registry_auths()
        missing = [host for host in release.registries if host not in auths]
        if missing:
            raise NotFound(
                f"{records.REGISTRIES}: no credentials for {', '.join(missing)}, which release {release.id} needs: "
                "`risen apply` a cluster.yaml that has them"
            )
        return {host: auths[host] for host in release.registries}

    def _certified(self, case: _Case, grant: Grant) -> Granted:
        subject = Subject(
            self.cluster.uid,
            case.birth.instance,
            case.request.source,
            (self.cluster.endpoint_address, *case.release.api_names),
        )
        return certify(self.cluster.authorities, case.birth, subject, grant, case.now)

    def _render(self, case: _Case, granted: Granted, registries: Mapping[str, str]) -> bytes:
        birth, at = case.birth, case.context.at
        if at is None:
            raise ValueError("a granted request has an instance that the provider shows")
        identity = Identity(
            name=birth.instance,
            role=birth.role,
            pool=birth.pool,
            cluster=self.cluster.uid,
            address=case.request.source,
            provider_id=at.provider_id,
            endpoint_address=self.cluster.endpoint_address,
        )
        etcd = _etcd_join(granted.etcd, case.context.bootstrap)
        given = replace(self._credentials(birth.role, granted), registries=registries)
        return pack_answer(render_answer(case.release, identity, etcd, given))

    def _credentials(self, role: Role, granted: Granted) -> Credentials:
        own = self.cluster.authorities
        secrets = None
        if role is Role.CONTROL_PLANE:
            secrets = SharedSecrets(
                own.service_account_key,
                own.service_account_public,
                own.encryption_key_id,
                own.encryption_key,
            )
        return Credentials(
            dict(granted.certificates),
            {name: own.named(name).certificate for name in layout.authorities(role)},
            secrets,
        )

    async def _context(self, birth: Birth, binding: Binding | None) -> JoinContext:
        at = await self.facts.address_of(birth.instance)
        context = replace(self._nothing_known(), at=at, binding=binding)
        if birth.role is not Role.CONTROL_PLANE:
            return context
        return replace(
            context,
            bootstrap=await self._newest_bootstrap(),
            etcd_cluster_id=await self._etcd_cluster_id(),
            etcd=await self._etcd_seen(),
        )

    def _nothing_known(self) -> JoinContext:
        return JoinContext(self.cluster.uid, self.cluster.authorities.ticket_secret, None, None)

    async def _etcd_seen(self) -> EtcdSeen | None:
        try:
            return await self.facts.etcd_members()
        except InterfaceError as error:
            self._note_once("etcd", f"join: etcd cannot be seen: {error}")
            return None

    def _note_once(self, about: str, text: str) -> None:
        if (about, text) not in self._said:
            self._said.add(about, text)
            self.note(text)

    async def _birth(self, instance: InstanceName) -> Birth | None:
        key = records.birth_key(instance)
        found = await self.store.get(key)
        return None if found is None else records.decode(found.data, Birth, key)

    async def _binding(self, instance: InstanceName) -> tuple[Binding | None, str | None]:
        key = records.join_key(instance)
        found: Object | None = await self.store.get(key)
        return (None, None) if found is None else (records.decode(found.data, Binding, key), found.version)

    async def _newest_bootstrap(self) -> Bootstrap | None:
        keys = await self.store.list(records.BOOTSTRAPS)
        found = await self.store.get(keys[-1]) if keys else None
        return None if found is None else records.decode(found.data, Bootstrap, keys[-1])

    async def _etcd_cluster_id(self) -> str:
        key = records.ETCD_CLUSTER_ID
        found = await self.store.get(key)
        return "" if found is None else records.decode(found.data, records.EtcdClusterId, key).cluster_id

    async def _put(self, binding: Binding, version: str | None) -> str:
        condition = IfAbsent() if version is None else IfVersion(version)
        return await self.store.put(records.join_key(binding.instance), records.encode(binding), condition)


def _etcd_join(start: EtcdStart | None, bootstrap: Bootstrap | None) -> EtcdJoin | None:
    if start is None:
        return None
    return EtcdJoin(start.argument, start.state, bootstrap.token if bootstrap is not None else "")
