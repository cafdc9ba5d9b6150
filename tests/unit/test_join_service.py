"""The join service for real: TLS on loopback, CSRs by openssl, a directory store, and the join script itself."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import ssl
import tarfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from join_world import (
    AUTHORITIES,
    FOUNDER,
    HERE,
    NOW,
    SECOND,
    WORKER,
    HandClock,
    World,
    birth,
    csrs_of,
    member,
    served,
    ticket_of,
    tokens,
)

from risen.authority.binding import Binding
from risen.authority.grant import NOT_A_TICKET, JoinRequest
from risen.authority.tickets import VALID_SECONDS
from risen.codec import records
from risen.core.events import EXPIRED_TICKET, SECOND_KEY, WRONG_ADDRESS, WRONG_TICKET, Alarm, Joined
from risen.core.names import InstanceName, Role
from risen.core.picture import EtcdSeen
from risen.instance import layout
from risen.interfaces.errors import Denied, NoCapacity
from risen.interfaces.store import IfAbsent, IfVersion
from risen.services.join import MAX_REQUEST_BYTES
from risen.services.join_rate import RateLimit, SaidBefore
from risen.services.join_tls import LIFE_DAYS, RENEW_DAYS, JoinTls


@dataclass(frozen=True)
class Reply:
    """A response, read whole."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.body.decode()

    def files(self) -> dict[str, bytes]:
        with tarfile.open(fileobj=io.BytesIO(self.body)) as archive:
            return {one.name: opened.read() for one in archive if (opened := archive.extractfile(one))}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with served(tmp_path) as made:
        yield made


def form_of(name: InstanceName, ticket: str, csrs: Mapping[str, bytes]) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("instance", name)
    form.add_field("ticket", ticket)
    for purpose, pem in csrs.items():
        form.add_field(
            f"csr.{purpose}", pem, filename=f"{purpose}.csr", content_type="application/x-pem-file"
        )
    return form


async def post(world: World, form: object, headers: Mapping[str, str] | None = None) -> Reply:
    trust = ssl.create_default_context(cadata=AUTHORITIES.join.certificate)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"https://{HERE}:{world.port}/v1/join", data=form, ssl=trust, headers=headers) as reply,
    ):
        return Reply(reply.status, await reply.read(), dict(reply.headers))


async def join(world: World, name: InstanceName, role: Role = Role.WORKER, which: str = "first") -> Reply:
    return await post(world, form_of(name, ticket_of(birth(name, role)), csrs_of(role, which)))


async def binding_of(world: World, name: InstanceName) -> Binding | None:
    found = await world.store.get(records.join_key(name))
    return None if found is None else records.decode(found.data, Binding, "joins")


async def test_the_authority_is_served_as_the_bytes_whose_digest_user_data_carries(world: World) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://{HERE}:{world.port}/v1/authority", ssl=False) as reply,
    ):
        body = await reply.read()
    assert body.decode() == AUTHORITIES.join.certificate
    assert hashlib.sha256(body).hexdigest() == AUTHORITIES.join_digest


async def test_a_worker_is_answered_with_all_it_needs_and_no_secret_of_the_cluster(world: World) -> None:
    await world.bear(WORKER)
    reply = await join(world, WORKER)
    assert reply.status == 200, reply.text
    files = reply.files()
    assert set(files) == {path.lstrip("/") for path in layout.answer_paths(Role.WORKER)}
    certificate = x509.load_pem_x509_certificate(files["etc/kubernetes/pki/kubelet-client.crt"])
    asked = x509.load_pem_x509_csr(csrs_of(Role.WORKER)["kubelet-client"])
    assert certificate.public_key() == asked.public_key()
    assert f"CN=system:node:{WORKER}" in certificate.subject.rfc4514_string()
    assert not [name for name, data in files.items() if b"PRIVATE KEY" in data or name.endswith(".key")]
    assert [event for event in world.events if isinstance(event, Joined)] == [Joined(NOW, WORKER)]


async def test_the_same_keys_get_the_same_bytes_for_as_long_as_the_ticket_lives(world: World) -> None:
    await world.bear(WORKER)
    first = await join(world, WORKER)
    world.clock.now += 600
    again = await join(world, WORKER)
    assert (again.status, again.body) == (200, first.body)
    assert len(world.events) == 1
    world.clock.now = NOW - 30 + VALID_SECONDS
    assert (await join(world, WORKER)).status == 403


