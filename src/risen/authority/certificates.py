"""Certificates from Risen's own record. Of a request only the public key is taken, never a name.

`PURPOSES` is the whole list of what an instance may hold. No certificate of an instance carries
`system:masters`; server and client usages are separate except in etcd (its gateway uses the server's
certificate as its client, its peers both).
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from risen.authority.authorities import (
    CLUSTER,
    ETCD_CLIENT,
    ETCD_PEER,
    FRONT_PROXY,
    Authority,
)
from risen.authority.windows import Window
from risen.core.names import ClusterUid, InstanceName, Role

MAX_CSR_BYTES = 8192
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Purpose:
    """One certificate of an instance. `names` says which SANs: none, `instance`, `loopback` (instance and
    localhost) or `api` (everything an apiserver is called). `uri` adds `risen://CLUSTERUID/NAME`."""

    name: str
    authority: str
    common_name: str
    organization: str = ""
    server: bool = False
    client: bool = False
    names: str = "none"
    uri: bool = False


def _client(name: str, authority: str, common_name: str, organization: str = "") -> Purpose:
    return Purpose(name, authority, common_name, organization, client=True)


def _server(name: str, names: str, *, uri: bool = False) -> Purpose:
    return Purpose(name, CLUSTER, "{name}", server=True, names=names, uri=uri)


WORKER_PURPOSES = (
    _client("kubelet-client", CLUSTER, "system:node:{name}", "system:nodes"),
    _server("kubelet-server", "instance", uri=True),
)
CONTROL_PLANE_PURPOSES = (
    *WORKER_PURPOSES,
    _server("apiserver-server", "api", uri=True),
    _client("apiserver-kubelet-client", CLUSTER, "kube-apiserver-kubelet-client", "risen:kubelet-clients"),
    _client("apiserver-etcd-client", ETCD_CLIENT, "kube-apiserver-etcd-client"),
    _client("front-proxy-client", FRONT_PROXY, "front-proxy-client"),
    _client("controller-manager-client", CLUSTER, "system:kube-controller-manager"),
    _server("controller-manager-server", "loopback", uri=True),
    _client("scheduler-client", CLUSTER, "system:kube-scheduler"),
    _server("scheduler-server", "loopback", uri=True),
    Purpose("etcd-server", ETCD_CLIENT, "{name}", server=True, client=True, names="loopback", uri=True),
    Purpose("etcd-peer", ETCD_PEER, "{name}", server=True, client=True, names="instance"),
)


def purposes_of(role: Role) -> tuple[Purpose, ...]:
    """Every certificate that an instance of this role must ask for; empty for a role that cannot join."""
    match role:
        case Role.WORKER:
            return WORKER_PURPOSES
        case Role.CONTROL_PLANE:
            return CONTROL_PLANE_PURPOSES
        case Role.ETCD:
            return ()


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom certificates are for, from Risen's record. `api_names`: DNS names and addresses of the API."""

    cluster: ClusterUid
    instance: InstanceName
    address: str
    api_names: tuple[str, ...] = ()


class BadRequest(Exception):
    """A CSR that cannot be certified; the text says why."""


def read_csr(pem: bytes) -> PublicKey:
    """The public key of a CSR whose signature proves possession. Nothing else of it is used. Raises BadRequest."""
    if len(pem) > MAX_CSR_BYTES:
        raise BadRequest(f"a CSR has at most {MAX_CSR_BYTES} bytes, this one {len(pem)}")
    try:
        csr = x509.load_pem_x509_csr(pem)
        key = csr.public_key()
        genuine = csr.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise BadRequest(f"not a certificate request: {error}") from error
    if not genuine:
        raise BadRequest("its signature does not prove possession of its key")
    match key:
        case ec.EllipticCurvePublicKey() if key.curve.name in ("secp256r1", "secp384r1"):
            return key
        case rsa.RSAPublicKey() if key.key_size >= 2048:
            return key
        case _:
            raise BadRequest("its key is not EC P-256, EC P-384 or RSA of at least 2048 bits")


def key_bytes(key: PublicKey) -> bytes:
    """DER of the public key: what a ticket is bound to."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def issue(purpose: Purpose, subject: Subject, key: PublicKey, authority: Authority, window: Window) -> str:
    """A certificate as PEM. Equal input gives equal bytes (deterministic ECDSA, RFC 6979)."""
    common_name = purpose.common_name.format(name=subject.instance)
    usages = []
    if purpose.server:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    if purpose.client:
        usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    organizations = (purpose.organization,) if purpose.organization else ()
    leaf = Leaf(common_name, organizations, tuple(usages), _alternatives(purpose, subject))
    return sign_leaf(leaf, key, authority, window)


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a leaf certificate says."""

    common_name: str
    organizations: tuple[str, ...] = ()
    usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.CLIENT_AUTH,)
    alternatives: tuple[x509.GeneralName, ...] = ()


def sign_leaf(leaf: Leaf, key: PublicKey, authority: Authority, window: Window) -> str:
    """Sign a leaf; its end never outlives its authority. Raises ValueError for a name over 64 characters."""
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    issuer_key = serialization.load_pem_private_key(authority.key.encode(), None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise ValueError("an authority's key is EC P-256")
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, text) for text in leaf.organizations]
    names.append(x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(_serial(leaf, key, issuer, window))
        .not_valid_before(window.start)
        .not_valid_after(min(window.end, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_leaf_usage(key), critical=True)
        .add_extension(x509.ExtendedKeyUsage(list(leaf.usages)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False
        )
    )
    if leaf.alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(leaf.alternatives)), critical=False)
    certificate = builder.sign(issuer_key, hashes.SHA256(), ecdsa_deterministic=True)
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def general_name(text: str) -> x509.GeneralName:
    """An address as IPAddress, everything else as a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _alternatives(purpose: Purpose, subject: Subject) -> tuple[x509.GeneralName, ...]:
    texts: tuple[str, ...]
    match purpose.names:
        case "instance":
            texts = (subject.instance, subject.address)
        case "loopback":
            texts = (subject.instance, subject.address, "127.0.0.1", "localhost")
        case "api":
            texts = (subject.instance, subject.address, "127.0.0.1", "localhost", *subject.api_names)
        case _:
            texts = ()
    found = [general_name(text) for text in dict.fromkeys(texts)]
    if purpose.uri:
        found.append(x509.UniformResourceIdentifier(f"risen://{subject.cluster}/{subject.instance}"))
    return tuple(found)


def _serial(leaf: Leaf, key: PublicKey, issuer: x509.Certificate, window: Window) -> int:
    """From all that is certified: two different certificates of one authority never share a serial."""
    alternatives = repr([repr(name) for name in leaf.alternatives])
    usages = ",".join(usage.dotted_string for usage in leaf.usages)
    said = repr((leaf.common_name, leaf.organizations, usages, alternatives, window.start, window.end))
    digest = hashlib.sha256(issuer.fingerprint(hashes.SHA256()) + key_bytes(key) + said.encode()).digest()
    return (int.from_bytes(digest[:20], "big") >> 1) | 1


def _leaf_usage(key: PublicKey) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, data_encipherment=False, key_agreement=False,
        key_encipherment=isinstance(key, rsa.RSAPublicKey),
        key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
