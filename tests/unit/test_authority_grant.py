"""Who may join, and who may not: every rule of `decide`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from join_world import (
    AUTHORITIES,
    FOUNDER,
    HERE,
    NOW,
    SECOND,
    UID,
    WORKER,
    birth,
    csrs_of,
    member,
    openssl,
    ticket_of,
)

from risen.authority.binding import Binding, EtcdStart
from risen.authority.certificates import Subject
from risen.authority.certify import certify
from risen.authority.grant import (
    Grant,
    InstanceAt,
    JoinContext,
    JoinRequest,
    Later,
    Refusal,
    decide,
)
from risen.authority.tickets import VALID_SECONDS
from risen.core.events import ALREADY_STARTED, EXPIRED_TICKET, SECOND_KEY, WRONG_ADDRESS
from risen.core.names import InstanceName, ProviderId, Role
from risen.core.picture import EtcdSeen
from risen.core.step import Bootstrap

Csrs = Mapping[str, bytes]


@pytest.fixture
def worker_csrs() -> Csrs:
    return csrs_of(Role.WORKER)


@pytest.fixture
def other_csrs() -> Csrs:
    return csrs_of(Role.WORKER, "other")


@pytest.fixture
def plane_csrs() -> Csrs:
    return csrs_of(Role.CONTROL_PLANE)


def known(name: InstanceName, address: str | None = HERE) -> JoinContext:
    at = InstanceAt(ProviderId(f"risen-local://dev/{name}/1"), address)
    return JoinContext(UID, AUTHORITIES.ticket_secret, at, None)


def asked(name: InstanceName, csrs: Csrs, role: Role = Role.WORKER, source: str = HERE) -> JoinRequest:
    return JoinRequest(name, ticket_of(birth(name, role)), csrs, source)


def plane(name: InstanceName, csrs: Csrs, context: JoinContext) -> Grant | Later | Refusal:
    request = asked(name, csrs, Role.CONTROL_PLANE)
    return decide(birth(name, Role.CONTROL_PLANE), request, NOW, context)


def test_an_older_release_asks_for_fewer_certificates_and_gets_no_more(worker_csrs: Csrs) -> None:
    older = replace(known(WORKER), purposes=("kubelet-client",))
    fewer = {"kubelet-client": worker_csrs["kubelet-client"]}
    verdict = decide(birth(WORKER), asked(WORKER, fewer), NOW, older)
    assert isinstance(verdict, Grant)
    subject = Subject(UID, WORKER, HERE)
    granted = certify(AUTHORITIES, birth(WORKER), subject, verdict, NOW)
    assert [purpose for purpose, _ in granted.certificates] == ["kubelet-client"]
    more = decide(birth(WORKER), asked(WORKER, worker_csrs), NOW, older)
    assert isinstance(more, Refusal) and "not its own: kubelet-server" in more.reason
    strange = decide(birth(WORKER), asked(WORKER, fewer), NOW, replace(older, purposes=("etcd-peer",)))
    assert isinstance(strange, Refusal) and "no worker is certified for etcd-peer here" in strange.reason


def test_a_worker_is_granted_with_the_hash_its_ticket_is_bound_to(worker_csrs: Csrs) -> None:
    verdict = decide(birth(WORKER), asked(WORKER, worker_csrs), NOW, known(WORKER))
    assert isinstance(verdict, Grant)
    assert len(verdict.keys) == 64 and verdict.etcd is None


def test_the_same_keys_are_granted_again_whatever_else_a_new_request_says(
    worker_csrs: Csrs,
) -> None:
    first = decide(birth(WORKER), asked(WORKER, worker_csrs), NOW, known(WORKER))
    assert isinstance(first, Grant)
    context = replace(known(WORKER), binding=Binding(WORKER, first.keys, NOW))
    again = decide(birth(WORKER), asked(WORKER, dict(reversed(worker_csrs.items()))), NOW + 60, context)
    assert isinstance(again, Grant) and again.keys == first.keys


def test_a_ticket_used_by_another_key_is_refused_alarmed_and_condemns(
    worker_csrs: Csrs, other_csrs: Csrs
) -> None:
    first = decide(birth(WORKER), asked(WORKER, worker_csrs), NOW, known(WORKER))
    assert isinstance(first, Grant)
    context = replace(known(WORKER), binding=Binding(WORKER, first.keys, NOW))
    verdict = decide(birth(WORKER), asked(WORKER, other_csrs), NOW, context)
    assert verdict == Refusal("the ticket was used before with other keys", SECOND_KEY, condemns=True)


def test_one_exchanged_key_of_many_is_another_set_of_keys(worker_csrs: Csrs, other_csrs: Csrs) -> None:
    first = decide(birth(WORKER), asked(WORKER, worker_csrs), NOW, known(WORKER))
    assert isinstance(first, Grant)
    context = replace(known(WORKER), binding=Binding(WORKER, first.keys, NOW))
    mixed = {**worker_csrs, "kubelet-server": other_csrs["kubelet-server"]}
    verdict = decide(birth(WORKER), asked(WORKER, mixed), NOW, context)
    assert isinstance(verdict, Refusal) and verdict.condemns
    swapped = {
        "kubelet-server": worker_csrs["kubelet-client"],
        "kubelet-client": worker_csrs["kubelet-server"],
    }
    verdict = decide(birth(WORKER), asked(WORKER, swapped), NOW, context)
    assert isinstance(verdict, Refusal) and verdict.condemns


def test_a_condemned_instance_gets_nothing_even_with_its_first_keys(worker_csrs: Csrs) -> None:
    first = decide(birth(WORKER), asked(WORKER, worker_csrs), NOW, known(WORKER))
    assert isinstance(first, Grant)
    context = replace(known(WORKER), binding=Binding(WORKER, first.keys, NOW, condemned="a second key"))
    verdict = decide(birth(WORKER), asked(WORKER, worker_csrs), NOW, context)
    assert isinstance(verdict, Refusal) and "condemned: a second key" in verdict.reason and not verdict.alarm


def test_an_expired_ticket_is_refused_and_minutes_count_from_the_launch(worker_csrs: Csrs) -> None:
    one, request = birth(WORKER), asked(WORKER, worker_csrs)
    end = one.born_unix + VALID_SECONDS
    assert isinstance(decide(one, request, end - 1, known(WORKER)), Grant)
    assert decide(one, request, end, known(WORKER)) == Refusal("the ticket has expired", EXPIRED_TICKET)
    late = replace(known(WORKER), at=InstanceAt(ProviderId("p"), HERE, launched_unix=end))
    assert isinstance(decide(one, request, end, late), Grant)
    assert isinstance(decide(one, request, end + VALID_SECONDS, late), Refusal)


@pytest.mark.parametrize("at", [0, 5, -1])
def test_an_altered_ticket_is_refused(worker_csrs: Csrs, at: int) -> None:
    request = asked(WORKER, worker_csrs)
    letters = list(request.ticket)
    letters[at] = "A" if letters[at] != "A" else "B"
    verdict = decide(birth(WORKER), replace(request, ticket="".join(letters)), NOW, known(WORKER))
    assert verdict == Refusal("this is not a ticket of this instance")


def test_a_ticket_of_another_instance_birth_or_cluster_is_refused_alike(worker_csrs: Csrs) -> None:
    request = asked(InstanceName("worker-zzzzz"), worker_csrs)
    refused = Refusal("this is not a ticket of this instance")
    assert decide(birth(WORKER), replace(request, instance=WORKER), NOW, known(WORKER)) == refused
    assert decide(None, asked(WORKER, worker_csrs), NOW, known(WORKER)) == refused
    reborn = replace(birth(WORKER), nonce="f" * 32)
    assert decide(reborn, asked(WORKER, worker_csrs), NOW, known(WORKER)) == refused


def test_a_genuine_ticket_from_a_wrong_address_is_refused_and_alarmed(worker_csrs: Csrs) -> None:
    request = asked(WORKER, worker_csrs, source="10.244.3.9")
    verdict = decide(birth(WORKER), request, NOW, known(WORKER))
    assert isinstance(verdict, Refusal)
    assert (verdict.alarm, verdict.condemns) == (WRONG_ADDRESS, False)
    assert "10.244.3.9" in verdict.reason


def test_what_the_provider_does_not_show_yet_is_told_to_come_again_and_binds_nothing(
    worker_csrs: Csrs,
) -> None:
    for at in (None, InstanceAt(ProviderId("p"), None)):
        verdict = decide(birth(WORKER), asked(WORKER, worker_csrs), NOW, replace(known(WORKER), at=at))
        assert isinstance(verdict, Later) and verdict.keys == ""


def test_purposes_are_exactly_those_of_the_role(worker_csrs: Csrs, plane_csrs: Csrs) -> None:
    more = {**worker_csrs, "apiserver-server": plane_csrs["apiserver-server"]}
    verdict = decide(birth(WORKER), asked(WORKER, more), NOW, known(WORKER))
    assert isinstance(verdict, Refusal) and "not its own: apiserver-server" in verdict.reason
    fewer = {"kubelet-client": worker_csrs["kubelet-client"]}
    verdict = decide(birth(WORKER), asked(WORKER, fewer), NOW, known(WORKER))
    assert isinstance(verdict, Refusal) and "missing: kubelet-server" in verdict.reason


def test_one_key_for_two_certificates_is_refused(worker_csrs: Csrs) -> None:
    same = dict.fromkeys(worker_csrs, worker_csrs["kubelet-client"])
    verdict = decide(birth(WORKER), asked(WORKER, same), NOW, known(WORKER))
    assert verdict == Refusal("each certificate needs a key of its own")


def test_weak_keys_forged_signatures_and_noise_are_refused(worker_csrs: Csrs, tmp_path: Path) -> None:
    weak = tmp_path / "weak.key"
    openssl("genrsa", "-out", str(weak), "1024")
    curve = tmp_path / "curve.key"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-out", str(curve))
    whole = openssl("req", "-outform", "DER", stdin=worker_csrs["kubelet-client"])
    forged = whole[:-1] + bytes([whole[-1] ^ 1])
    bad = {
        "RSA of at least": openssl("req", "-new", "-key", str(weak), "-subj", "/CN=x"),
        "EC P-256": openssl("req", "-new", "-key", str(curve), "-subj", "/CN=x"),
        "possession": pem_of(forged),
        "not a certificate request": b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        "at most 8192": b"x" * 9000,
    }
    for reason, csr in bad.items():
        request = asked(WORKER, {**worker_csrs, "kubelet-server": csr})
        verdict = decide(birth(WORKER), request, NOW, known(WORKER))
        assert isinstance(verdict, Refusal) and reason in verdict.reason, (reason, verdict)
        assert verdict.reason.startswith("kubelet-server: ")


def pem_of(der: bytes) -> bytes:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n".encode()


def test_an_rsa_key_of_2048_bits_is_good(worker_csrs: Csrs, tmp_path: Path) -> None:
    key = tmp_path / "good.key"
    openssl("genrsa", "-out", str(key), "2048")
    csr = openssl("req", "-new", "-key", str(key), "-subj", "/CN=x")
    request = asked(WORKER, {**worker_csrs, "kubelet-server": csr})
    assert isinstance(decide(birth(WORKER), request, NOW, known(WORKER)), Grant)


def test_the_founder_starts_a_new_etcd_alone_though_etcd_cannot_be_seen(plane_csrs: Csrs) -> None:
    context = replace(known(FOUNDER), bootstrap=Bootstrap(1, FOUNDER, "t"))
    verdict = plane(FOUNDER, plane_csrs, context)
    assert isinstance(verdict, Grant)
    assert verdict.etcd == EtcdStart("new", ((FOUNDER, f"https://{HERE}:2380"),))
    assert verdict.etcd.argument == f"{FOUNDER}=https://{HERE}:2380"


def test_nothing_is_founded_once_a_cluster_id_is_recorded(plane_csrs: Csrs) -> None:
    context = replace(known(FOUNDER), bootstrap=Bootstrap(1, FOUNDER, "t"), etcd_cluster_id="123")
    assert isinstance(plane(FOUNDER, plane_csrs, context), Later)


def test_who_is_not_the_founder_founds_nothing(plane_csrs: Csrs) -> None:
    for bootstrap in (None, Bootstrap(1, FOUNDER, "t")):
        verdict = plane(SECOND, plane_csrs, replace(known(SECOND), bootstrap=bootstrap))
        assert isinstance(verdict, Later) and verdict.keys


def test_a_second_member_waits_until_etcd_lists_its_peer_url_and_then_gets_exactly_that_list(
    plane_csrs: Csrs,
) -> None:
    context = replace(known(SECOND), bootstrap=Bootstrap(1, FOUNDER, "t"), etcd_cluster_id="1")
    alone = EtcdSeen("1", (member(FOUNDER, "10.77.0.10"),))
    verdict = plane(SECOND, plane_csrs, replace(context, etcd=alone))
    assert isinstance(verdict, Later) and "not a member" in verdict.reason and verdict.keys
    both = EtcdSeen("1", (member(FOUNDER, "10.77.0.10"), member("", HERE, learner=True)))
    verdict = plane(SECOND, plane_csrs, replace(context, etcd=both))
    assert isinstance(verdict, Grant) and verdict.etcd == EtcdStart(
        "existing",
        ((FOUNDER, "https://10.77.0.10:2380"), (SECOND, f"https://{HERE}:2380")),
    )


@pytest.mark.parametrize("address", [HERE, "10.77.0.99"])
def test_secrets_are_never_given_for_a_name_whose_member_has_started(plane_csrs: Csrs, address: str) -> None:
    seen = EtcdSeen("1", (member(FOUNDER, "10.77.0.10"), member(SECOND, address)))
    verdict = plane(SECOND, plane_csrs, replace(known(SECOND), etcd=seen, etcd_cluster_id="1"))
    assert isinstance(verdict, Refusal) and verdict.alarm == ALREADY_STARTED


def test_a_founder_whose_member_has_started_gets_no_second_answer(plane_csrs: Csrs) -> None:
    seen = EtcdSeen("1", (member(FOUNDER, HERE),))
    context = replace(known(FOUNDER), bootstrap=Bootstrap(1, FOUNDER, "t"), etcd=seen)
    verdict = plane(FOUNDER, plane_csrs, context)
    assert isinstance(verdict, Refusal) and verdict.alarm == ALREADY_STARTED


def test_an_uncertain_member_list_means_later(plane_csrs: Csrs) -> None:
    mine, first = member("", HERE, learner=True), member(FOUNDER, "10.77.0.10")
    lists = {
        "quorum": EtcdSeen("1", (first, mine), quorum_lost=True),
        "has not started": EtcdSeen("1", (first, mine, member("", "10.77.0.12", learner=True))),
        "still belongs to": EtcdSeen("1", (first, member("control-plane-old", HERE))),
    }
    for reason, seen in lists.items():
        verdict = plane(SECOND, plane_csrs, replace(known(SECOND), etcd=seen, etcd_cluster_id="1"))
        assert isinstance(verdict, Later) and reason in verdict.reason, verdict


def test_a_role_that_does_not_join_is_refused(worker_csrs: Csrs) -> None:
    name = InstanceName("etcd-bcdfg")
    verdict = decide(birth(name, Role.ETCD), asked(name, worker_csrs, Role.ETCD), NOW, known(name))
    assert verdict == Refusal("instances of role etcd do not join")
