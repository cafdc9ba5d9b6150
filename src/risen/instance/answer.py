"""The join answer of an instance, and the release that names what is in it besides identity.

`render_release` goes through the same renderers with placeholders for everything that is an instance's own, so
that nothing can be in an answer and not in its release's hash. Certificates, secrets, addresses and member lists
are in no release.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

from risen.core.names import ClusterUid, ImageDigest, InstanceName, PoolName, ProviderId, ReleaseId, Role
from risen.core.spec import ClusterSpec, PoolSpec
from risen.instance import layout
from risen.instance.control_plane import EtcdJoin, SharedSecrets, control_plane_files, secret_files
from risen.instance.settings import AnswerFile, Identity, node_files

_NOBODY = Identity(
    name=InstanceName("INSTANCE"),
    role=Role.WORKER,
    pool=PoolName("POOL"),
    cluster=ClusterUid("CLUSTER"),
    address="ADDRESS",
    provider_id=ProviderId("PROVIDER-ID"),
    endpoint_address="ENDPOINT",
)
_NO_MEMBERS = EtcdJoin((("INSTANCE", "PEER-URL"),), "STATE", "TOKEN")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was granted: `certificates` maps purpose to PEM, `authorities` name to PEM; `secrets` are for the
    control plane."""

    certificates: Mapping[str, bytes]
    authorities: Mapping[str, bytes]
    secrets: SharedSecrets | None = None


def render_answer(
    spec: ClusterSpec, identity: Identity, etcd: EtcdJoin | None, credentials: Credentials
) -> tuple[AnswerFile, ...]:
    """Every file of an instance, sorted by path.

    Raises KeyError for a missing pool, certificate or authority, ValueError when a control-plane instance is
    given no etcd start or secrets, or a worker is given any.
    """
    pool = spec.pool(identity.pool)
    if pool is None:
        raise KeyError(f"no pool {identity.pool}")
    files = [*_rendered(spec, pool, identity, etcd)]
    is_control_plane = identity.role is Role.CONTROL_PLANE
    secrets = credentials.secrets
    if is_control_plane != (secrets is not None):
        raise ValueError(f"{identity.name}: shared secrets are for control-plane instances, and needed there")
    if secrets is not None:
        files += secret_files(secrets)
    for purpose in layout.purposes(identity.role):
        files.append(AnswerFile(layout.certificate(purpose), credentials.certificates[purpose]))
    for name in layout.authorities(identity.role):
        files.append(AnswerFile(layout.authority(name), credentials.authorities[name]))
    return tuple(sorted(files, key=lambda file: file.path))


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


def render_release(spec: ClusterSpec, pool: PoolSpec) -> tuple[AnswerFile, ...]:
    """What makes a pool's release, besides its image. Equal for two pools that differ in name, replicas, labels
    and taints only. Names that go into certificates are in it, though no certificate is."""
    identity = Identity(
        name=_NOBODY.name, role=pool.role, pool=_NOBODY.pool, cluster=_NOBODY.cluster, address=_NOBODY.address,
        provider_id=_NOBODY.provider_id, endpoint_address=_NOBODY.endpoint_address,
    )  # fmt: skip
    etcd = _NO_MEMBERS if pool.role is Role.CONTROL_PLANE else None
    named: dict[str, object] = {"purposes": layout.purposes(pool.role)}
    if pool.role is Role.CONTROL_PLANE:
        named |= {
            "names": sorted(spec.cert_sans),
            "service": spec.networking.api_service_address,
            "domain": spec.networking.dns_domain,
        }
    certified = AnswerFile("certificates.json", json.dumps(named, sort_keys=True).encode())
    return tuple(sorted((*_rendered(spec, pool, identity, etcd), certified), key=lambda file: file.path))


def release_id(files: tuple[AnswerFile, ...], image: ImageDigest) -> ReleaseId:
    """`r-` and 12 hex digits over the image and every file's path, mode and bytes, in any order."""
    value = sorted((file.path, file.mode, hashlib.sha256(file.data).hexdigest()) for file in files)
    text = json.dumps({"image": image, "files": value}, separators=(",", ":"))
    return ReleaseId(f"r-{hashlib.sha256(text.encode()).hexdigest()[:12]}")


def _rendered(
    spec: ClusterSpec, pool: PoolSpec, identity: Identity, etcd: EtcdJoin | None
) -> tuple[AnswerFile, ...]:
    files = node_files(spec, pool, identity)
    if (identity.role is Role.CONTROL_PLANE) != (etcd is not None):
        raise ValueError(f"{identity.name}: a control-plane instance starts an etcd member, others do not")
    if etcd is not None:
        files += control_plane_files(spec, identity, etcd)
    return files