async def test_a_ticket_used_by_another_key_is_refused_alarmed_and_condemns_the_instance(
    world: World,
) -> None:
    await world.bear(WORKER)
    assert (await join(world, WORKER)).status == 200
    stolen = await join(world, WORKER, which="other")
    assert (stolen.status, stolen.text) == (403, "the ticket was used before with other keys\n")
    alarms = [event for event in world.events if isinstance(event, Alarm)]
    assert [(alarm.kind, alarm.subject) for alarm in alarms] == [(SECOND_KEY, WORKER)]
    own = await join(world, WORKER)
    assert own.status == 403 and "condemned" in own.text
    again = await join(world, WORKER, which="other")
    assert again.status == 403 and len(world.events) == 2
    binding = await binding_of(world, WORKER)
    assert binding is not None and binding.condemned


async def test_of_two_keys_at_once_one_is_bound_and_the_instance_ends_condemned(world: World) -> None:
    await world.bear(WORKER)
    csrs_of(Role.WORKER, "other")
    replies = await asyncio.gather(join(world, WORKER), join(world, WORKER, which="other"))
    assert sorted(reply.status for reply in replies) in ([200, 403], [403, 403])
    assert SECOND_KEY in {event.kind for event in world.events if isinstance(event, Alarm)}
    binding = await binding_of(world, WORKER)
    assert binding is not None and binding.condemned


async def test_the_same_request_sent_eight_times_at_once_gets_one_answer(world: World) -> None:
    await world.bear(WORKER)
    replies = await asyncio.gather(*(join(world, WORKER) for _ in range(8)))
    answers = {reply.body for reply in replies if reply.status == 200}
    assert len(answers) == 1
    assert {reply.status for reply in replies} <= {200, 503}
    assert (await join(world, WORKER)).body in answers


async def test_an_expired_ticket_is_refused_alarmed_once_and_binds_nothing(world: World) -> None:
    await world.bear(WORKER)
    world.clock.now += VALID_SECONDS
    for _ in range(3):
        reply = await join(world, WORKER)
        assert (reply.status, reply.text) == (403, "the ticket has expired\n")
        world.clock.now += 120
    assert [event.kind for event in world.events if isinstance(event, Alarm)] == [EXPIRED_TICKET]
    assert await binding_of(world, WORKER) is None


async def test_an_altered_ticket_is_refused_alarmed_and_asks_the_provider_nothing(world: World) -> None:
    await world.bear(WORKER)
    world.facts.unreachable = True
    ticket = ticket_of(birth(WORKER))
    altered = ticket[:-1] + ("A" if ticket[-1] != "A" else "B")
    reply = await post(world, form_of(WORKER, altered, csrs_of(Role.WORKER)))
    assert (reply.status, reply.text) == (403, "this is not a ticket of this instance\n")
    unknown = await post(world, form_of(InstanceName("worker-zzzzz"), ticket, csrs_of(Role.WORKER)))
    assert (unknown.status, unknown.body) == (reply.status, reply.body)
    (alarm,) = world.events
    assert isinstance(alarm, Alarm)
    assert (alarm.kind, alarm.subject) == (WRONG_TICKET, WORKER)
    assert "asked to join as" in alarm.text and ticket not in alarm.text


async def test_wrong_tickets_alarm_once_a_minute_of_an_address_and_cannot_fill_the_stream(
    world: World,
) -> None:
    await world.bear(WORKER)
    for number in range(1, 50):
        request = JoinRequest(WORKER, "1.not-a-ticket", {}, f"10.77.0.{number}")
        for _ in range(3):
            assert await world.service.desk.answer(request) == NOT_A_TICKET
    assert len(world.events) == 10
    world.clock.now += 61
    nobody = JoinRequest(InstanceName("worker-zzzzz"), "1.not-a-ticket", {}, "10.77.0.1")
    assert await world.service.desk.answer(nobody) == NOT_A_TICKET
    last = world.events[-1]
    assert isinstance(last, Alarm) and (len(world.events), last.subject) == (11, "join")


