"""The join answer of an instance: the files of its release, filled in with what is its own.

A release is made by the same renderers that would write an answer, with marks for everything that is an
instance's own, so that nothing can be in an answer and not in its release. The stored release is what is filled
in: a newer Risen changes no instance of an older release, and can still launch one.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from risen.core.names import ClusterUid, ImageDigest, InstanceName, PoolName, ProviderId, Role
from risen.core.spec import ClusterSpec, PoolSpec
from risen.instance import layout
from risen.instance.control_plane import EtcdJoin, SharedSecrets, control_plane_files, secret_files
from risen.instance.release import MARK, Release, ReleaseFile, fill, mark, release_id
from risen.instance.settings import AnswerFile, Identity, node_files, registry_file


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was granted: `certificates` maps purpose to PEM, `authorities` name to PEM; `secrets` are for the
    control plane, `registries` maps an image registry to its credentials."""

    certificates: Mapping[str, str]
    authorities: Mapping[str, str]
    secrets: SharedSecrets | None = field(default=None, repr=False)
    registries: Mapping[str, str] = field(default_factory=dict, repr=False)


def render_release(spec: ClusterSpec, pool: PoolSpec, image: ImageDigest) -> Release:
    """What makes a pool's release. Equal for two pools that differ in name, replicas, labels and taints only.
    Names that go into certificates are in it, though no certificate is.

    Raises ValueError where text of the spec holds what begins a mark.
    """
    if MARK in repr((replace(spec, gates=()), pool)):
        raise ValueError(
            f"\"{MARK}\" may not stand in a cluster's settings: it marks what is an instance's own"
        )
    is_control_plane = pool.role is Role.CONTROL_PLANE
    etcd = _ETCD if is_control_plane else None
    rendered = answer_files(spec, pool, _nobody(pool.role), etcd, _nothing(spec, pool.role))
    files = tuple(ReleaseFile(file.path, file.data.decode(), file.mode, file.form) for file in rendered)
    names = api_names(spec) if is_control_plane else ()
    return Release(release_id(image, files, names), pool.role, image, spec.kubernetes_version, files, names)


def render_answer(
    release: Release, identity: Identity, etcd: EtcdJoin | None, credentials: Credentials
) -> tuple[AnswerFile, ...]:
    """Every file of an instance, sorted by path.

    Raises ValueError when something that the release needs is not given: a certificate, an authority, a
    registry's credentials, and for a control-plane instance an etcd start and secrets; also when a worker is given any of those two.
    """
    is_control_plane = identity.role is Role.CONTROL_PLANE
    if not is_control_plane and (etcd is not None or credentials.secrets is not None):
        raise ValueError(f"{identity.name}: shared secrets and an etcd member are the control plane's")
    own = {
        "name": identity.name,
        "cluster": identity.cluster,
        "pool": identity.pool,
        "address": identity.address,
        "provider-id": identity.provider_id,
        "endpoint": identity.endpoint_address,
        **{f"certificate.{purpose}": pem for purpose, pem in credentials.certificates.items()},
        **{f"authority.{name}": pem for name, pem in credentials.authorities.items()},
        **{f"registry.{host}": auth for host, auth in credentials.registries.items()},
    }
    if etcd is not None:
        own |= {"etcd.members": etcd.initial_cluster, "etcd.state": etcd.state, "etcd.token": etcd.token}
    if credentials.secrets is not None:
        own |= _secret_values(credentials.secrets)
    return fill(release, own)


def answer_files(
    spec: ClusterSpec, pool: PoolSpec, identity: Identity, etcd: EtcdJoin | None, credentials: Credentials
) -> tuple[AnswerFile, ...]:
    """Every file of an instance by this Risen's renderers, sorted by path: what a release is made by.

    Raises KeyError for a certificate, authority or registry that is missing.
    """
    files = [*node_files(spec, pool, identity)]
    if etcd is not None:
        files += control_plane_files(spec, identity, etcd)
    if credentials.secrets is not None:
        files += secret_files(credentials.secrets)
    if spec.registries:
        files.append(registry_file({host: credentials.registries[host] for host in spec.registries}))
    for purpose in layout.purposes(identity.role):
        files.append(AnswerFile(layout.certificate(purpose), credentials.certificates[purpose].encode()))
    for name in layout.authorities(identity.role):
        files.append(AnswerFile(layout.authority(name), credentials.authorities[name].encode()))
    return tuple(sorted(files, key=lambda file: file.path))


def api_names(spec: ClusterSpec) -> tuple[str, ...]:
    """Everything that an apiserver of this cluster is called by, besides the endpoint, its own name and address."""
    network = spec.networking
    return (
        network.api_service_address,
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{network.dns_domain}",
        *spec.cert_sans,
    )


def pack_answer(files: tuple[AnswerFile, ...]) -> bytes:
    """A tar archive, byte-identical for equal files: names without a leading slash, owned by root, time 0."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file in sorted(files, key=lambda one: one.path):
            member = tarfile.TarInfo(file.path.lstrip("/"))
            member.size = len(file.data)
            member.mode = file.mode
            archive.addfile(member, io.BytesIO(file.data))
    return out.getvalue()


# --- marks in the place of what is an instance's own ------------------------------------------------------
_ETCD = EtcdJoin(mark("etcd.members"), mark("etcd.state"), mark("etcd.token"))
_SECRETS: Mapping[str, str] = MappingProxyType(
    {
        "service_account_key": "secret.service-account-key",
        "service_account_public": "secret.service-account-public",
        "encryption_key_id": "secret.encryption-key-id",
        "encryption_key": "secret.encryption-key",
    }
)


def _secret_values(secrets: SharedSecrets) -> dict[str, str]:
    return {what: getattr(secrets, name) for name, what in _SECRETS.items()}


def _nobody(role: Role) -> Identity:
    return Identity(
        name=InstanceName(mark("name")),
        role=role,
        pool=PoolName(mark("pool")),
        cluster=ClusterUid(mark("cluster")),
        address=mark("address"),
        provider_id=ProviderId(mark("provider-id")),
        endpoint_address=mark("endpoint"),
    )


def _nothing(spec: ClusterSpec, role: Role) -> Credentials:
    secrets = {name: mark(what) for name, what in _SECRETS.items()}
    return Credentials(
        {purpose: mark(f"certificate.{purpose}") for purpose in layout.purposes(role)},
        {name: mark(f"authority.{name}") for name in layout.authorities(role)},
        SharedSecrets(**secrets) if role is Role.CONTROL_PLANE else None,
        {host: mark(f"registry.{host}") for host in spec.registries},
    )
