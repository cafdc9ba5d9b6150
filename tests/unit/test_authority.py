"""Authorities, sealing, tickets and certificates, read back with openssl and cryptography."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID
from join_world import AUTHORITIES, HERE, NOW, SPEC, UID, WORKER, birth, csrs_of, openssl, ticket_of, tokens

from risen.authority.authorities import NAMES, Authorities
from risen.authority.binding import Granted
from risen.authority.certificates import Subject, purposes_of, read_csr
from risen.authority.certify import certify
from risen.authority.founding import make_authorities
from risen.authority.grant import Grant
from risen.authority.identities import IdentityKind, short_lived
from risen.authority.sealing import SealingKey, Unsealable, seal, unseal
from risen.authority.tickets import is_genuine, make_ticket
from risen.authority.windows import instance_window
from risen.codec.sealed import open_authorities, seal_authorities
from risen.core.names import InstanceName, Role
from risen.instance import layout
from risen.instance.answer import api_names
from risen.interfaces.errors import Corrupt, Denied, TooNew

PLANE = InstanceName("control-plane-hjkl2")
KEY = SealingKey(b"k" * 32)


def granted_to(role: Role, now: float = NOW) -> tuple[Granted, dict[str, x509.Certificate]]:
    csrs = csrs_of(role)
    grant = Grant("0" * 64, {purpose: read_csr(csr) for purpose, csr in csrs.items()})
    subject = Subject(UID, PLANE, "10.77.0.12", ("10.77.0.1", *api_names(SPEC)))
    granted = certify(AUTHORITIES, birth(PLANE, role), subject, grant, now)
    found = {name: x509.load_pem_x509_certificate(pem.encode()) for name, pem in granted.certificates}
    return granted, found


@pytest.fixture(scope="module")
def plane() -> dict[str, x509.Certificate]:
    return granted_to(Role.CONTROL_PLANE)[1]


def public_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def said_of(certificate: x509.Certificate) -> tuple[str, str, set[str]]:
    """Common name, organization, usages."""
    names = {one.oid: str(one.value) for one in certificate.subject}
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    words = {Usage.SERVER_AUTH: "server", Usage.CLIENT_AUTH: "client"}
    return (
        names[NameOID.COMMON_NAME],
        names.get(NameOID.ORGANIZATION_NAME, ""),
        {words[one] for one in usages},
    )


def alternatives(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in found}


OF_CONTROL_PLANE = {
    "kubelet-client": (f"system:node:{PLANE}", "system:nodes", {"client"}, "cluster"),
    "kubelet-server": (PLANE, "", {"server"}, "cluster"),
    "apiserver-server": (PLANE, "", {"server"}, "cluster"),
    "apiserver-kubelet-client": (
        "kube-apiserver-kubelet-client",
        "risen:kubelet-clients",
        {"client"},
        "cluster",
    ),
    "apiserver-etcd-client": ("kube-apiserver-etcd-client", "", {"client"}, "etcd-client"),
    "front-proxy-client": ("front-proxy-client", "", {"client"}, "front-proxy"),
    "controller-manager-client": ("system:kube-controller-manager", "", {"client"}, "cluster"),
    "controller-manager-server": (PLANE, "", {"server"}, "cluster"),
    "scheduler-client": ("system:kube-scheduler", "", {"client"}, "cluster"),
    "scheduler-server": (PLANE, "", {"server"}, "cluster"),
    "etcd-server": (PLANE, "", {"server", "client"}, "etcd-client"),
    "etcd-peer": (PLANE, "", {"server", "client"}, "etcd-peer"),
}


def test_every_certificate_says_what_the_record_says_and_nothing_of_the_request(
    plane: dict[str, x509.Certificate],
) -> None:
    assert set(plane) == set(OF_CONTROL_PLANE)
    for purpose, certificate in plane.items():
        common_name, organization, usages, authority = OF_CONTROL_PLANE[purpose]
        assert said_of(certificate) == (common_name, organization, usages), purpose
        issuer = x509.load_pem_x509_certificate(AUTHORITIES.named(authority).certificate.encode())
        certificate.verify_directly_issued_by(issuer)
        assert "system:masters" not in certificate.subject.rfc4514_string()


def test_the_purposes_are_those_that_the_instances_ask_for() -> None:
    for role in (Role.WORKER, Role.CONTROL_PLANE):
        assert [purpose.name for purpose in purposes_of(role)] == list(layout.purposes(role))


def test_names_of_servers_are_exactly_those_they_are_called_by(plane: dict[str, x509.Certificate]) -> None:
    own = {str(PLANE), "10.77.0.12"}
    uri = {f"risen://{UID}/{PLANE}"}
    here = {"127.0.0.1", "localhost"}
    api = {
        "10.77.0.1", "10.96.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local", "api.example.net", "192.0.2.7",
    }  # fmt: skip
    assert alternatives(plane["kubelet-server"]) == own | uri
    assert alternatives(plane["apiserver-server"]) == own | uri | here | api
    assert alternatives(plane["etcd-server"]) == own | uri | here
    assert alternatives(plane["etcd-peer"]) == own
    assert alternatives(plane["scheduler-server"]) == own | uri | here
    assert alternatives(plane["kubelet-client"]) == set()


def test_openssl_accepts_each_certificate_for_its_usage_under_its_own_authority_only(
    plane: dict[str, x509.Certificate], tmp_path: Path
) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.crt").write_text(AUTHORITIES.named(name).certificate)
    for purpose, certificate in plane.items():
        usages, authority = OF_CONTROL_PLANE[purpose][2:]
        file = tmp_path / f"{purpose}.pem"
        file.write_bytes(certificate.public_bytes(Encoding.PEM))
        for usage in usages:
            ca = str(tmp_path / f"{authority}.crt")
            said = openssl("verify", "-x509_strict", "-purpose", f"ssl{usage}", "-CAfile", ca, str(file))
            assert said.endswith(b": OK\n")


def test_certificates_start_an_hour_early_and_last_a_year_less_a_jitter_by_name() -> None:
    ends = set()
    for number in range(50):
        window = instance_window(InstanceName(f"worker-{number}"), NOW)
        assert NOW - window.start.timestamp() == 3600
        assert 365 - 36 <= (window.end - window.start).total_seconds() / 86400 <= 365
        assert window == instance_window(InstanceName(f"worker-{number}"), NOW)
        ends.add(window.end)
    assert len(ends) == 50


def test_a_certificate_never_outlives_its_authority() -> None:
    nine_years_on = NOW + 3600 * 24 * 3560
    _, found = granted_to(Role.WORKER, nine_years_on)
    authority = x509.load_pem_x509_certificate(AUTHORITIES.cluster.certificate.encode())
    assert found["kubelet-client"].not_valid_after_utc == authority.not_valid_after_utc


def test_equal_input_gives_equal_certificates_and_serials_differ() -> None:
    first, found = granted_to(Role.CONTROL_PLANE)
    second, _ = granted_to(Role.CONTROL_PLANE)
    later, others = granted_to(Role.CONTROL_PLANE, NOW + 1)
    assert first.certificates == second.certificates != later.certificates
    serials = {one.serial_number for one in (*found.values(), *others.values())}
    assert len(serials) == 2 * len(found)


def test_authorities_are_five_own_roots_of_ten_years() -> None:
    roots = {
        name: x509.load_pem_x509_certificate(AUTHORITIES.named(name).certificate.encode()) for name in NAMES
    }
    assert len({public_pem(root) for root in roots.values()}) == len(roots) == 5
    for name, root in roots.items():
        root.verify_directly_issued_by(root)
        basic = root.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert (basic.ca, basic.path_length) == (True, 0)
        assert "dev" in root.subject.rfc4514_string() and name in root.subject.rfc4514_string()
        life = root.not_valid_after_utc - root.not_valid_before_utc
        assert life >= datetime.timedelta(days=3650)
        key = root.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"


def test_equal_random_bytes_make_equal_authorities_and_others_differ() -> None:
    assert make_authorities("dev", NOW - 86400, tokens("authorities")) == AUTHORITIES
    assert make_authorities("dev", NOW - 86400, tokens("others")).cluster != AUTHORITIES.cluster


def test_secrets_do_not_show_in_what_is_printed() -> None:
    shown = repr(AUTHORITIES) + repr(KEY)
    assert "PRIVATE" not in shown and AUTHORITIES.ticket_key not in shown
    assert AUTHORITIES.encryption_key not in shown and "kkkk" not in shown


def test_sealed_authorities_are_opened_by_their_key_and_show_nothing() -> None:
    blob = seal_authorities(AUTHORITIES, KEY, b"n" * 12)
    assert open_authorities(blob, KEY) == AUTHORITIES
    assert b"PRIVATE" not in blob and b"BEGIN" not in blob


def test_another_sealing_key_is_named_in_a_clear_refusal() -> None:
    other = SealingKey(b"o" * 32)
    with pytest.raises(Denied, match=f"sealed with key {KEY.id}, but the key given is {other.id}"):
        open_authorities(seal_authorities(AUTHORITIES, KEY, b"n" * 12), other)


def test_every_changed_byte_of_a_sealed_object_is_noticed() -> None:
    blob = seal(b"secret", KEY, b"n" * 12)
    assert unseal(blob, KEY) == b"secret"
    for at in range(len(blob)):
        changed = bytearray(blob)
        changed[at] ^= 1
        with pytest.raises(Unsealable):
            unseal(bytes(changed), KEY)
    with pytest.raises(Corrupt):
        open_authorities(blob[:-1], KEY)


def test_an_object_sealed_by_a_newer_risen_is_too_new() -> None:
    blob = seal(b"x", KEY, b"n" * 12).replace(b"risen-sealed 1 ", b"risen-sealed 2 ")
    with pytest.raises(TooNew):
        open_authorities(blob, KEY)


def test_a_ticket_is_the_same_for_a_retried_launch_and_good_for_nothing_else() -> None:
    one, secret = birth(WORKER), AUTHORITIES.ticket_secret
    ticket = ticket_of(one)
    assert ticket == make_ticket(secret, UID, one) and len(ticket) == 47 and ticket.isascii()
    assert is_genuine(ticket, secret, UID, one)
    assert not is_genuine(ticket, secret, UID, birth(InstanceName("worker-other")))
    assert not is_genuine(ticket, b"other key", UID, one)
    assert not is_genuine("é", secret, UID, one)


def test_system_masters_lives_for_hours_in_one_kind_only() -> None:
    for kind in IdentityKind:
        identity = short_lived(AUTHORITIES, kind, 1, NOW, tokens("x"))
        certificate = x509.load_pem_x509_certificate(identity.certificate.encode())
        assert ("system:masters" in certificate.subject.rfc4514_string()) == (kind is IdentityKind.CONTROLLER)
        assert certificate.not_valid_after_utc.timestamp() == NOW + 3600 == identity.ends_unix
        assert said_of(certificate)[2] == {"client"}
    with pytest.raises(ValueError, match="at most 12 hours"):
        short_lived(AUTHORITIES, IdentityKind.CONTROLLER, 13, NOW, tokens("x"))


def test_an_administrators_identity_has_the_group_that_is_bound_to_rights() -> None:
    identity = short_lived(AUTHORITIES, IdentityKind.ADMIN, 8, NOW, tokens("x"))
    certificate = x509.load_pem_x509_certificate(identity.certificate.encode())
    assert said_of(certificate)[:2] == ("risen:admin", "risen:admins")
    assert identity.authority == AUTHORITIES.cluster.certificate


def test_the_value_of_authorities_names_each_of_the_five() -> None:
    assert isinstance(AUTHORITIES, Authorities)
    assert [AUTHORITIES.named(name).certificate for name in NAMES] == [
        AUTHORITIES.cluster.certificate,
        AUTHORITIES.etcd_peer.certificate,
        AUTHORITIES.etcd_client.certificate,
        AUTHORITIES.front_proxy.certificate,
        AUTHORITIES.join.certificate,
    ]


def test_a_subject_with_any_other_address_gets_that_address() -> None:
    csrs = csrs_of(Role.WORKER)
    grant = Grant("0" * 64, {purpose: read_csr(csr) for purpose, csr in csrs.items()})
    granted = certify(AUTHORITIES, birth(WORKER), Subject(UID, WORKER, HERE), grant, NOW)
    certificate = x509.load_pem_x509_certificate(dict(granted.certificates)["kubelet-server"].encode())
    assert alternatives(certificate) == {WORKER, HERE, f"risen://{UID}/{WORKER}"}