async def test_a_ticket_from_a_wrong_address_is_refused_alarmed_once_and_binds_nothing(world: World) -> None:
    await world.bear(WORKER, address="10.77.0.23")
    for _ in range(3):
        reply = await join(world, WORKER)
        assert reply.status == 403 and "10.77.0.23" in reply.text
    assert [event.kind for event in world.events if isinstance(event, Alarm)] == [WRONG_ADDRESS]
    assert await binding_of(world, WORKER) is None


async def test_an_instance_that_the_provider_does_not_show_yet_is_told_later(world: World) -> None:
    await world.bear(WORKER)
    del world.facts.at[WORKER]
    assert (await join(world, WORKER)).status == 503
    world.facts.unreachable = True
    reply = await join(world, WORKER)
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
    world.facts.unreachable = False
    world.facts.place(WORKER)
    assert (await join(world, WORKER)).status == 200


async def test_the_founder_gets_the_shared_secrets_and_a_new_etcd_of_one(world: World) -> None:
    await world.bear(FOUNDER, Role.CONTROL_PLANE)
    assert (await join(world, FOUNDER, Role.CONTROL_PLANE)).status == 503
    await world.bootstrap(FOUNDER)
    reply = await join(world, FOUNDER, Role.CONTROL_PLANE)
    assert reply.status == 200, reply.text
    files = reply.files()
    assert set(files) == {path.lstrip("/") for path in layout.answer_paths(Role.CONTROL_PLANE)}
    flags = files["etc/etcd/etcd.flags"].decode()
    assert "--initial-cluster-state=new" in flags and "--initial-cluster-token=token-1" in flags
    assert f"--initial-cluster={FOUNDER}=https://{HERE}:2380\n" in flags
    assert files["etc/kubernetes/pki/sa.key"].decode() == AUTHORITIES.service_account_key
    assert AUTHORITIES.encryption_key.encode() in files["etc/kubernetes/encryption.yaml"]


async def test_a_second_member_is_bound_while_it_waits_and_answered_once_etcd_lists_it(world: World) -> None:
    await world.bootstrap(FOUNDER)
    await world.bear(SECOND, Role.CONTROL_PLANE)
    world.facts.etcd = EtcdSeen("1", (member(FOUNDER, "10.77.0.10"),))
    waiting = await join(world, SECOND, Role.CONTROL_PLANE)
    assert (waiting.status, waiting.text) == (503, "not a member of etcd yet\n")
    assert (await join(world, SECOND, Role.CONTROL_PLANE, which="other")).status == 403
    assert world.events and all(isinstance(event, Alarm) for event in world.events)


async def test_a_second_member_gets_exactly_the_members_there_are(world: World) -> None:
    await world.bootstrap(FOUNDER)
    await world.bear(SECOND, Role.CONTROL_PLANE)
    world.facts.etcd = EtcdSeen("1", (member(FOUNDER, "10.77.0.10"), member("", HERE, learner=True)))
    reply = await join(world, SECOND, Role.CONTROL_PLANE)
    assert reply.status == 200, reply.text
    flags = reply.files()["etc/etcd/etcd.flags"].decode()
    assert "--initial-cluster-state=existing" in flags
    assert f"={FOUNDER}=https://10.77.0.10:2380,{SECOND}=https://{HERE}:2380\n" in flags
    world.facts.etcd = EtcdSeen("1", (member(FOUNDER, "10.77.0.10"), member(SECOND, HERE)))
    started = await join(world, SECOND, Role.CONTROL_PLANE)
    assert started.status == 403 and "started member" in started.text


class BrokenStore:
    """A store that reads, and refuses writes with one error."""

    def __init__(self, inner: object, error: Exception) -> None:
        self.inner, self.error = inner, error

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    async def put(self, key: str, data: bytes, condition: IfAbsent | IfVersion | None = None) -> str:
        raise self.error

    async def append(self, stream: str, data: bytes) -> int:
        raise self.error


@pytest.mark.parametrize("error", [Denied("the disk is read-only"), NoCapacity("the disk is full")])
async def test_a_store_that_cannot_be_written_answers_later_and_gives_nothing(
    world: World, error: Exception
) -> None:
    await world.bear(WORKER)
    store = world.store
    world.service.desk.store = BrokenStore(store, error)  # type: ignore[assignment]
    reply = await join(world, WORKER)
    assert reply.status == 503 and "disk" not in reply.text
    assert any(str(error) in note for note in world.notes)
    world.service.desk.store = store
    assert (await join(world, WORKER)).status == 200


async def test_one_corrupted_birth_record_stops_its_own_instance_only(world: World, tmp_path: Path) -> None:
    await world.bear(WORKER)
    other = InstanceName("worker-zzzzz")
    await world.bear(other)
    file = tmp_path / "store/objects/births" / f"{WORKER}.OBJECT"
    file.write_bytes(file.read_bytes().replace(b"bring-up", b"bring-UP"))
    assert (await join(world, WORKER)).status == 503
    assert any("Corrupt" in note and WORKER in note for note in world.notes)
    assert (await join(world, other)).status == 200


async def test_an_answer_lost_to_a_crash_between_event_and_record_is_given_again(world: World) -> None:
    await world.bear(WORKER)
    assert (await join(world, WORKER)).status == 200
    binding = await binding_of(world, WORKER)
    assert binding is not None and binding.granted is not None
    bare = Binding(binding.instance, binding.keys, binding.bound_unix)
    await world.store.put(records.join_key(WORKER), records.encode(bare))
    assert (await join(world, WORKER)).status == 200
    assert world.events == [Joined(NOW, WORKER)] * 2


async def test_what_is_no_request_to_join_is_turned_away(world: World) -> None:
    assert (await post(world, b"instance=x")).status == 400
    assert (await post(world, b"x" * (MAX_REQUEST_BYTES + 1))).status == 413
    big = form_of(WORKER, "t", {"kubelet-client": b"x" * 9000})
    assert "more than 8192" in (await post(world, big)).text
    many = form_of(WORKER, "t", {f"p{number}": b"x" for number in range(40)})
    assert "more than 24 fields" in (await post(world, many)).text
    twice = form_of(WORKER, "t", {})
    twice.add_field("ticket", "u")
    assert "there once" in (await post(world, twice)).text
    strange = form_of(WORKER, "t", {})
    strange.add_field("role", "control-plane")
    assert "unknown fields: role" in (await post(world, strange)).text
    assert "field ticket is missing" in (await post(world, form_of(WORKER, "", {}))).text
    traversal = await post(world, form_of(InstanceName("../cluster"), "t", {}))
    assert traversal.status == 403


async def test_a_request_without_a_length_is_turned_away(world: World) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"x"

    assert (await post(world, drip())).status == 411


async def test_one_address_cannot_ask_too_often(world: World) -> None:
    world.service.rate.burst = 3
    statuses = [(await post(world, b"")).status for _ in range(5)]
    assert statuses == [400, 400, 400, 429, 429]
    world.clock.now += 1
    assert (await post(world, b"")).status == 400


def test_a_rate_is_per_address_and_its_table_cannot_grow() -> None:
    rate = RateLimit(per_second=1.0, burst=1.0, addresses=2)
    assert [rate.allows("a", 0.0), rate.allows("a", 0.5), rate.allows("b", 0.5)] == [True, False, True]
    assert rate.allows("a", 2.0)
    for number in range(10):
        rate.allows(f"10.0.0.{number}", 2.0)
    assert len(rate._buckets) == 2


async def test_who_is_refused_again_and_again_fills_no_log(world: World) -> None:
    await world.bear(WORKER)
    for _ in range(5):
        assert (await post(world, form_of(WORKER, "forged", csrs_of(Role.WORKER)))).status == 403
    assert len(world.notes) == 1 and "refused" in world.notes[0]
    said = SaidBefore(limit=2)
    for number in range(10):
        said.add("x", str(number))
    assert ("x", "9") in said and ("x", "7") not in said


async def test_the_services_certificate_is_renewed_without_a_restart(world: World) -> None:
    def serial() -> int:
        pem = ssl.get_server_certificate((HERE, world.port))
        return x509.load_pem_x509_certificate(pem.encode()).serial_number

    first = await asyncio.to_thread(serial)
    assert await asyncio.to_thread(serial) == first
    world.clock.now += (LIFE_DAYS - RENEW_DAYS) * 86400 + 1
    assert await asyncio.to_thread(serial) != first


def test_the_services_key_is_in_memory_only() -> None:
    before = set(os.listdir("/proc/self/fd"))
    JoinTls(AUTHORITIES, (HERE,), HandClock(), tokens("x")).context()
    assert set(os.listdir("/proc/self/fd")) == before
